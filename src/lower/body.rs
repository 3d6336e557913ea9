//! Bodies of loops: a graph of its own while the step of a loop is expanded.
//!
//! What a step reads from outside becomes a port of the body: carries and slices when the scope is opened, any other value
//! when it is first read. So a step may use params, named layers and values of the spec like any other function. What only a
//! whole training step has (updates, combiners, contracts) is refused.

use super::Lowered;
use super::emit::Emitter;
use super::graphs::Graphs;
use super::value::{Frame, TensorValue, Which};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Builder, DType, Dim, NodeId, Provenance, TensorType};
use crate::ops::scan::Draft;
use crate::ops::{self, Op};
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// A body under construction.
#[derive(Debug)]
pub(crate) struct OpenBody {
    pub draft: Draft,
    /// the graph that the loop stands in
    pub outer: Which,
    /// for each node of the body that may be missing, the node of its mask
    pub masks: BTreeMap<NodeId, NodeId>,
    /// what each port is handed, in the outer graph
    pub operands: Vec<TensorValue>,
    /// the masks outside that the whole loop goes by
    pub known_masks: Vec<NodeId>,
    /// what became of values from outside
    captures: IndexMap<TensorValue, NodeId>,
    /// the port of the number of the step, from 0
    time: Option<NodeId>,
}

impl Graphs {
    /// Opens the body of a loop; nodes are added to it from here on.
    pub(super) fn open_body(&mut self, known_masks: Vec<NodeId>) {
        let outer = self.which;
        self.bodies.push(OpenBody {
            draft: Draft::new(),
            outer,
            masks: BTreeMap::new(),
            operands: Vec::new(),
            known_masks,
            captures: IndexMap::new(),
            time: None,
        });
        self.which = Which::Body(self.bodies.len() - 1);
    }

    /// Closes the innermost body.
    pub(super) fn close_body(&mut self) -> Option<OpenBody> {
        let scope = self.bodies.pop()?;
        self.which = scope.outer;
        Some(scope)
    }

    /// The next port of the innermost body, which `operand` of the graph around it is handed to.
    pub(super) fn port(&mut self, operand: TensorValue, ty: &TensorType, provenance: &Provenance) -> TensorValue {
        let depth = self.bodies.len() - 1;
        let scope = &mut self.bodies[depth];
        scope.operands.push(operand);
        let node = scope.draft.port(scope.operands.len() - 1, ty, provenance);
        TensorValue { node, which: Which::Body(depth) }
    }

    /// Makes a port that of the number of the step.
    pub(super) fn set_time(&mut self, port: TensorValue) {
        if let Some(scope) = self.bodies.last_mut() {
            scope.time = Some(port.node);
        }
    }
}

impl Emitter<'_> {
    /// A value from outside, in the body at `depth`.
    pub(super) fn captured(&mut self, depth: usize, tensor: TensorValue, span: Span) -> Lowered<TensorValue> {
        let which = Which::Body(depth);
        if tensor.which == which {
            return Ok(tensor);
        }
        let own = |node: NodeId| TensorValue { node, which };
        if let Some(node) = self.graphs.bodies[depth].captures.get(&tensor) {
            return Ok(own(*node));
        }
        // A value of a body that is already closed would be a bug; one of a body around this one is handed down.
        let outer = match self.graphs.bodies[depth].outer {
            Which::Body(around) => self.captured(around, tensor, span)?,
            outer => {
                let inner = std::mem::replace(&mut self.graphs.which, outer);
                let found = self.in_current(tensor, span);
                self.graphs.which = inner;
                found?
            }
        };
        let node = self.graphs.of(outer.which).node(outer.node).clone();
        let mask = self.mask(outer);
        if mask.is_some_and(|mask| !self.graphs.bodies[depth].known_masks.contains(&mask)) {
            return Err(self.report(
                Diagnostic::error(Code::E0404, "a step of a `scan` reads a value that may be missing")
                    .at(span, "not one that the loop was given")
                    .with_help("hand it over by `rest=[…]`, or say what stands for it: `fill_missing(x, value)`"),
            ));
        }
        let scope = &mut self.graphs.bodies[depth];
        let port = match &node.op {
            // Needs nothing from outside.
            Op::Constant(_) | Op::Size(_) | Op::Iota(_) => {
                Builder::new(&mut scope.draft.graph, node.provenance.clone()).emit(node.op.clone(), &[])
            }
            _ => {
                scope.operands.push(outer);
                scope.draft.port(scope.operands.len() - 1, &node.ty, &node.provenance)
            }
        };
        scope.captures.insert(tensor, port);
        if let Some(mask) = mask {
            let mask = self.captured(depth, TensorValue { node: mask, which: outer.which }, span)?;
            self.set_mask(own(port), mask.node);
        }
        Ok(own(port))
    }

    /// The number of the step of the loops around, by which random draws differ; `None` outside of loops.
    pub(super) fn time(&mut self, frame: &Frame, span: Span) -> Lowered<Option<TensorValue>> {
        let Which::Body(depth) = self.graphs.which else { return Ok(None) };
        // 2^16 steps of an inner loop for each of an outer one.
        const STRIDE: f64 = 65_536.0;
        let mut time: Option<TensorValue> = None;
        for at in 0..=depth {
            let Some(node) = self.graphs.bodies[at].time else { continue };
            let step = self.captured(depth, TensorValue { node, which: Which::Body(at) }, span)?;
            time = Some(match time {
                None => step,
                Some(outer) => {
                    let stride = self.constant(frame, span, STRIDE, &TensorType::scalar(DType::I32));
                    let start = self.add(frame, span, ops::Mul, &[outer, stride])?;
                    self.add(frame, span, ops::Add, &[start, step])?
                }
            });
        }
        Ok(time)
    }

    /// The numbers of a loop's steps.
    pub(super) fn times(&mut self, frame: &Frame, length: &Dim, span: Span) -> TensorValue {
        let ty = TensorType::new(DType::I32, vec![length.clone()]);
        let node = self.builder(frame, span).emit(ops::Iota { axis: 0, ty }, &[]);
        TensorValue { node, which: self.graphs.which }
    }

    /// Refuses what only a whole training step has inside of a loop's step.
    pub(super) fn outside_loops(&mut self, what: &str, span: Span) -> Lowered<()> {
        if self.graphs.bodies.is_empty() {
            return Ok(());
        }
        Err(self.report(
            Diagnostic::error(Code::E0402, format!("{what} inside the step of a `scan`"))
                .at(span, "done at every time step, where it belongs to the training step")
                .with_help("carry the value through the loop and use its result after it"),
        ))
    }
}
