//! Adding nodes: the graphs and the findings together, for what turns values into nodes and knows no names.
//!
//! An op is added with all its operands in the graph that is being built; where an operand may be missing, the rules of
//! [`super::missing`] apply. What the op's shape rule says against it becomes a finding.

use super::findings::Findings;
use super::graphs::Graphs;
use super::value::{Frame, TensorValue, Value, Which};
use super::{Lowered, Reported};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Builder, DType, Dim, Graph, NodeId, Provenance, TensorType};
use crate::ops::{self, Concat, Constant, InputKind, Op, Reshape, Scalar};

/// Beyond this many nodes a spec is a mistake (a `repeat` gone wrong), not a model.
const MAX_NODES: usize = 250_000;

/// Adds nodes to the graph that is being built.
pub(crate) struct Emitter<'a> {
    pub graphs: &'a mut Graphs,
    pub findings: &'a mut Findings,
}

impl Emitter<'_> {
    pub(crate) fn report(&mut self, finding: Diagnostic) -> Reported {
        self.findings.report(finding)
    }

    pub(crate) fn error(
        &mut self,
        code: Code,
        span: Span,
        headline: impl Into<String>,
        label: impl Into<String>,
    ) -> Reported {
        self.findings.error(code, span, headline, label)
    }

    pub(crate) fn ty(&self, tensor: TensorValue) -> &TensorType {
        self.graphs.ty(tensor)
    }

    pub(super) fn describe(&self, value: &Value) -> String {
        self.graphs.describe(value)
    }

    pub(super) fn current(&mut self) -> &mut Graph {
        self.graphs.current()
    }

    pub(super) fn mask(&self, tensor: TensorValue) -> Option<NodeId> {
        self.graphs.mask(tensor)
    }

    pub(super) fn set_mask(&mut self, tensor: TensorValue, mask: NodeId) {
        self.graphs.set_mask(tensor, mask);
    }

    pub(crate) fn builder(&mut self, frame: &Frame, span: Span) -> Builder<'_> {
        Builder::new(self.graphs.current(), self.findings.provenance(frame, span))
    }

    /// Adds a node, reporting what its shape rule says against it.
    pub(crate) fn add(
        &mut self,
        frame: &Frame,
        span: Span,
        op: impl Into<Op>,
        operands: &[TensorValue],
    ) -> Lowered<TensorValue> {
        if self.graphs.which != Which::Init && operands.iter().any(|operand| self.mask(*operand).is_some()) {
            let mut own = Vec::with_capacity(operands.len());
            for operand in operands {
                own.push(self.in_current(*operand, span)?);
            }
            return self.add_masked(frame, span, op.into(), &own);
        }
        self.add_plain(frame, span, op, operands)
    }

    /// Adds a node whose operands are all there.
    pub(super) fn add_plain(
        &mut self,
        frame: &Frame,
        span: Span,
        op: impl Into<Op>,
        operands: &[TensorValue],
    ) -> Lowered<TensorValue> {
        let mut nodes = Vec::with_capacity(operands.len());
        for operand in operands {
            nodes.push(self.in_current(*operand, span)?.node);
        }
        self.check_size(span)?;
        match self.builder(frame, span).add(op, &nodes) {
            Ok(node) => Ok(TensorValue { node, which: self.graphs.which }),
            Err(error) => Err(self.findings.op_error(span, error)),
        }
    }

    /// Refuses a program that is too large.
    pub(super) fn check_size(&mut self, span: Span) -> Lowered<()> {
        if self.graphs.n_nodes() <= MAX_NODES {
            return Ok(());
        }
        let headline = format!("the program has more than {MAX_NODES} operations");
        Err(self.error(Code::E0701, span, headline, "while expanding this"))
    }

    /// A tensor usable in the graph being built: in the initial values a param or state stands for its own initial value.
    pub(crate) fn in_current(&mut self, tensor: TensorValue, span: Span) -> Lowered<TensorValue> {
        let which = self.graphs.which;
        if tensor.which == which {
            return Ok(tensor);
        }
        if let Which::Body(depth) = which {
            return self.captured(depth, tensor, span);
        }
        if which == Which::Init
            && tensor.which == Which::Step
            && let Op::Input(input) = self.graphs.step.op(tensor.node)
        {
            let name = &self.graphs.step.node(tensor.node).provenance.name;
            let initial = self.graphs.init.outputs.iter().find(|output| output.name == *name).map(|output| output.node);
            if let (InputKind::Param | InputKind::State, Some(node)) = (input.kind, initial) {
                return Ok(TensorValue { node, which: Which::Init });
            }
        }
        Err(self.report(
            Diagnostic::error(Code::E0404, "an initial value reads a value of the run")
                .at(span, "known only when a batch is")
                .with_help("initial values are computed once, before any data: use constants and initializers such as `zeros()`"),
        ))
    }

    /// The clock, the seed and other leaves that the compiler itself feeds, one node each.
    pub(super) fn leaf(&mut self, kind: InputKind, name: &str, ty: &TensorType, span: Span) -> TensorValue {
        self.graphs.leaf(kind, name, ty, Provenance { name: name.into(), span })
    }

    /// The number of the training step, from 0.
    pub(super) fn step_clock(&mut self, span: Span) -> TensorValue {
        self.leaf(InputKind::Step, "step", &TensorType::scalar(DType::I32), span)
    }

    /// The scalar clock that is 1 on the last step of an epoch, as a bool.
    pub(super) fn epoch_end(&mut self, frame: &Frame, span: Span) -> Lowered<TensorValue> {
        let scalar = TensorType::scalar(DType::I32);
        let clock = self.leaf(InputKind::EpochEnd, "epoch_end", &scalar, span);
        let one = self.constant(frame, span, 1.0, &scalar);
        self.add(frame, span, ops::Equal, &[clock, one])
    }

    /// `next` where a scalar condition holds, else `rest`.
    pub(super) fn choose(
        &mut self,
        frame: &Frame,
        condition: TensorValue,
        next: TensorValue,
        rest: TensorValue,
        span: Span,
    ) -> Lowered<TensorValue> {
        let shape = self.ty(next).shape.clone();
        let node = self.builder(frame, span).splat(condition.node, &shape);
        self.add(frame, span, ops::Select, &[TensorValue { node, which: next.which }, next, rest])
    }

    pub(super) fn constant(&mut self, frame: &Frame, span: Span, value: f64, ty: &TensorType) -> TensorValue {
        let node = self.builder(frame, span).emit(Constant { value: Scalar(value), ty: ty.clone() }, &[]);
        TensorValue { node, which: self.graphs.which }
    }

    /// A value as a tensor: numbers become constants, lists are stacked along a new first axis.
    #[allow(
        clippy::wrong_self_convention,
        reason = "the emitter converts, and reports what it finds; the value is the argument"
    )]
    pub(super) fn to_tensor(&mut self, frame: &Frame, value: Value, span: Span) -> Lowered<TensorValue> {
        self.to_tensor_of(frame, value, DType::F32, span)
    }

    /// As [`Self::to_tensor`], where the element type is known that is wanted: with `i32`, ints stay ints.
    #[allow(clippy::wrong_self_convention, reason = "as above")]
    pub(super) fn to_tensor_of(
        &mut self,
        frame: &Frame,
        value: Value,
        wanted: DType,
        span: Span,
    ) -> Lowered<TensorValue> {
        match value {
            Value::Tensor(tensor) => self.in_current(tensor, span),
            Value::Number { value, is_integer: true } if wanted == DType::I32 => {
                Ok(self.constant(frame, span, value, &TensorType::scalar(DType::I32)))
            }
            Value::Number { value, .. } => Ok(self.constant(frame, span, value, &TensorType::scalar(DType::F32))),
            Value::Bool(value) => {
                Ok(self.constant(frame, span, f64::from(u8::from(value)), &TensorType::scalar(DType::Bool)))
            }
            Value::Dim(dim) => {
                let node = self.builder(frame, span).size(&dim);
                let size = TensorValue { node, which: self.graphs.which };
                if wanted == DType::I32 { self.add(frame, span, ops::Cast { to: DType::I32 }, &[size]) } else { Ok(size) }
            }
            Value::List(items) if !items.is_empty() => self.stack(frame, items, wanted, span),
            Value::Group(group) => match &group.members[..] {
                [(_, tensor)] => self.in_current(*tensor, span),
                members => Err(self.findings.report(
                    Diagnostic::error(Code::E0306, format!("expected a tensor, found {} of a pattern", members.len()))
                        .at(span, "not a tensor")
                        .with_help("`sum`, `mean`, `max` and `min` take all of them together; `[f(w) for w in trunk.*]` takes them one by one"),
                )),
            },
            Value::Poison => Err(Reported),
            Value::Partial(partial) => Err(self.findings.unfinished(&partial, span)),
            Value::List(_)
            | Value::Text(_)
            | Value::None
            | Value::Definition(_)
            | Value::Builtin(_)
            | Value::Instance(_) => {
                let found = self.describe(&value);
                Err(self.error(Code::E0306, span, format!("expected a tensor, found {found}"), "not a tensor"))
            }
        }
    }

    /// Values of one shape along a new first axis.
    fn stack(&mut self, frame: &Frame, items: Vec<Value>, wanted: DType, span: Span) -> Lowered<TensorValue> {
        let mut rows = Vec::with_capacity(items.len());
        for item in items {
            let tensor = self.to_tensor_of(frame, item, wanted, span)?;
            let mut shape = self.ty(tensor).shape.clone();
            shape.insert(0, Dim::known(1));
            rows.push(self.add(frame, span, Reshape { shape }, &[tensor])?);
        }
        if rows.len() == 1 { Ok(rows[0]) } else { self.add(frame, span, Concat { axis: 0 }, &rows) }
    }
}
