//! Elements picked and added up by indices. Those outside are exchanged for one that is inside, and masked.

use super::Lowering;
use super::op::whole;
use super::proto::Attribute;
use super::scope::{Refused, Value};
use crate::ir::{Dim, TensorType};

type Lowered = Result<Value, Refused>;

impl Lowering<'_> {
    pub(super) fn gather(&mut self, fill: f64, operands: &[Value], ty: &TensorType) -> Lowered {
        let (table, indices) = (self.scopes.plain(&operands[0])?, self.scopes.plain(&operands[1])?);
        let (rows, zero) = (self.scopes.size(&operands[0].ty.shape[0])?, self.scopes.index(0));
        let rows = self.scopes.node("Squeeze", &[&rows], &[]);
        let (places, is_inside) = self.inside(&indices, &rows, &zero);
        let found = self.scopes.node("Gather", &[&table, &places], &[("axis", Attribute::Int(0))]);
        let rank = operands[1].ty.rank();
        let mask = self.stretched(&is_inside, rank, ty.rank());
        let fill = self.scopes.float(fill as f32);
        Ok(whole(&self.scopes.node("Where", &[&mask, &found, &fill], &[]), ty))
    }

    /// A mask of the first axes for values of more of them.
    fn stretched(&mut self, mask: &str, rank: usize, more: usize) -> String {
        if rank == more {
            return mask.to_string();
        }
        let axes: Vec<i64> = (rank as i64..more as i64).collect();
        let axes = self.scopes.indices(&axes);
        self.scopes.node("Unsqueeze", &[mask, &axes], &[])
    }

    pub(super) fn take_along(&mut self, axis: usize, fill: f64, operands: &[Value], ty: &TensorType) -> Lowered {
        let (x, indices) = (self.scopes.plain(&operands[0])?, self.scopes.plain(&operands[1])?);
        let (extent, zero) = (self.scopes.size(&operands[0].ty.shape[axis])?, self.scopes.index(0));
        let extent = self.scopes.node("Squeeze", &[&extent], &[]);
        let (places, is_inside) = self.inside(&indices, &extent, &zero);
        let found = self.scopes.node("GatherElements", &[&x, &places], &[("axis", Attribute::Int(axis as i64))]);
        let fill = self.scopes.float(fill as f32);
        Ok(whole(&self.scopes.node("Where", &[&is_inside, &found, &fill], &[]), ty))
    }

    /// Rows outside go to one more row, which is cut off.
    pub(super) fn scatter_add(&mut self, rows: &Dim, operands: &[Value], ty: &TensorType) -> Lowered {
        let (indices, updates) = (self.scopes.plain(&operands[0])?, self.scopes.plain(&operands[1])?);
        let (extent, zeros) = self.with_one_more(rows, 0, ty)?;
        let (places, _) = self.inside(&indices, &extent, &extent);
        let axis = self.scopes.indices(&[-1]);
        let places = self.scopes.node("Unsqueeze", &[&places, &axis], &[]);
        let sums =
            self.scopes.node("ScatterND", &[&zeros, &places, &updates], &[("reduction", Attribute::Text("add"))]);
        Ok(whole(&self.without_last(&sums, &extent, 0), ty))
    }

    pub(super) fn put_along(&mut self, axis: usize, extent: &Dim, operands: &[Value], ty: &TensorType) -> Lowered {
        let (indices, updates) = (self.scopes.plain(&operands[0])?, self.scopes.plain(&operands[1])?);
        let (extent, zeros) = self.with_one_more(extent, axis, ty)?;
        let (places, _) = self.inside(&indices, &extent, &extent);
        let attributes = [("axis", Attribute::Int(axis as i64)), ("reduction", Attribute::Text("add"))];
        let sums = self.scopes.node("ScatterElements", &[&zeros, &places, &updates], &attributes);
        Ok(whole(&self.without_last(&sums, &extent, axis), ty))
    }

    /// An extent as a number, and zeros of a type with one more position along an axis.
    fn with_one_more(&mut self, extent: &Dim, axis: usize, ty: &TensorType) -> Result<(String, String), Refused> {
        let size = self.scopes.size(extent)?;
        let size = self.scopes.node("Squeeze", &[&size], &[]);
        let mut shape = ty.shape.clone();
        shape[axis] = extent.offset(1).ok_or_else(|| Refused("an extent beyond the limits".to_string()))?;
        let shape = self.scopes.shape(&shape)?;
        let zero = self.scopes.float(0.0);
        Ok((size, self.scopes.node("Expand", &[&zero, &shape], &[])))
    }

    fn without_last(&mut self, x: &str, extent: &str, axis: usize) -> String {
        let (zero, place) = (self.scopes.indices(&[0]), self.scopes.indices(&[axis as i64]));
        let first = self.scopes.indices(&[0]);
        let end = self.scopes.node("Unsqueeze", &[extent, &first], &[]);
        self.scopes.node("Slice", &[x, &zero, &end, &place], &[])
    }
}
