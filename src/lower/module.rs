//! What lowering gives: graphs, and the facts about them that a graph does not hold.

use crate::diag::Span;
use crate::ir::{Graph, NodeId, TensorType};
use crate::passes::{Coordinates, StandIns};
use crate::syntax::ast::{PredictMode, TrainsMode};
use indexmap::IndexMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A lowered spec. Node ids refer to `graph`.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// The whole training step: outputs, losses, metrics, objectives, next params and states. `gradient` nodes stand for
    /// the objectives' derivatives.
    pub graph: Graph,
    /// The initial params and states, as a function of the seed.
    pub init: Graph,
    pub constants: IndexMap<Arc<str>, f64>,
    pub inputs: IndexMap<Arc<str>, DataInfo>,
    pub targets: IndexMap<Arc<str>, DataInfo>,
    pub params: IndexMap<Arc<str>, ParamInfo>,
    pub states: IndexMap<Arc<str>, StateInfo>,
    /// The states that prediction and evaluation read in the place of params.
    pub stand_ins: StandIns,
    /// Each `grad(y, x)` that was written out, in order.
    pub derivatives: Vec<DerivativeInfo>,
    /// The losses as written, per sample or scalar, by name.
    pub losses: IndexMap<Arc<str>, (NodeId, Span)>,
    /// What each `minimize` lowers, in order.
    pub objectives: Vec<ObjectiveInfo>,
    /// The matrices of inner products that `gram` gave.
    pub gramians: Vec<NodeId>,
    /// Each `direction` that is handed in for params.
    pub directions: Vec<DirectionInfo>,
    /// The metrics that a batch gives one number for, rather than one a sample.
    pub batch_metrics: Vec<Arc<str>>,
    /// What combiners were given as losses, by `PATH.PARAMETER`.
    pub branches: IndexMap<Arc<str>, (NodeId, Span)>,
    /// The params that the run keeps as they begin, by the option [`super::Options::frozen`].
    pub frozen: BTreeSet<Arc<str>>,
    /// The file's `let`s that are tensors, by name.
    pub values: IndexMap<Arc<str>, NodeId>,
    /// The file's `let`s that nothing names.
    pub idle_values: IndexMap<Arc<str>, Span>,
    /// Where the spec names each run-time dim.
    pub dims: IndexMap<Arc<str>, Vec<Span>>,
    pub contracts: Vec<Contract>,
    /// What losses and metrics take their arguments for.
    pub meant: Vec<MeantAs>,
    /// Values of which it was said when they are better, while the spec is lowered.
    pub(super) better_when: Vec<(NodeId, Better)>,
    /// When metrics are better, of which that is known.
    pub better: IndexMap<Arc<str>, Better>,
    /// A `train` block whose objectives reach no param. A mistake unless a worse one explains it.
    pub idle_training: Option<Span>,
    /// `assert every param is trained`
    pub every_param_trained: Option<Span>,
    /// What is asserted of the prediction program.
    pub predict_contracts: Vec<(PredictMode, Span)>,
}

/// An `input` or `target`.
#[derive(Clone, Debug, PartialEq)]
pub struct DataInfo {
    pub node: NodeId,
    /// what data holds of it
    pub ty: TensorType,
    /// what the spec declares: another type where a run encodes its columns
    pub declared: TensorType,
    /// whether the graph says what stands for values that are missing
    pub fills: bool,
    pub optional: bool,
    pub span: Span,
}

/// Which way a derivative is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// cotangents from `y` back to `x`
    #[default]
    Reverse,
    /// tangents from `x` to `y`, a sweep for each coordinate of `x`
    Forward,
}

/// A `grad(y, x)` of the spec.
#[derive(Clone, Debug, PartialEq)]
pub struct DerivativeInfo {
    pub span: Span,
    /// what is differentiated, and its derivatives
    pub of: NodeId,
    pub nodes: Vec<NodeId>,
    pub direction: Direction,
    /// what forward mode would sweep over; `None` where it cannot be taken
    pub coordinates: Option<Coordinates>,
}

/// A `direction(bundle, losses)`.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectionInfo {
    /// the loss that it gives
    pub node: NodeId,
    /// the `stop` around the loss that it reports
    pub reported: NodeId,
    /// whose gradients it is made of
    pub losses: Vec<NodeId>,
    /// The numbers that each of them is weighed by, where the bundle is a sum `combine(bundles, weights)` of what each loss's own
    /// gradient became.
    pub weights: Option<Vec<NodeId>>,
}

/// One `minimize`.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectiveInfo {
    pub name: Arc<str>,
    /// the scalar that is minimised
    pub node: NodeId,
    /// the paths of the params whose gradient it takes part in
    pub trained: Vec<Arc<str>>,
}

/// Who owns a param.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    File,
    Layer,
    Combiner,
}

/// What holds for a param after every update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constraint {
    /// within `[low, high]`
    Interval(f64, f64),
    /// projected by a function of the spec
    Projection,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ParamInfo {
    pub node: NodeId,
    pub ty: TensorType,
    pub owner: Owner,
    pub constraint: Option<Constraint>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StateInfo {
    pub node: NodeId,
    pub ty: TensorType,
    pub span: Span,
    /// the node of its `update`
    pub next: Option<NodeId>,
}

/// Which of two values is the better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Better {
    #[default]
    Lower,
    Higher,
}

impl Better {
    /// The names by which `better_when` and configs know them.
    pub const NAMES: &'static [(&'static str, Self)] = &[("lower", Self::Lower), ("higher", Self::Higher)];
}

/// What a loss or metric takes one of its arguments for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// numbers of any size
    Numbers,
    /// log-odds, or scores of classes before a softmax
    Logits,
    /// each between 0 and 1
    Probabilities,
    /// at least 0, to be divided by their sum
    Shares,
}

impl Meaning {
    /// The names by which `meant_as` knows them.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("numbers", Self::Numbers),
        ("logits", Self::Logits),
        ("probabilities", Self::Probabilities),
        ("shares", Self::Shares),
    ];
}

/// A `meant_as(x, …, of=label)`: a prediction as a loss or metric takes it, beside the label that it is held against.
#[derive(Clone, Debug, PartialEq)]
pub struct MeantAs {
    pub value: NodeId,
    pub label: Option<NodeId>,
    pub meaning: Meaning,
    /// the definition that says so
    pub by: Arc<str>,
    pub span: Span,
}

/// A pattern of param paths, made absolute.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamPattern {
    /// as written
    pub text: Arc<str>,
    /// the absolute path or glob
    pub path: Arc<str>,
    pub span: Span,
}

impl Module {
    /// Says what became of each node when the graph was built anew.
    pub(super) fn renumber(&mut self, moved: impl Fn(NodeId) -> NodeId) {
        let data = self.inputs.values_mut().chain(self.targets.values_mut());
        let nodes = (data.map(|data| &mut data.node))
            .chain(self.params.values_mut().map(|param| &mut param.node))
            .chain(self.states.values_mut().flat_map(|state| [Some(&mut state.node), state.next.as_mut()]).flatten())
            .chain(self.losses.values_mut().map(|(node, _)| node))
            .chain(self.branches.values_mut().map(|(node, _)| node))
            .chain(self.contracts.iter_mut().map(|contract| &mut contract.subject))
            .chain(self.derivatives.iter_mut().flat_map(|info| info.nodes.iter_mut().chain([&mut info.of])))
            .chain(self.objectives.iter_mut().map(|objective| &mut objective.node))
            .chain(self.directions.iter_mut().flat_map(|info| {
                info.losses
                    .iter_mut()
                    .chain(info.weights.iter_mut().flatten())
                    .chain([&mut info.node, &mut info.reported])
            }))
            .chain(self.gramians.iter_mut().chain(self.values.values_mut()))
            .chain(self.meant.iter_mut().flat_map(|meant| meant.label.iter_mut().chain([&mut meant.value])));
        for node in nodes {
            *node = moved(*node);
        }
        let stand_ins = std::mem::take(&mut self.stand_ins);
        self.stand_ins = stand_ins.into_iter().map(|(param, state)| (moved(param), moved(state))).collect();
    }
}

impl ParamPattern {
    pub fn matches(&self, path: &str) -> bool {
        glob(&self.path, path)
    }

    /// What each `*` stands for in a path that the pattern matches.
    pub(super) fn captures(&self, path: &str) -> Option<Vec<Arc<str>>> {
        match self.path.split_once('*') {
            None => self.matches(path).then(Vec::new),
            Some((head, tail)) => {
                let mut captures = Vec::new();
                capture(tail, path.strip_prefix(head)?, &mut captures).then_some(captures)
            }
        }
    }
}

/// Matches what follows a `*`, the shortest run of characters first.
fn capture(tail: &str, rest: &str, captures: &mut Vec<Arc<str>>) -> bool {
    let (literal, next) = tail.split_once('*').map_or((tail, None), |(literal, next)| (literal, Some(next)));
    for at in (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)) {
        let Some(behind) = rest[at..].strip_prefix(literal) else { continue };
        captures.push(rest[..at].into());
        let fits = match next {
            Some(next) => capture(next, behind, captures),
            None => behind.is_empty(),
        };
        if fits {
            return true;
        }
        captures.pop();
    }
    false
}

/// `*` stands for any run of characters; a plain path also covers everything below it.
pub fn glob(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => path == pattern || (path.starts_with(pattern) && path[pattern.len()..].starts_with('.')),
        Some((head, tail)) => path.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|at| {
                rest.is_char_boundary(at)
                    && (if tail.is_empty() { at == rest.len() } else { glob_tail(tail, &rest[at..]) })
            })
        }),
    }
}

fn glob_tail(pattern: &str, path: &str) -> bool {
    if pattern.contains('*') { glob(pattern, path) } else { path == pattern }
}

/// `assert SUBJECT trains …`
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    pub subject: NodeId,
    /// the subject as written
    pub subject_text: Arc<str>,
    pub mode: TrainsMode,
    pub params: Vec<ParamPattern>,
    pub span: Span,
}

#[cfg(test)]
mod tests {
    use super::{ParamPattern, glob};
    use crate::diag::{SourceId, Span};

    #[test]
    fn a_match_says_what_each_star_stands_for() {
        let captures = |pattern: &str, path: &str| {
            let span = Span::new(SourceId::NOWHERE, 0, 0);
            let found = ParamPattern { text: pattern.into(), path: pattern.into(), span }.captures(path);
            assert_eq!(found.is_some(), glob(pattern, path), "{pattern} {path}");
            found.map(|captures| captures.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(captures("fast.*", "fast.dense.kernel"), Some(vec!["dense.kernel".into()]));
        assert_eq!(captures("*.kernel", "a.b.kernel"), Some(vec!["a.b".into()]));
        assert_eq!(captures("a.*.b.*", "a.x.b.b.y"), Some(vec!["x".into(), "b.y".into()]));
        assert_eq!(captures("a.*.c", "a.b.d"), None);
        assert_eq!(captures("a", "a.b"), Some(vec![]));
    }

    #[test]
    fn patterns_match_paths() {
        assert!(glob("critic.*", "critic.dense.kernel"));
        assert!(!glob("critic.*", "critics.dense.kernel"));
        assert!(glob("total.alpha", "total.alpha"));
        assert!(glob("enc", "enc.dense.bias"));
        assert!(!glob("enc", "encoder.bias"));
        assert!(glob("*.bias", "enc.dense.bias"));
        assert!(glob("*", "anything"));
        assert!(!glob("*.bias", "enc.dense.kernel"));
    }
}
