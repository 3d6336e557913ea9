//! Params and states, carried from step to step.
//!
//! Establishes: a value has as many elements as its shape says, floats or ints as its element type says. Every way to change one
//! checks that, so an executor that has compared type and shape may rely on the elements.

use super::engine::entry;
use super::memory;
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::ir::{DType, Dim, TensorType};
use crate::ops::{Element, Tensor};
use indexmap::{Equivalent, IndexMap};
use ndarray::{ArrayD, IxDyn};
use std::sync::Arc;

/// A flat, row-major buffer. Bools are kept as ints, 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Values<T> {
    Float(Vec<T>),
    Int(Vec<i32>),
}

impl<T: Element> Values<T> {
    pub fn zeros(dtype: DType, n_elements: usize) -> Self {
        match dtype {
            DType::F32 => Self::Float(vec![T::zero(); n_elements]),
            DType::I32 | DType::Bool => Self::Int(vec![0; n_elements]),
        }
    }

    /// As [`Values::zeros`]; `name` is what a finding calls them.
    ///
    /// # Errors
    /// E0702 when there is no memory for them.
    pub(super) fn try_zeros(dtype: DType, shape: &[usize], name: &str) -> Result<Self, Diagnostics> {
        let n_elements = shape.iter().copied().fold(1, usize::saturating_mul);
        Ok(match dtype {
            DType::F32 => Self::Float(memory::zeros(n_elements, name)?),
            DType::I32 | DType::Bool => Self::Int(memory::zeros(n_elements, name)?),
        })
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Int(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What they take of memory.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Float(values) => size_of_val(values.as_slice()) as u64,
            Self::Int(values) => size_of_val(values.as_slice()) as u64,
        }
    }

    /// The floats, or none when the values are ints.
    pub fn floats(&self) -> &[T] {
        match self {
            Self::Float(values) => values,
            Self::Int(_) => &[],
        }
    }

    pub(crate) fn from_tensor(tensor: &Tensor<T>) -> Self {
        match tensor {
            Tensor::Float(array) => Self::Float(array.iter().copied().collect()),
            Tensor::Int(array) => Self::Int(array.iter().copied().collect()),
            Tensor::Bool(array) => Self::Int(array.iter().map(|value| i32::from(*value)).collect()),
        }
    }

    pub(crate) fn to_tensor(&self, dtype: DType, shape: &[usize]) -> Tensor<T> {
        let shape = IxDyn(shape);
        let fits = "internal: one value an element";
        match (self, dtype) {
            (Self::Float(values), _) => Tensor::Float(ArrayD::from_shape_vec(shape, values.clone()).expect(fits)),
            (Self::Int(values), DType::Bool) => {
                let values = values.iter().map(|value| *value != 0).collect();
                Tensor::Bool(ArrayD::from_shape_vec(shape, values).expect(fits))
            }
            (Self::Int(values), _) => Tensor::Int(ArrayD::from_shape_vec(shape, values.clone()).expect(fits)),
        }
    }
}

/// Which of the two kinds of carried values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreKind {
    Param,
    State,
}

impl StoreKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Param => "param",
            Self::State => "state",
        }
    }
}

/// A key that is looked up without a copy of its name.
#[derive(Hash)]
struct Key<'a>(StoreKind, &'a str);

impl Equivalent<(StoreKind, Arc<str>)> for Key<'_> {
    fn equivalent(&self, (kind, name): &(StoreKind, Arc<str>)) -> bool {
        self.0 == *kind && self.1 == &**name
    }
}

/// What a carried value is: its name, element type and shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    pub kind: StoreKind,
    pub name: Arc<str>,
    pub dtype: DType,
    pub shape: Vec<usize>,
}

impl Carried {
    fn n_elements(&self) -> usize {
        self.shape.iter().copied().fold(1, usize::saturating_mul)
    }

    /// `f32[3, 4]`
    fn type_text(&self) -> String {
        TensorType::new(self.dtype, self.shape.iter().map(|extent| Dim::known(*extent)).collect()).to_string()
    }

    /// Whether values are of this type: floats or ints, and as many as there are elements.
    fn accept<T: Element>(&self, values: &Values<T>) -> Result<(), StoreError> {
        let is_of_type = match (values, self.dtype) {
            (Values::Float(_), DType::F32) | (Values::Int(_), DType::I32) => true,
            (Values::Int(values), DType::Bool) => values.iter().all(|value| matches!(value, 0 | 1)),
            (Values::Float(_), DType::I32 | DType::Bool) | (Values::Int(_), DType::F32) => false,
        };
        if is_of_type && values.len() == self.n_elements() {
            return Ok(());
        }
        let elements = match values {
            Values::Float(_) => "floats",
            Values::Int(_) => "ints",
        };
        let found = format!("{} {elements}", values.len());
        Err(StoreError::Type { kind: self.kind, name: self.name.clone(), expected: self.type_text(), found })
    }
}

/// Why a store does not take a value, or a program does not run on a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("there is no {} `{name}`", .kind.as_str())]
    Missing { kind: StoreKind, name: Arc<str> },
    #[error("the {} `{name}` is {expected}, not {found}", .kind.as_str())]
    Type { kind: StoreKind, name: Arc<str>, expected: String, found: String },
}

impl From<StoreError> for Diagnostics {
    fn from(error: StoreError) -> Self {
        let finding = Diagnostic::error(Code::E0606, error.to_string());
        match error {
            StoreError::Missing { .. } => finding.with_note("expected: every param and state of the program"),
            StoreError::Type { expected, found, .. } => {
                finding.with_note(format!("found: {found}")).with_note(format!("expected: {expected}"))
            }
        }
        .with_help("take the params and states of the same model")
        .into()
    }
}

/// One carried value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<T> {
    what: Carried,
    values: Values<T>,
}

impl<T> Entry<T> {
    pub fn kind(&self) -> StoreKind {
        self.what.kind
    }

    pub fn name(&self) -> &Arc<str> {
        &self.what.name
    }

    pub fn dtype(&self) -> DType {
        self.what.dtype
    }

    pub fn shape(&self) -> &[usize] {
        &self.what.shape
    }

    pub fn values(&self) -> &Values<T> {
        &self.values
    }
}

/// Params and states of a model, in the order of the spec.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Store<T> {
    entries: IndexMap<(StoreKind, Arc<str>), Entry<T>>,
}

impl<T: Element> Store<T> {
    pub fn new() -> Self {
        Self { entries: IndexMap::new() }
    }

    /// Zeros for all that a program carries.
    ///
    /// # Errors
    /// E0702 when they do not fit in memory.
    pub fn zeros(carried: &[Carried]) -> Result<Self, Diagnostics> {
        (entry().zeros)(carried)
    }

    pub(super) fn filled_with_zeros(carried: &[Carried]) -> Result<Self, Diagnostics> {
        let mut store = Self::new();
        for what in carried {
            let values = Values::try_zeros(what.dtype, &what.shape, &format!("`{}`", what.name))?;
            store.insert(what.clone(), values)?;
        }
        Ok(store)
    }

    /// Adds a value, or puts it in the place of the one of that kind and name.
    ///
    /// # Errors
    /// When the values are not of that type, or not as many as the shape says.
    pub fn insert(&mut self, what: Carried, values: Values<T>) -> Result<(), StoreError> {
        what.accept(&values)?;
        self.entries.insert((what.kind, what.name.clone()), Entry { what, values });
        Ok(())
    }

    /// Gives a value that is there other elements.
    ///
    /// # Errors
    /// When there is none of that name, or the values are not of its type and shape.
    pub fn set(&mut self, kind: StoreKind, name: &str, values: Values<T>) -> Result<(), StoreError> {
        let entry = self.entries.get_mut(&Key(kind, name));
        let entry = entry.ok_or_else(|| StoreError::Missing { kind, name: name.into() })?;
        entry.what.accept(&values)?;
        entry.values = values;
        Ok(())
    }

    /// What the values take of memory.
    pub fn bytes(&self) -> u64 {
        self.entries.values().map(|entry| entry.values.bytes()).fold(0, u64::saturating_add)
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry<T>> {
        self.entries.values()
    }

    /// A value, if there is one of that name.
    pub fn find(&self, kind: StoreKind, name: &str) -> Option<&Values<T>> {
        self.entries.get(&Key(kind, name)).map(|entry| &entry.values)
    }

    /// The elements of a value, as what a program takes them for.
    ///
    /// # Errors
    /// When there is no such value, or it is of another type or shape.
    pub(crate) fn get(&self, what: &Carried) -> Result<&Values<T>, StoreError> {
        let entry = self.entries.get(&Key(what.kind, &what.name));
        let entry = entry.ok_or_else(|| StoreError::Missing { kind: what.kind, name: what.name.clone() })?;
        entry.is(what)?;
        Ok(&entry.values)
    }

    /// As [`Store::get`], to write, looking first where the value was found the last time, and noting where it is. The
    /// caller changes elements only.
    pub(super) fn get_again(&mut self, last: &mut usize, what: &Carried) -> Result<&mut Values<T>, StoreError> {
        let key = Key(what.kind, &what.name);
        let is_there = self.entries.get_index(*last).is_some_and(|(found, _)| key.equivalent(found));
        let at = if is_there { Some(*last) } else { self.entries.get_index_of(&key) };
        let found = at.and_then(|at| self.entries.get_index_mut(at).map(|(_, entry)| (at, entry)));
        let missing = || StoreError::Missing { kind: what.kind, name: what.name.clone() };
        let (at, entry) = found.ok_or_else(missing)?;
        *last = at;
        entry.is(what)?;
        Ok(&mut entry.values)
    }
}

impl<T> Entry<T> {
    /// Whether this is what a program takes it for.
    fn is(&self, wanted: &Carried) -> Result<(), StoreError> {
        if self.what.dtype == wanted.dtype && self.what.shape == wanted.shape {
            return Ok(());
        }
        let (expected, found) = (wanted.type_text(), self.what.type_text());
        Err(StoreError::Type { kind: wanted.kind, name: wanted.name.clone(), expected, found })
    }
}
