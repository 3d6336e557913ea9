//! NumPy's default generator, as far as uniform numbers and small whole numbers go: PCG64 (XSL-RR 128/64, O'Neill 2014)
//! seeded by `SeedSequence`. It makes the oracle's larger data sets again instead of carrying them along.

/// `numpy.random.default_rng(seed)`
#[derive(Debug)]
pub struct Generator {
    state: u128,
    increment: u128,
    /// the upper half of a draw of which the lower one was used
    half: Option<u32>,
}

const MULTIPLIER: u128 = (2_549_297_995_355_413_924 << 64) | 4_865_540_595_714_422_341;

impl Generator {
    pub fn new(seed: u32) -> Self {
        let words = seed_words(seed);
        let word = |i: usize| u128::from(words[2 * i]) | (u128::from(words[2 * i + 1]) << 32);
        let (start, stream) = ((word(0) << 64) | word(1), (word(2) << 64) | word(3));
        let mut generator = Self { state: 0, increment: (stream << 1) | 1, half: None };
        generator.advance();
        generator.state = generator.state.wrapping_add(start);
        generator.advance();
        generator
    }

    fn advance(&mut self) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    fn next_u64(&mut self) -> u64 {
        self.advance();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    fn next_u32(&mut self) -> u32 {
        self.half.take().unwrap_or_else(|| {
            let draw = self.next_u64();
            self.half = Some((draw >> 32) as u32);
            draw as u32
        })
    }

    /// `uniform(low, high, n).astype(float32)`, widened again
    pub fn uniform(&mut self, low: f64, high: f64, n: usize) -> Vec<f64> {
        let unit = |draw: u64| (draw >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0);
        (0..n).map(|_| f64::from((low + (high - low) * unit(self.next_u64())) as f32)).collect()
    }

    /// `integers(0, bound, n)`, by Lemire's method
    pub fn integers(&mut self, bound: u32, n: usize) -> Vec<f64> {
        let threshold = bound.wrapping_neg() % bound;
        let mut draw = || loop {
            let product = u64::from(self.next_u32()) * u64::from(bound);
            if product as u32 >= threshold {
                return f64::from((product >> 32) as u32);
            }
        };
        (0..n).map(|_| draw()).collect()
    }

    /// Uniform within ±sqrt(6 / (fan in + fan out)), as the workloads' kernels are
    pub fn glorot(&mut self, shape: &[usize]) -> Vec<f64> {
        let (inputs, outputs) = (shape[shape.len() - 2], shape[shape.len() - 1]);
        let field: usize = shape[..shape.len() - 2].iter().product();
        let limit = (6.0 / (inputs * field + outputs * field) as f64).sqrt();
        self.uniform(-limit, limit, shape.iter().product())
    }
}

/// `SeedSequence(seed).generate_state(8)`
fn seed_words(seed: u32) -> [u32; 8] {
    let mut constant = 0x43b0_d7e5_u32;
    let mut hash = |value: u32| {
        let value = value ^ constant;
        constant = constant.wrapping_mul(0x931e_8875);
        let value = value.wrapping_mul(constant);
        value ^ (value >> 16)
    };
    let mut pool = [seed, 0, 0, 0].map(&mut hash);
    for from in 0..4 {
        for to in (0..4).filter(|to| *to != from) {
            let mixed = pool[to].wrapping_mul(0xca01_f9dd).wrapping_sub(hash(pool[from]).wrapping_mul(0x4973_f715));
            pool[to] = mixed ^ (mixed >> 16);
        }
    }
    let mut constant = 0x8b51_f9dd_u32;
    let mut words = [0; 8];
    for (i, word) in words.iter_mut().enumerate() {
        let value = pool[i % 4] ^ constant;
        constant = constant.wrapping_mul(0x58f3_8ded);
        let value = value.wrapping_mul(constant);
        *word = value ^ (value >> 16);
    }
    words
}

/// The first draws of `default_rng(3)`, as NumPy gives them.
#[test]
fn draws_are_those_of_numpy() {
    let mut generator = Generator::new(3);
    let first = generator.uniform(0.0, 1.0, 3);
    assert_eq!(first, UNIFORM);
    assert_eq!(generator.integers(10, 6), INTEGERS);
    assert_eq!(generator.uniform(0.0, 1.0, 1), AFTER);
}

const UNIFORM: [f64; 3] = [0.08564916998147964, 0.23681050539016724, 0.8012744784355164];
const INTEGERS: [f64; 6] = [8.0, 5.0, 0.0, 0.0, 3.0, 4.0];
const AFTER: [f64; 1] = [0.47905129194259644];
