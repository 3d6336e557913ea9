//! The syntax tree: what the text says, before any name is looked up.
//!
//! The tree keeps everything the formatter needs (order, annotations, pipes as pipes) and nothing else: no types,
//! no scopes. Every node has the span of its text.

use crate::diag::Span;
use std::sync::Arc;

/// A name as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Ident {
    pub name: Arc<str>,
    pub span: Span,
}

/// One source text.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    pub statements: Vec<Statement>,
    pub span: Span,
}

/// `{ … }` with the statements in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub statements: Vec<Statement>,
    pub span: Span,
}

/// An item at file level or a statement in a body. Which kinds may stand where is checked in `lower`.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// `@allow(weight-collapse)` and the like, before the statement.
    pub annotations: Vec<Annotation>,
    /// The `#` comment lines directly above (without `#`), the documentation of a definition.
    pub doc: Vec<Arc<str>>,
    pub kind: StatementKind,
    pub span: Span,
}

/// `@name(arg, arg)`; arguments may hold hyphens (lint names).
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    pub name: Ident,
    pub arguments: Vec<Ident>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum StatementKind {
    /// `const width = 128`
    Const { name: Ident, value: Expr },
    /// `input x: TYPE`
    Input { name: Ident, ty: TypeExpr },
    /// `target y: TYPE`, `target y: TYPE?`
    Target { name: Ident, ty: TypeExpr },
    /// `param w: TYPE = INIT in CONSTRAINT`
    Param { name: Ident, ty: TypeExpr, init: Expr, constraint: Option<Expr> },
    /// `state s: TYPE = INIT`; the type may be left out where the initial value has one (`zeros_like(param)`). In
    /// `state slow.* = fast.*` the name is a pattern.
    State { name: Ident, ty: Option<TypeExpr>, init: Expr },
    /// `update s = EXPR`, `update s = EXPR every epoch`; the name may be a pattern or a path
    Update { name: Ident, value: Expr, every_epoch: bool },
    /// `let v = EXPR`
    Let { name: Ident, value: Expr },
    /// `output box, class = heads(x)`, likewise `let`, `loss` and `metric`: two names or more for the elements of a list
    Several { kind: SeveralKind, names: Vec<Ident>, value: Expr },
    /// `layer enc = dense(units=64)`
    LayerBinding { name: Ident, value: Expr },
    /// `output o = EXPR`
    Output { name: Ident, value: Expr },
    /// `loss l = EXPR`
    Loss { name: Ident, value: Expr },
    /// `metric m = EXPR`
    Metric { name: Ident, value: Expr },
    /// `fn`, `layer`, `combiner`, `optimizer`, `initializer` with a body
    Definition(Arc<Definition>),
    /// `train { … }`
    Train { entries: Vec<TrainEntry> },
    /// `assert …`
    Assert(Assertion),
    /// `use "blocks.anb"`
    Use { path: Arc<str>, path_span: Span },
    /// `return EXPR`
    Return { value: Expr },
    /// `if COND { … } else { … }` on a compile-time condition
    If { condition: Expr, then: Block, otherwise: Option<Block> },
}

impl StatementKind {
    /// The names that an item of a file gives to values.
    pub fn item_names(&self) -> impl Iterator<Item = &Ident> {
        let several: &[Ident] = if let Self::Several { names, .. } = self { names } else { &[] };
        self.item_name().into_iter().chain(several)
    }

    fn item_name(&self) -> Option<&Ident> {
        match self {
            Self::Const { name, .. }
            | Self::Input { name, .. }
            | Self::Target { name, .. }
            | Self::Param { name, .. }
            | Self::State { name, .. }
            | Self::Let { name, .. }
            | Self::LayerBinding { name, .. }
            | Self::Output { name, .. }
            | Self::Loss { name, .. }
            | Self::Metric { name, .. } => Some(name),
            Self::Definition(_)
            | Self::Several { .. }
            | Self::Update { .. }
            | Self::Train { .. }
            | Self::Assert(_)
            | Self::Use { .. }
            | Self::Return { .. }
            | Self::If { .. } => None,
        }
    }
}

/// What [`StatementKind::Several`] makes of each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeveralKind {
    Let,
    Output,
    Loss,
    Metric,
}

impl SeveralKind {
    /// The keyword that introduces it.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Let => "let",
            Self::Output => "output",
            Self::Loss => "loss",
            Self::Metric => "metric",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DefinitionKind {
    Fn,
    Layer,
    Combiner,
    Optimizer,
    Initializer,
}

impl DefinitionKind {
    /// The keyword that introduces it.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Fn => "fn",
            Self::Layer => "layer",
            Self::Combiner => "combiner",
            Self::Optimizer => "optimizer",
            Self::Initializer => "initializer",
        }
    }
}

/// `fn huber(y, p, delta=1.0) { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub kind: DefinitionKind,
    pub name: Ident,
    pub parameters: Vec<DefinitionParameter>,
    pub body: Block,
}

/// One parameter of a definition: `x: f32[batch, ..., N]`, `units: int`, `delta=1.0`, `losses...: f32`.
#[derive(Clone, Debug, PartialEq)]
pub struct DefinitionParameter {
    pub name: Ident,
    pub ty: Option<TypeExpr>,
    pub default: Option<Expr>,
    /// `losses...`: takes any number of positional arguments.
    pub variadic: bool,
    pub span: Span,
}

/// `f32[batch, 3]?`: an element type, the dims when written, and whether values may be missing.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeExpr {
    pub element: Ident,
    /// `None`: no brackets (a scalar, or a compile-time type such as `int`).
    pub dims: Option<Vec<DimExpr>>,
    pub optional: bool,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DimExpr {
    /// A number, a name or arithmetic on them.
    Expr(Expr),
    /// `...`: any axes (only in a definition's signature).
    Rest(Span),
}

#[derive(Clone, Debug, PartialEq)]
pub struct TrainEntry {
    pub kind: TrainEntryKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TrainEntryKind {
    /// `minimize total`, `minimize d_loss over critic.*, head.*`
    Minimize { objective: Expr, over: Vec<Pattern> },
    /// `optimizer sgd(lr=0.05) for total.alpha`, `optimizer adam() per objective`
    Optimizer { call: Expr, per_objective: bool, params: Vec<Pattern> },
    /// `clip global_norm=1.0`
    Clip { arguments: Vec<Argument> },
}

/// A param path or a pattern of paths: `total.alpha`, `critic.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    pub text: Arc<str>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Assertion {
    /// `assert alpha_loss trains only alpha`, `assert x never trains encoder.*`, `assert x trains y`
    Trains { subject: Expr, mode: TrainsMode, params: Vec<Pattern> },
    /// `assert every param is trained`
    EveryParamTrained,
    /// `assert predict draws nothing`, `assert predict reads no loss weight`
    Predict(PredictMode),
    /// `assert box: f32[batch, 3, 3, 1]`
    Shape { subject: Expr, ty: TypeExpr },
    /// `assert units > 0`: a compile-time condition
    Condition { condition: Expr },
}

/// What a spec asserts of its prediction program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredictMode {
    /// no random number
    DrawsNothing,
    /// no param that weighs losses
    ReadsNoLossWeight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainsMode {
    /// reaches each named param
    Trains,
    /// reaches each named param and no other
    Only,
    /// reaches none of them
    Never,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1`, `0.5`, `1e-3`, `10_000`; `text` is what was written, `is_integer` that it has neither point nor exponent.
    Number {
        text: Arc<str>,
        value: f64,
        is_integer: bool,
    },
    /// `"same"`
    String(Arc<str>),
    /// `true`, `false`
    Bool(bool),
    /// `none`
    None,
    Name(Arc<str>),
    /// `trunk.*.kernel`, `*.bias`
    Wildcard(Arc<str>),
    /// `enc.kernel`
    Field {
        base: Box<Expr>,
        field: Ident,
    },
    /// `f(a, k=3)`
    Call {
        callee: Box<Expr>,
        arguments: Vec<Argument>,
    },
    /// `a |> f(k=3)`, `a |> f`; `call` is the right side as written
    Pipe {
        value: Box<Expr>,
        call: Box<Expr>,
    },
    Unary {
        op: UnaryOp,
        operand: Box<Expr>,
    },
    Binary {
        op: BinaryOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `x[:, 0:1]`, `losses[0]`
    Index {
        base: Box<Expr>,
        items: Vec<IndexItem>,
    },
    /// `[1, 2]`
    List(Vec<Expr>),
    /// `[f(l) for l in losses]`
    ListOf {
        element: Box<Expr>,
        name: Ident,
        source: Box<Expr>,
    },
    /// `if COND { a } else { b }`
    If {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// In the arguments of `at`, also a path or a pattern.
    pub name: Option<Ident>,
    pub value: Expr,
    /// `losses...`: the elements of a list or of a variadic parameter, one argument each
    pub spread: bool,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum IndexItem {
    Single(Expr),
    /// `start:stop:step`, each optional
    Range {
        start: Option<Expr>,
        stop: Option<Expr>,
        step: Option<Expr>,
        span: Span,
    },
    /// `...`
    Rest(Span),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    Negate,
    Not,
}

impl UnaryOp {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Negate => "-",
            Self::Not => "not",
        }
    }
}

/// Binary operators, loosest first: `or`, `and`, comparisons (not chained), `+ -`, `* / @`, then unary `-`, then `**`
/// (right to left). `|>` binds looser than all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    /// the quotient rounded down
    FloorDivide,
    /// with the sign of the divisor
    Remainder,
    MatMul,
    Power,
}

impl BinaryOp {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::FloorDivide => "//",
            Self::Remainder => "%",
            Self::MatMul => "@",
            Self::Power => "**",
        }
    }
}

impl Expr {
    /// The name, when the expression is just a name.
    pub fn as_name(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Name(name) => Some(name),
            _ => None,
        }
    }
}
