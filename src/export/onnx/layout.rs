//! Elements in other places.

use super::op::whole;
use super::proto::Attribute;
use super::scope::{Refused, Value};
use super::{Constant, Lowering};
use crate::ir::{DType, Dim, TensorType};
use crate::ops::{Broadcast, Pad, Slice};
use std::sync::Arc;

type Lowered = Result<Value, Refused>;

impl Lowering<'_> {
    /// A broadcast costs nothing: extents of 1 at the new axes, which elementwise operators stretch.
    pub(super) fn broadcast(&mut self, op: &Broadcast, operands: &[Value], ty: &TensorType) -> Lowered {
        let x = &operands[0];
        let new: Vec<usize> = op.new_axes();
        if new.is_empty() {
            return Ok(x.clone());
        }
        // A single number repeats in every rank.
        if !x.is_whole && x.layout.is_empty() || x.ty.is_scalar() {
            return Ok(Value { ty: ty.clone(), is_whole: false, layout: Vec::new(), ..x.clone() });
        }
        let layout: Vec<usize> = (0..x.ty.rank()).collect();
        let tensor = self.scopes.tensor(x, &layout, false)?;
        let layout = (0..ty.rank()).collect();
        if let Some(constant) = x.constant.as_ref().filter(|_| x.is_plain() && x.is_whole) {
            let mut kept = constant.shape.iter();
            let shape: Vec<usize> = (0..ty.rank())
                .map(|axis| if new.contains(&axis) { 1 } else { kept.next().copied().unwrap_or(1) })
                .collect();
            let constant = Constant { shape, elements: constant.elements.clone() };
            let name = format!("{tensor}:{}", new.iter().map(|axis| axis.to_string()).collect::<String>());
            self.scopes.stored(&name, &constant);
            return Ok(Value { name, ty: ty.clone(), is_whole: false, layout, constant: Some(Arc::new(constant)) });
        }
        let axes = self.scopes.indices(&new.iter().map(|axis| *axis as i64).collect::<Vec<_>>());
        let name = self.scopes.node("Unsqueeze", &[&tensor, &axes], &[]);
        Ok(Value { name, ty: ty.clone(), is_whole: false, layout, constant: None })
    }

    pub(super) fn concat(&mut self, axis: usize, operands: &[Value], ty: &TensorType) -> Lowered {
        let tensors: Vec<String> = operands.iter().map(|x| self.scopes.plain(x)).collect::<Result<_, _>>()?;
        let tensors: Vec<&str> = tensors.iter().map(String::as_str).collect();
        Ok(whole(&self.scopes.node("Concat", &tensors, &[("axis", Attribute::Int(axis as i64))]), ty))
    }

    pub(super) fn slice(&mut self, op: &Slice, operands: &[Value], ty: &TensorType) -> Lowered {
        if ty.is_scalar() {
            return Ok(operands[0].clone());
        }
        let x = self.scopes.plain(&operands[0])?;
        let strides: Vec<i64> = op.strides.iter().map(|stride| *stride as i64).collect();
        let starts = self.scopes.shape(&op.starts)?;
        // `start + extent * stride` may lie past the bound, and is cut off there.
        let known = |dims: &[Dim]| dims.iter().map(Dim::as_known).collect::<Option<Vec<usize>>>();
        let ends = match (known(&op.starts), known(&op.extents)) {
            (Some(starts), Some(extents)) => {
                let pairs = starts.iter().zip(&extents).zip(&strides);
                let ends: Vec<i64> =
                    pairs.map(|((start, extent), stride)| *start as i64 + *extent as i64 * stride).collect();
                self.scopes.indices(&ends)
            }
            _ => {
                let extents = self.scopes.shape(&op.extents)?;
                let strides = self.scopes.indices(&strides);
                let reach = self.scopes.node("Mul", &[&extents, &strides], &[]);
                self.scopes.node("Add", &[&starts, &reach], &[])
            }
        };
        let axes: Vec<i64> = (0..strides.len() as i64).collect();
        let (axes, strides) = (self.scopes.indices(&axes), self.scopes.indices(&strides));
        Ok(whole(&self.scopes.node("Slice", &[&x, &starts, &ends, &axes, &strides], &[]), ty))
    }

    pub(super) fn pad(&mut self, op: &Pad, operands: &[Value], ty: &TensorType) -> Lowered {
        if ty.is_scalar() {
            return Ok(operands[0].clone());
        }
        let mut x = self.scopes.plain(&operands[0])?;
        let mut shape = operands[0].ty.shape.clone();
        for (axis, stride) in op.strides.iter().enumerate().filter(|(_, stride)| **stride != 1) {
            (x, shape) = self.spread(&x, shape, axis, *stride, ty.dtype)?;
        }
        let starts = self.scopes.shape(&op.starts)?;
        let (target, held) = (self.scopes.shape(&op.shape)?, self.scopes.shape(&shape)?);
        let rest = self.scopes.node("Sub", &[&target, &starts], &[]);
        let rest = self.scopes.node("Sub", &[&rest, &held], &[]);
        let pads = self.scopes.node("Concat", &[&starts, &rest], &[("axis", Attribute::Int(0))]);
        Ok(whole(&self.padded(&x, &pads, ty.dtype), ty))
    }

    /// `x` with zeros around it; runtimes pad no bools.
    fn padded(&mut self, x: &str, pads: &str, dtype: DType) -> String {
        let numbers = if dtype == DType::Bool { self.scopes.cast_to(x, DType::I32) } else { x.to_string() };
        let zero = self.scopes.number(0.0, if dtype == DType::Bool { DType::I32 } else { dtype });
        let padded = self.scopes.node("Pad", &[&numbers, pads, &zero], &[]);
        if dtype == DType::Bool { self.scopes.cast_to(&padded, DType::Bool) } else { padded }
    }

    /// `x` with `stride - 1` zeros behind each of its elements along an axis.
    fn spread(
        &mut self,
        x: &str,
        mut shape: Vec<Dim>,
        axis: usize,
        stride: usize,
        dtype: DType,
    ) -> Result<(String, Vec<Dim>), Refused> {
        let rank = shape.len();
        let place = self.scopes.indices(&[axis as i64 + 1]);
        let single = self.scopes.node("Unsqueeze", &[x, &place], &[]);
        let mut pads = vec![0; 2 * (rank + 1)];
        pads[rank + 1 + axis + 1] = stride as i64 - 1;
        let pads = self.scopes.indices(&pads);
        let spread = self.padded(&single, &pads, dtype);
        let too_large = || Refused("an extent beyond the limits".to_string());
        shape[axis] = shape[axis].mul(&Dim::known(stride)).ok_or_else(too_large)?;
        Ok((self.scopes.reshape(&spread, &shape)?, shape))
    }

    pub(super) fn reverse(&mut self, axes: &[usize], operands: &[Value], ty: &TensorType) -> Lowered {
        if axes.is_empty() {
            return Ok(operands[0].clone());
        }
        let x = self.scopes.plain(&operands[0])?;
        let places: Vec<i64> = axes.iter().map(|axis| *axis as i64).collect();
        let n = axes.len();
        let (starts, ends) = (self.scopes.indices(&vec![-1; n]), self.scopes.indices(&vec![i64::MIN / 2; n]));
        let (axes, steps) = (self.scopes.indices(&places), self.scopes.indices(&vec![-1; n]));
        Ok(whole(&self.scopes.node("Slice", &[&x, &starts, &ends, &axes, &steps], &[]), ty))
    }
}
