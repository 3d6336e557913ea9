//! Params and states, carried from step to step.

use crate::ir::DType;
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

    pub fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Int(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

/// A key that is looked up without a copy of its name.
#[derive(Hash)]
struct Key<'a>(StoreKind, &'a str);

impl Equivalent<(StoreKind, Arc<str>)> for Key<'_> {
    fn equivalent(&self, (kind, name): &(StoreKind, Arc<str>)) -> bool {
        self.0 == *kind && self.1 == &**name
    }
}

/// One carried value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<T> {
    pub kind: StoreKind,
    pub name: Arc<str>,
    pub shape: Vec<usize>,
    pub values: Values<T>,
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

    pub fn insert(&mut self, kind: StoreKind, name: Arc<str>, shape: Vec<usize>, values: Values<T>) {
        self.entries.insert((kind, name.clone()), Entry { kind, name, shape, values });
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry<T>> {
        self.entries.values()
    }

    /// A value, if there is one of that name.
    pub fn find(&self, kind: StoreKind, name: &str) -> Option<&Values<T>> {
        self.entries.get(&Key(kind, name)).map(|entry| &entry.values)
    }

    pub fn find_mut(&mut self, kind: StoreKind, name: &str) -> Option<&mut Values<T>> {
        self.entries.get_mut(&Key(kind, name)).map(|entry| &mut entry.values)
    }

    /// As [`Store::find_mut`], looking first where the value was found the last time, and noting where it is.
    pub(crate) fn find_again(&mut self, last: &mut usize, kind: StoreKind, name: &str) -> Option<&mut Values<T>> {
        let is_there = self.entries.get_index(*last).is_some_and(|(key, _)| Key(kind, name).equivalent(key));
        if !is_there {
            *last = self.entries.get_index_of(&Key(kind, name))?;
        }
        self.entries.get_index_mut(*last).map(|(_, entry)| &mut entry.values)
    }

    /// # Panics
    /// When there is none: the store is made from the program's own initial values.
    pub(crate) fn get(&self, kind: StoreKind, name: &str) -> &Values<T> {
        self.find(kind, name).unwrap_or_else(|| panic!("internal: the store lacks {name}"))
    }

    pub(crate) fn set(&mut self, kind: StoreKind, name: &str, values: Values<T>) {
        if let Some(entry) = self.find_mut(kind, name) {
            *entry = values;
        }
    }
}
