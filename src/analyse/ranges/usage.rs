//! For which values of a leaf a node's elements surely have an effect on what the graph gives.
//!
//! Walks from the outputs back. A branch of `where` is used where its mask says so; a product by a factor that may be 0 may
//! hide zeros, not NaN. A mask that is made of other data may hide anything, so nothing is sure behind it, except that
//! a mask which differs from step to step of a loop hides no value that is the same at all steps.

use super::sets::Set;
use super::{Outside, Walk, indexed};
use crate::ir::{DType, Graph, NodeId};
use crate::ops::Op;
use crate::ops::pointwise::{BinaryCode, Pointwise, UnaryCode};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// Of which values usage is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub leaf: usize,
    /// what stands where the index was wrong
    pub outside: Outside,
    /// whether the index differs from step to step of a loop
    pub by_step: bool,
}

/// The answers about one graph, each made when it is first asked for.
#[derive(Debug)]
pub(super) struct Usage<'g> {
    walk: &'g Walk<'g>,
    users: Vec<Vec<(NodeId, usize)>>,
    /// whether a node's elements are looked at for being NaN: then an index outside is meant
    is_checked: Vec<bool>,
    answers: RefCell<FxHashMap<Question, Rc<Vec<Set>>>>,
}

impl<'g> Usage<'g> {
    pub fn new(walk: &'g Walk<'g>) -> Self {
        let graph = walk.graph;
        let mut users = vec![Vec::new(); graph.len()];
        for id in graph.ids() {
            for (slot, operand) in graph.operands(id).into_iter().enumerate() {
                users[operand.index()].push((id, slot));
            }
        }
        let is_checked = checked(graph, &users);
        Self { walk, users, is_checked, answers: RefCell::default() }
    }

    /// The values of the leaf for which the node's elements are surely used.
    pub fn of(&self, id: NodeId, question: Question) -> Set {
        if question.outside == Outside::Marked && self.is_checked[id.index()] {
            return Set::none();
        }
        let set = self.sets(question)[id.index()].clone();
        // What is added where an index says is used where it is not zero.
        match indexed(self.walk.graph, id).and_then(|indexed| indexed.put) {
            Some(slot) => set.intersection(&self.is_nonzero(self.walk.graph.operands(id)[slot], false, question)),
            None => set,
        }
    }

    fn sets(&self, question: Question) -> Rc<Vec<Set>> {
        if let Some(sets) = self.answers.borrow().get(&question) {
            return Rc::clone(sets);
        }
        let graph = self.walk.graph;
        let mut sets = vec![Set::none(); graph.len()];
        let around = self.walk.around.map(|(usage, node)| usage.of(node, Question { by_step: false, ..question }));
        for output in &graph.outputs {
            sets[output.node.index()] = around.clone().unwrap_or_else(Set::all);
        }
        for id in graph.ids().rev() {
            let mut set = std::mem::replace(&mut sets[id.index()], Set::none());
            for (user, slot) in &self.users[id.index()] {
                let after = &sets[user.index()];
                if !after.is_empty() {
                    set = set.union(&self.passed(*user, *slot, question).intersection(after));
                }
            }
            sets[id.index()] = set;
        }
        let sets = Rc::new(sets);
        self.answers.borrow_mut().insert(question, Rc::clone(&sets));
        sets
    }

    /// The values for which a user lets through what stands in a slot.
    fn passed(&self, user: NodeId, slot: usize, question: Question) -> Set {
        let operands = self.walk.graph.operands(user);
        let op = self.walk.graph.op(user);
        match op.pointwise() {
            Some(Pointwise::Select(_)) if slot > 0 => self.holds(operands[0], slot == 1, question),
            Some(Pointwise::Binary(BinaryCode::Mul, _)) if question.outside == Outside::Zero => {
                self.is_nonzero(operands[1 - slot], true, question)
            }
            _ if !op.reads(slot) => Set::none(),
            _ => Set::all(),
        }
    }

    /// The values for which a mask surely holds, or surely does not.
    fn holds(&self, mask: NodeId, wanted: bool, question: Question) -> Set {
        let value = &self.walk.values[mask.index()];
        match value.single() {
            Some(known) if known.source.as_ref().is_some_and(|source| source.leaf == question.leaf) => {
                if wanted {
                    known.function.is_true()
                } else {
                    known.function.is_false()
                }
            }
            Some(known) if known.source.is_none() && !value.by_data => match known.function.as_constant() {
                Some(constant) if (constant != 0.0) != wanted => Set::none(),
                // By position: it holds somewhere.
                _ => Set::all(),
            },
            Some(known) if known.source.is_none() && known.function.as_constant().is_some() => {
                let is_wanted = (known.function.as_constant() != Some(0.0)) == wanted;
                if is_wanted { Set::all() } else { Set::none() }
            }
            _ if value.by_data && (question.by_step || !value.by_step) => Set::none(),
            _ => Set::all(),
        }
    }

    /// The values for which a factor is surely not 0, as far as it is made to be a mask. `may_weigh`: whether floats that come as
    /// data may be the weights of samples, some of them 0.
    fn is_nonzero(&self, factor: NodeId, may_weigh: bool, question: Question) -> Set {
        let graph = self.walk.graph;
        let value = &self.walk.values[factor.index()];
        if let Some(known) = value.single() {
            match &known.source {
                Some(source) if source.leaf == question.leaf => return known.function.may_be(0.0, 0.0).complement(),
                None if known.function.as_constant() == Some(0.0) => return Set::none(),
                None if !value.by_data => return Set::all(),
                _ => {}
            }
        }
        let operands = graph.operands(factor);
        let of = |slot: usize| self.is_nonzero(operands[slot], may_weigh, question);
        match (graph.op(factor), graph.op(factor).pointwise()) {
            (_, Some(Pointwise::Select(_))) => {
                let holds = |wanted: bool| self.holds(operands[0], wanted, question);
                let (then, otherwise) = (of(1), of(2));
                let either = then.intersection(&otherwise);
                holds(true).intersection(&then).union(&holds(false).intersection(&otherwise)).union(&either)
            }
            // A mask taken as numbers.
            (Op::Cast(_), _) if graph.ty(operands[0]).dtype == DType::Bool => self.holds(operands[0], true, question),
            (_, Some(Pointwise::Binary(BinaryCode::Mul, _))) => of(0).intersection(&of(1)),
            (
                _,
                Some(Pointwise::Unary(UnaryCode::Neg, Pointwise::Operand(0)) | Pointwise::Binary(BinaryCode::Div, _)),
            ) => of(0),
            (Op::Cast(_), _) => of(0),
            (op, _) if moves(op) => of(0),
            // Weights of samples come as data, and may be 0.
            (Op::Input(_), _) if may_weigh && value.by_data && (question.by_step || !value.by_step) => Set::none(),
            _ => Set::all(),
        }
    }
}

/// Whether the elements of the result are those of the one operand, in other places.
fn moves(op: &Op) -> bool {
    matches!(op, Op::Reshape(_) | Op::Transpose(_) | Op::Broadcast(_) | Op::Slice(_) | Op::StopGradient(_))
}

/// The nodes whose elements come to a check for NaN, one by one.
fn checked(graph: &Graph, users: &[Vec<(NodeId, usize)>]) -> Vec<bool> {
    let mut is_checked = vec![false; graph.len()];
    for id in graph.ids().rev() {
        is_checked[id.index()] = users[id.index()].iter().any(|(user, _)| match graph.op(*user) {
            op if differs_from_itself(op) => true,
            op if moves(op) => is_checked[user.index()],
            op => match op.pointwise() {
                // Only NaN differs from itself.
                Some(Pointwise::Binary(BinaryCode::Equal, _)) => {
                    graph.operands(*user).iter().all(|operand| *operand == id)
                }
                Some(pointwise) => passes_nan(&pointwise) && is_checked[user.index()],
                None => false,
            },
        });
    }
    is_checked
}

/// Whether an operation gives NaN for every operand that is NaN.
fn passes_nan(pointwise: &Pointwise) -> bool {
    match pointwise {
        Pointwise::Operand(_) => true,
        Pointwise::Unary(code, x) => *code != UnaryCode::Not && passes_nan(x),
        Pointwise::Binary(BinaryCode::Add | BinaryCode::Sub | BinaryCode::Mul | BinaryCode::Div, sides) => {
            sides.iter().all(|side| matches!(side, Pointwise::Number(_)) || passes_nan(side))
        }
        Pointwise::Binary(..) | Pointwise::Number(_) | Pointwise::Select(_) => false,
    }
}

/// Whether an op asks of each element whether it differs from itself, which NaN alone does.
fn differs_from_itself(op: &Op) -> bool {
    let operand = |pointwise: &Pointwise| matches!(pointwise, Pointwise::Operand(0));
    matches!(op.pointwise(), Some(Pointwise::Binary(BinaryCode::NotEqual, operands)) if operands.into_iter().all(operand))
}
