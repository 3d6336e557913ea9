//! Why an op does not accept its operands, and the checks that many ops share.

use crate::ir::{DType, TensorType};

/// Why an op does not accept its operands.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct OpError {
    pub kind: OpErrorKind,
    pub message: String,
    pub help: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpErrorKind {
    /// operands' shapes do not fit together
    Shape,
    /// an operand has the wrong element type
    DType,
    /// an attribute or extent breaks a rule of the op
    Constraint,
    /// beyond what the compiler accepts
    Limit,
}

impl OpError {
    pub fn shape(message: impl Into<String>) -> Self {
        Self { kind: OpErrorKind::Shape, message: message.into(), help: None }
    }

    pub fn dtype(message: impl Into<String>) -> Self {
        Self { kind: OpErrorKind::DType, message: message.into(), help: None }
    }

    pub fn constraint(message: impl Into<String>) -> Self {
        Self { kind: OpErrorKind::Constraint, message: message.into(), help: None }
    }

    pub fn limit(message: impl Into<String>) -> Self {
        Self { kind: OpErrorKind::Limit, message: message.into(), help: None }
    }

    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Checks the number of operands. Lowering checks calls, so a miss here is a bug.
pub(crate) fn take<'a, const N: usize>(
    name: &str,
    operands: &[&'a TensorType],
) -> Result<[&'a TensorType; N], OpError> {
    let noun = if N == 1 { "operand" } else { "operands" };
    operands.try_into().map_err(|_| OpError::constraint(format!("{name} takes {N} {noun}, got {}", operands.len())))
}

/// Checks that axes are in range, distinct and ascending.
pub(crate) fn check_axes(name: &str, axes: &[usize], rank: usize) -> Result<(), OpError> {
    if let Some(axis) = axes.iter().find(|axis| **axis >= rank) {
        return Err(OpError::constraint(format!("{name}: axis {axis} of a value of rank {rank} (C1)")));
    }
    if !axes.is_sorted_by(|a, b| a < b) {
        return Err(OpError::constraint(format!("{name}: axes {axes:?} must be distinct and in order (C1)")));
    }
    Ok(())
}

pub(crate) fn show_list(values: &[usize]) -> String {
    format!("{values:?}")
}

/// The one operand, of floats.
pub(crate) fn one_float<'a>(name: &str, operands: &[&'a TensorType]) -> Result<&'a TensorType, OpError> {
    let [x] = take(name, operands)?;
    if x.is_float() { Ok(x) } else { Err(OpError::dtype(format!("{name} takes f32, found {x}"))) }
}

/// The one operand, of floats or ints.
pub(crate) fn one_number<'a>(name: &str, operands: &[&'a TensorType]) -> Result<&'a TensorType, OpError> {
    let [x] = take(name, operands)?;
    if x.dtype == DType::Bool { Err(OpError::dtype(format!("{name} takes numbers, found {x}"))) } else { Ok(x) }
}
