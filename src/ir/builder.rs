//! Builds graphs: the only way to add a node, since it runs the op's shape rule.
//!
//! [`Builder::add`] is for code that a user's mistake can reach: it returns the rule's error. The short methods
//! (`mul`, `sum`, …) are for rules and passes whose shapes are right by construction; there an error is a bug and panics.

use super::dim::Dim;
use super::graph::{Graph, Node, NodeId, Provenance};
use super::types::{DType, Shape, TensorType};
use crate::ops::{self, Op, OpError, Scalar};

/// A graph being built, with the provenance that new nodes get.
#[derive(Debug)]
pub struct Builder<'g> {
    graph: &'g mut Graph,
    provenance: Provenance,
}

impl<'g> Builder<'g> {
    pub fn new(graph: &'g mut Graph, provenance: Provenance) -> Self {
        Self { graph, provenance }
    }

    pub fn graph(&self) -> &Graph {
        self.graph
    }

    pub fn ty(&self, id: NodeId) -> &TensorType {
        self.graph.ty(id)
    }

    pub fn shape(&self, id: NodeId) -> &[Dim] {
        &self.graph.ty(id).shape
    }

    /// Changes the provenance of the nodes added from here on.
    pub fn set_provenance(&mut self, provenance: Provenance) {
        self.provenance = provenance;
    }

    /// Adds a node.
    ///
    /// # Errors
    /// What the op's shape rule says about the operands.
    pub fn add(&mut self, op: impl Into<Op>, operands: &[NodeId]) -> Result<NodeId, OpError> {
        let op = op.into();
        let types: Vec<&TensorType> = operands.iter().map(|operand| self.graph.ty(*operand)).collect();
        let ty = op.infer(&types)?;
        Ok(self.graph.push(Node { op, ty, provenance: self.provenance.clone() }, operands))
    }

    /// Adds a node whose operands fit by construction.
    ///
    /// # Panics
    /// When they do not: a bug in the caller.
    pub fn emit(&mut self, op: impl Into<Op>, operands: &[NodeId]) -> NodeId {
        let op = op.into();
        let name = op.name();
        match self.add(op, operands) {
            Ok(id) => id,
            Err(error) => {
                let types: Vec<_> = operands.iter().map(|operand| self.ty(*operand).to_string()).collect();
                panic!("internal: {name}({}) for `{}`: {error}", types.join(", "), self.provenance.name)
            }
        }
    }

    /// A tensor of one value repeated.
    pub fn constant(&mut self, value: f64, ty: &TensorType) -> NodeId {
        self.emit(ops::Constant { value: Scalar(value), ty: ty.clone() }, &[])
    }

    /// A tensor of the same type as `like`, of one value repeated.
    pub fn constant_like(&mut self, value: f64, like: NodeId) -> NodeId {
        let ty = self.ty(like).clone();
        self.constant(value, &ty)
    }

    pub fn zeros_like(&mut self, like: NodeId) -> NodeId {
        self.constant_like(0.0, like)
    }

    /// The extent of a dim as a scalar `f32`.
    pub fn size(&mut self, dim: &Dim) -> NodeId {
        match dim.as_known() {
            Some(extent) => self.constant(extent as f64, &TensorType::scalar(DType::F32)),
            None => self.emit(ops::Size { dim: dim.clone() }, &[]),
        }
    }

    pub fn neg(&mut self, x: NodeId) -> NodeId {
        self.emit(ops::Neg, &[x])
    }

    pub fn add2(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.emit(ops::Add, &[x, y])
    }

    pub fn sub(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.emit(ops::Sub, &[x, y])
    }

    pub fn mul(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.emit(ops::Mul, &[x, y])
    }

    pub fn div(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.emit(ops::Div, &[x, y])
    }

    /// `factor * x`
    pub fn scale(&mut self, factor: f64, x: NodeId) -> NodeId {
        let factor = self.constant_like(factor, x);
        self.mul(factor, x)
    }

    pub fn select(&mut self, mask: NodeId, x: NodeId, y: NodeId) -> NodeId {
        self.emit(ops::Select, &[mask, x, y])
    }

    /// Sum over axes, which go away.
    pub fn sum(&mut self, x: NodeId, axes: &[usize]) -> NodeId {
        if axes.is_empty() { x } else { self.emit(ops::Sum { axes: axes.to_vec() }, &[x]) }
    }

    /// `x` repeated to `shape`; axis `i` of `x` becomes axis `axes[i]`.
    pub fn broadcast(&mut self, x: NodeId, shape: &[Dim], axes: &[usize]) -> NodeId {
        if self.shape(x) == shape {
            return x;
        }
        self.emit(ops::Broadcast { shape: shape.to_vec(), axes: axes.to_vec() }, &[x])
    }

    /// A scalar repeated to `shape`.
    pub fn splat(&mut self, x: NodeId, shape: &[Dim]) -> NodeId {
        self.broadcast(x, shape, &[])
    }

    /// Puts axes back that a reduction over `axes` took away: the result has `shape`.
    pub fn unreduce(&mut self, x: NodeId, shape: &[Dim], axes: &[usize]) -> NodeId {
        let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
        self.broadcast(x, shape, &kept)
    }

    pub fn reshape(&mut self, x: NodeId, shape: Shape) -> NodeId {
        if self.shape(x) == shape.as_slice() { x } else { self.emit(ops::Reshape { shape }, &[x]) }
    }

    pub fn transpose(&mut self, x: NodeId, permutation: &[usize]) -> NodeId {
        if permutation.iter().enumerate().all(|(i, axis)| i == *axis) {
            return x;
        }
        self.emit(ops::Transpose { permutation: permutation.to_vec() }, &[x])
    }

    /// The mean over axes: the sum divided by the number of elements.
    pub fn mean(&mut self, x: NodeId, axes: &[usize]) -> NodeId {
        if axes.is_empty() {
            return x;
        }
        let (known, open): (Vec<Dim>, Vec<Dim>) =
            axes.iter().map(|axis| self.shape(x)[*axis].clone()).partition(|dim| dim.as_known().is_some());
        let known: f64 = known.iter().filter_map(Dim::as_known).map(|extent| extent as f64).product();
        let sum = self.sum(x, axes);
        let shape = self.shape(sum).to_vec();
        let mut mean = sum;
        if known != 1.0 {
            let count = self.constant_like(known, sum);
            mean = self.div(mean, count);
        }
        for dim in &open {
            let size = self.size(dim);
            let size = self.splat(size, &shape);
            mean = self.div(mean, size);
        }
        mean
    }
}
