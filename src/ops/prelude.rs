//! What an op's file speaks of.

pub(crate) use super::classes::primitive;
pub(crate) use super::pointwise::Pointwise;
pub(crate) use super::tensor::{extents, map, zip};
pub(crate) use super::{
    Algebra, Along, Domain, Element, Extents, Flow, Indexed, Interval, Locality, OpError, Primitive, Ranges, Scalar,
    Site, Tensor, Types, Work, check_axes, one_float, one_number, show_list, take,
};
pub(crate) use crate::ir::{Builder, DType, Dim, DimSizes, NodeId, Shape, TensorType, element_count, show_shape};
