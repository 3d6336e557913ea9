//! Compile-time values and the frames they live in.

use crate::diag::Span;
use crate::ir::{Dim, NodeId, Shape, TensorType};
use crate::syntax::ast::{Definition, DefinitionKind};
use indexmap::IndexMap;
use std::sync::Arc;

/// Which graph a tensor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    Step,
    Init,
    /// the body of a loop, by its depth: a loop in a loop is 1
    Body(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorValue {
    pub node: NodeId,
    pub which: Which,
}

/// Whose text a definition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    Spec,
    Library,
}

/// What an expression evaluates to while the graph is built.
#[derive(Clone, Debug)]
pub enum Value {
    Tensor(TensorValue),
    /// A compile-time number; `is_integer` when it was written or computed as an int.
    Number {
        value: f64,
        is_integer: bool,
    },
    /// An extent known only at run time.
    Dim(Dim),
    Bool(bool),
    Text(Arc<str>),
    None,
    List(Vec<Value>),
    /// What a pattern names, or something made of each.
    Group(Arc<Group>),
    Definition(Arc<DefinitionValue>),
    Builtin(&'static super::builtins::Builtin),
    /// A named layer instance: its calls share params.
    Instance(Arc<Instance>),
    /// An initializer or optimizer with some of its arguments.
    Partial(Arc<Partial>),
    /// The value of something that was reported as broken.
    Poison,
}

/// Tensors by the paths of the params that they are or are made of, in order.
#[derive(Clone, Debug)]
pub struct Group {
    pub members: Vec<(Arc<str>, TensorValue)>,
}

#[derive(Debug)]
pub struct DefinitionValue {
    pub definition: Arc<Definition>,
    pub home: Home,
}

#[derive(Debug)]
pub struct Instance {
    pub definition: Arc<DefinitionValue>,
    pub arguments: IndexMap<Arc<str>, Value>,
    pub path: Arc<str>,
}

#[derive(Debug)]
pub struct Partial {
    pub definition: Arc<DefinitionValue>,
    pub arguments: IndexMap<Arc<str>, Value>,
}

impl Value {
    pub fn integer(value: usize) -> Self {
        Self::Number { value: value as f64, is_integer: true }
    }

    pub fn number(value: f64) -> Self {
        Self::Number { value, is_integer: false }
    }

    pub fn dim(dim: &Dim) -> Self {
        dim.as_known().map_or_else(|| Self::Dim(dim.clone()), Self::integer)
    }

    /// 1, and for a list that of its elements besides.
    pub fn n_elements(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::n_elements).sum::<usize>(),
            Self::Group(group) => 1 + group.members.len(),
            _ => 1,
        }
    }

    /// What kind of thing it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tensor(_) => "a tensor",
            Self::Number { .. } => "a number",
            Self::Dim(_) => "a run-time dim",
            Self::Bool(_) => "a bool",
            Self::Text(_) => "a text",
            Self::None => "`none`",
            Self::List(_) => "a list",
            Self::Group(_) => "the params of a pattern",
            Self::Definition(definition) => match definition.definition.kind {
                DefinitionKind::Fn => "a function",
                DefinitionKind::Layer => "a layer",
                DefinitionKind::Combiner => "a combiner",
                DefinitionKind::Optimizer => "an optimizer",
                DefinitionKind::Initializer => "an initializer",
            },
            Self::Builtin(_) => "a function",
            Self::Instance(_) => "a layer instance",
            Self::Partial(_) => "a definition with arguments",
            Self::Poison => "a broken value",
        }
    }
}

/// A name and what it stands for.
#[derive(Clone, Debug)]
pub struct Binding {
    pub value: Value,
    pub span: Span,
    /// Bound by a call: the body may give the name a value of its own (`bias=true`, then `param bias`).
    pub is_parameter: bool,
}

impl Binding {
    pub fn parameter(value: Value, span: Span) -> Self {
        Self { value, span, is_parameter: true }
    }

    pub fn own(value: Value, span: Span) -> Self {
        Self { value, span, is_parameter: false }
    }
}

/// A call being expanded.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: Arc<str>,
    pub span: Span,
    /// whose text is being expanded
    pub home: Home,
    /// whose text made the call
    pub from: Home,
    /// the tensors it was called with, for messages
    pub operands: Vec<(Arc<str>, TensorType)>,
}

/// Names and paths of the code being lowered.
#[derive(Clone, Debug)]
pub struct Frame {
    /// local names; `None` at file level, where names go to the globals
    pub locals: Option<IndexMap<Arc<str>, Binding>>,
    /// the path that params and states created here are named by
    pub path: Arc<str>,
    /// the path that nodes created here are named by
    pub value_path: Arc<str>,
    pub home: Home,
    /// the kind of definition whose body this is
    pub kind: Option<DefinitionKind>,
    /// how often each layer was called here, for `dense`, `dense_2`
    pub instances: IndexMap<Arc<str>, usize>,
    /// params that exist are taken again: the body of a named instance
    pub reuse: bool,
    /// the shape of the param whose initial value is being computed
    pub init_shape: Option<Shape>,
    /// what each `*` of the pattern stands for that a value is put in the place of
    pub captures: Vec<Arc<str>>,
}

impl Frame {
    /// The frame of a spec's own items.
    pub fn file() -> Self {
        Self {
            locals: None,
            path: "".into(),
            value_path: "".into(),
            home: Home::Spec,
            kind: None,
            instances: IndexMap::new(),
            reuse: false,
            init_shape: None,
            captures: Vec::new(),
        }
    }

    /// `path.name`
    pub fn child_path(&self, name: &str) -> Arc<str> {
        if self.path.is_empty() { name.into() } else { format!("{}.{name}", self.path).into() }
    }

    /// The path of a new layer instance called `name` here.
    pub fn instance_path(&mut self, name: &str) -> Arc<str> {
        let count = self.instances.entry(name.into()).or_insert(0);
        *count += 1;
        let name = if *count == 1 { name.to_string() } else { format!("{name}_{count}") };
        self.child_path(&name)
    }
}
