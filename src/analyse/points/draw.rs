//! Numbers for leaves, by the number of the point: magnitudes from small to large, ends of intervals, equal losses.

use super::Domain;
use crate::analyse::interval::Interval;
use crate::ir::{DType, TensorType};
use crate::ops::Tensor;
use ndarray::{ArrayD, IxDyn};

/// How the losses of a point relate.
#[derive(Clone, Copy, Debug)]
enum Losses {
    /// around 1
    Usual,
    /// all the same
    Equal,
    Small,
    /// of very different magnitudes
    Spread,
    /// some are 0
    Vanishing,
    Large,
}

/// The source of a point's numbers.
pub(super) struct Draw {
    state: u64,
    losses: Losses,
}

impl Draw {
    pub fn new(number: usize) -> Self {
        let losses = match number / 2 % 6 {
            0 => Losses::Usual,
            1 => Losses::Equal,
            2 => Losses::Spread,
            3 => Losses::Small,
            4 => Losses::Vanishing,
            _ => Losses::Large,
        };
        let mut draw = Self { state: number as u64, losses };
        draw.bits();
        draw
    }

    /// Steele, Lea, Flood 2014: splitmix64.
    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform on [0, 1).
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    fn magnitude(&mut self, low: f64, high: f64) -> f64 {
        10f64.powf(self.between(low, high))
    }

    fn below(&mut self, n: usize) -> usize {
        (self.bits() % n.max(1) as u64) as usize
    }

    /// A number within bounds, now and then one of their ends.
    fn number(&mut self, within: Interval) -> f64 {
        let at_end = self.unit();
        let (low, high) = (within.low, within.high);
        match (low.is_finite(), high.is_finite()) {
            (true, true) if at_end < 0.08 => low,
            (true, true) if at_end < 0.16 => high,
            (true, true) => self.between(low, high),
            (true, false) if at_end < 0.08 => low,
            (true, false) => low + self.magnitude(-2.0, 1.5),
            (false, true) if at_end < 0.08 => high,
            (false, true) => high - self.magnitude(-2.0, 1.5),
            (false, false) => {
                let sign = if self.unit() < 0.5 { -1.0 } else { 1.0 };
                sign * self.magnitude(-1.5, 1.0)
            }
        }
    }

    fn loss(&mut self, within: Interval) -> f64 {
        let usual = self.between(0.2, 3.0);
        let is_zero = self.unit() < 0.4;
        let size = match self.losses {
            Losses::Vanishing if is_zero => 0.0,
            Losses::Usual | Losses::Vanishing => usual,
            Losses::Equal => 1.0,
            Losses::Spread => self.magnitude(-2.0, 2.0),
            Losses::Small => 1e-3,
            Losses::Large => self.magnitude(0.0, 2.0),
        };
        let free = if within.low.is_finite() {
            within.low + size
        } else if within.high.is_finite() {
            within.high - size
        } else if self.unit() < 0.5 {
            -size
        } else {
            size
        };
        if within.contains(free) { free } else { self.number(within) }
    }

    pub fn tensor(&mut self, domain: &Domain, ty: &TensorType) -> Tensor<f64> {
        let shape = ty.known_shape().unwrap_or_default();
        let count: usize = shape.iter().product();
        let numbers: Vec<f64> = match domain {
            Domain::Loss(within) => (0..count).map(|_| self.loss(*within)).collect(),
            Domain::Number(within) => (0..count).map(|_| self.number(*within)).collect(),
            Domain::Shares(within) => {
                let numbers: Vec<f64> = (0..count).map(|_| self.number(*within)).collect();
                let sum: f64 = numbers.iter().sum();
                numbers.iter().map(|x| if sum > 0.0 { x / sum } else { 1.0 / count as f64 }).collect()
            }
            Domain::Rows { axis, low, total } => self.rows(&shape, *axis, *low, *total),
            Domain::Clock => {
                let now = if self.unit() < 0.3 { 0.0 } else { self.magnitude(0.0, 5.0).floor() };
                vec![now; count]
            }
            Domain::Whole(low, high) => {
                let n = (high - low + 1).clamp(1, 64) as usize;
                (0..count).map(|_| (low + self.below(n) as i64) as f64).collect()
            }
            Domain::Gramian => self.gramian(shape.first().copied().unwrap_or(1)),
        };
        let shape = IxDyn(&shape);
        match ty.dtype {
            DType::F32 => {
                Tensor::Float(ArrayD::from_shape_vec(shape, numbers).expect("internal: one number an element"))
            }
            DType::I32 => {
                let numbers = numbers.into_iter().map(|x| x as i32).collect();
                Tensor::Int(ArrayD::from_shape_vec(shape, numbers).expect("internal: one number an element"))
            }
            DType::Bool => {
                let numbers = numbers.into_iter().map(|x| x != 0.0).collect();
                Tensor::Bool(ArrayD::from_shape_vec(shape, numbers).expect("internal: one number an element"))
            }
        }
    }

    /// Numbers not below `low` that sum to `total` along an axis: one-hot as often as not.
    fn rows(&mut self, shape: &[usize], axis: usize, low: f64, total: f64) -> Vec<f64> {
        let count: usize = shape.iter().product();
        let n = shape[axis];
        let inner: usize = shape[axis + 1..].iter().product();
        let mut numbers = vec![low; count];
        let left = total - low * n as f64;
        for start in (0..count).filter(|at| (at / inner).is_multiple_of(n)) {
            let hot = self.below(n);
            let is_hot = self.unit() < 0.5;
            let parts: Vec<f64> =
                (0..n).map(|i| if is_hot { f64::from(u8::from(i == hot)) } else { self.unit() }).collect();
            let sum: f64 = parts.iter().sum::<f64>().max(1e-12);
            for (i, part) in parts.iter().enumerate() {
                numbers[start + i * inner] += left * part / sum;
            }
        }
        numbers
    }

    /// Inner products of vectors of different lengths, some of them opposite, some 0.
    pub fn gramian(&mut self, k: usize) -> Vec<f64> {
        let dims = if self.unit() < 0.3 { 2 } else { k + 1 };
        let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(k);
        for i in 0..k {
            let length = if self.unit() < 0.05 { 0.0 } else { self.magnitude(-1.0, 1.0) };
            let vector: Vec<f64> = match i {
                i if i > 0 && self.unit() < 0.1 => vectors[i - 1].iter().map(|x| -x * length).collect(),
                _ => (0..dims).map(|_| length * self.between(-1.0, 1.0)).collect(),
            };
            vectors.push(vector);
        }
        let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        vectors.iter().flat_map(|x| vectors.iter().map(|y| product(x, y)).collect::<Vec<_>>()).collect()
    }
}
