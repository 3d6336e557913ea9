//! A leaf that is fed from outside: batch, params, state, clock, seed.
//!
//! Its name is the node's. It has no operands and no derivative rule: gradients end here.

use crate::ops::prelude::*;

/// What a leaf is fed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// `input`: fed at prediction and at training
    Input,
    /// `target`: fed at training only
    Target,
    /// `param`: trained by gradients
    Param,
    /// `state`: carried by assignment
    State,
    /// the number of the training step, from 0 (`i32`)
    Step,
    /// the number of the epoch, from 0 (`i32`)
    Epoch,
    /// 1 on the last step of an epoch, else 0 (`i32`)
    EpochEnd,
    /// how many epochs the run has (`i32`)
    Epochs,
    /// how many steps an epoch has (`i32`)
    StepsPerEpoch,
    /// how many steps the run has (`i32`)
    TotalSteps,
    /// the seed of the run (`i32`)
    Seed,
    /// in the body of a loop: what the loop hands in at this position
    Port(usize),
}

impl InputKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Target => "target",
            Self::Param => "param",
            Self::State => "state",
            Self::Step | Self::Epoch | Self::EpochEnd | Self::Epochs | Self::StepsPerEpoch | Self::TotalSteps => {
                "clock"
            }
            Self::Seed => "seed",
            Self::Port(_) => "port",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Input {
    pub kind: InputKind,
    pub ty: TensorType,
}

/// No run gets as far: so an int counted on from the clock is known not to wrap.
const LAST_STEP: f64 = 1e9;

impl Primitive for Input {
    const NAME: &'static str = "input";
    primitive!(leaf, kernel, mixing, free);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [] = take(Self::NAME, operands)?;
        Ok(self.ty.clone())
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("kind", self.kind.as_str().to_string())]
    }

    fn evaluate<T: Element>(&self, _operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let _ = result;
        panic!("internal: a {} leaf is bound, not evaluated", self.kind.as_str())
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        Self { kind: self.kind, ty: self.ty.bind(sizes) }
    }

    fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
        match (self.kind, self.ty.dtype) {
            (
                InputKind::Step
                | InputKind::Epoch
                | InputKind::Epochs
                | InputKind::StepsPerEpoch
                | InputKind::TotalSteps,
                _,
            ) => Interval::new(0.0, LAST_STEP),
            (InputKind::EpochEnd, _) | (_, DType::Bool) => Interval::UNIT,
            (_, DType::F32 | DType::I32) => Interval::ALL,
        }
    }
}
