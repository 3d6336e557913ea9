//! Random numbers as a function of (seed, step, stream): the same on every run, after a resume, and on any number of
//! threads.
//!
//! Operands/Results: `seed: i32`, `step: i32` → `f32[...]`: uniform on [0, 1), or standard normal. `stream` tells the draws
//! of one step apart. In the body of a loop a third operand, `time: i32`, tells the draws of its steps apart. Constraints:
//! (C1) seed, step and time are `i32` scalars. Gradient: none.
//! Numerics: ChaCha with 8 rounds, key from the seed, stream number from step and stream, 2^36 numbers for each time; element
//! `i` depends on `i` alone.
//! Uniform values have 24 random bits. Normal ones are Box–Muller of two uniforms (Box, Muller 1958).

use crate::ops::prelude::*;
use ndarray::{ArrayD, IxDyn};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    Uniform,
    Normal,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Random {
    pub distribution: Distribution,
    pub stream: u32,
    pub ty: TensorType,
}

impl Random {
    /// Fills `values` with the draws of one step.
    pub fn fill<T: Element>(&self, seed: i32, step: i32, time: i32, values: &mut [T]) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed as u32 as u64);
        rng.set_stream((u64::from(self.stream) << 32) | u64::from(step as u32));
        rng.set_word_pos(u128::from(time as u32) << 36);
        // 24 bits fit f32 exactly, so f32 and f64 runs draw the same numbers.
        let mut uniform = || f64::from(rng.next_u32() >> 8) / f64::from(1u32 << 24);
        match self.distribution {
            Distribution::Uniform => values.fill_with(|| T::of(uniform())),
            Distribution::Normal => values.fill_with(|| {
                let (u, v) = (1.0 - uniform(), uniform());
                T::of((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos())
            }),
        }
    }
}

impl Primitive for Random {
    const NAME: &'static str = "random";
    primitive!(flat, kernel, mixing, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let clock = if operands.len() == 3 { &operands[..2] } else { operands };
        let [seed, step] = take(Self::NAME, clock)?;
        if operands.iter().any(|ty| **ty != TensorType::scalar(DType::I32)) {
            return Err(OpError::dtype(format!("random takes an i32 seed and step, found {seed} and {step} (C1)")));
        }
        Ok(self.ty.clone())
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let distribution = match self.distribution {
            Distribution::Uniform => "uniform",
            Distribution::Normal => "normal",
        };
        vec![("distribution", distribution.to_string()), ("stream", format!("{:08x}", self.stream))]
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let scalar = |slot: usize| operands.get(slot).and_then(|x| x.int().iter().next().copied()).unwrap_or(0);
        let shape = extents(result);
        let mut values = vec![T::zero(); shape.iter().product()];
        self.fill(scalar(0), scalar(1), scalar(2), &mut values);
        Tensor::Float(ArrayD::from_shape_vec(IxDyn(&shape), values).expect("internal: one value an element"))
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        Self { ty: self.ty.bind(sizes), ..self.clone() }
    }

    fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
        match self.distribution {
            Distribution::Uniform => Interval::UNIT,
            Distribution::Normal => Interval::ALL,
        }
    }
}
