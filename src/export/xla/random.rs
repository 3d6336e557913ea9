//! Random numbers, the same bits as a run draws: ChaCha with 8 rounds in unsigned integers.
//!
//! The key is what `seed_from_u64` makes of the seed (rand_core: PCG32, eight words); a block is (constants, key, number of the
//! block, time, step, stream); word i of the stream is element i. A number is the upper 24 bits of a word; a normal one takes two
//! (Box, Muller 1958) in f64. The words of a draw are a function of the module's, once for each number of them.

use super::Emitter;
use super::text::{Element, Text, Value};
use crate::ops::{Distribution, Random};
use std::f64::consts::TAU;

const WORD: Element = Element::U32;

impl Emitter {
    /// `x` are the seed, the step, and within loops the time.
    pub(super) fn random(&mut self, op: &Random, x: &[Value], shape: &[usize]) -> Value {
        let count: usize = shape.iter().product();
        let n_words = match op.distribution {
            Distribution::Uniform => count,
            Distribution::Normal => 2 * count,
        };
        let words = self.words(n_words, op.stream, x);
        let t = &mut self.text;
        let eight = t.full(8.0, WORD, &[n_words]);
        let upper = t.map("shift_right_logical", &[&words, &eight]);
        let upper = t.convert(&upper, Element::F64);
        let uniform = t.scale(1.0 / f64::from(1u32 << 24), &upper);
        let drawn = match op.distribution {
            Distribution::Uniform => uniform,
            Distribution::Normal => {
                let pairs = t.reshape(&uniform, &[count, 2]);
                let [u, v] = [0, 1].map(|at| {
                    let column = t.part(&pairs, 1, at, at + 1);
                    t.reshape(&column, &[count])
                });
                let one = t.like(1.0, &u);
                let rest = t.sub(&one, &u);
                let log = t.map("log", &[&rest]);
                let scaled = t.scale(-2.0, &log);
                let radius = t.map("sqrt", &[&scaled]);
                let angle = t.scale(TAU, &v);
                let cosine = t.map("cosine", &[&angle]);
                t.mul(&radius, &cosine)
            }
        };
        let drawn = t.convert(&drawn, Element::Float);
        t.reshape(&drawn, shape)
    }

    /// The first words of a stream.
    fn words(&mut self, n_words: usize, stream: u32, x: &[Value]) -> Value {
        let n_blocks = n_words.div_ceil(16).max(1);
        let name = format!("chacha8_{n_blocks}");
        if !self.functions.contains_key(&name) {
            let function = function(&mut self.text, &name, n_blocks);
            self.functions.insert(name.clone(), function);
        }
        let t = &mut self.text;
        let stream = t.unsigned(u64::from(stream), WORD);
        let time = x.get(2).map_or_else(|| t.full(0.0, Element::I32, &[]), Value::clone);
        let result = t.tensor(WORD, &[16 * n_blocks]);
        let text = format!(
            "func.call @{name}({}, {}, {}, {}) : (tensor<i32>, tensor<i32>, tensor<i32>, tensor<ui32>) -> {result}",
            x[0].name, x[1].name, time.name, stream.name
        );
        let words = t.value(&text, WORD, &[16 * n_blocks]);
        t.part(&words, 0, 0, n_words)
    }
}

/// The function (seed, step, time, stream) → words of so many blocks.
fn function(t: &mut Text, name: &str, n_blocks: usize) -> String {
    let arguments = [Element::I32, Element::I32, Element::I32, WORD];
    let arguments: Vec<Value> =
        arguments.into_iter().map(|element| Value { name: t.fresh(), element, shape: Vec::new() }).collect();
    let (lines, words) = t.block(|t| blocks(t, &arguments, n_blocks));
    let head: Vec<String> = arguments.iter().map(|value| format!("{}: {}", value.name, t.ty(value))).collect();
    let body: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    let result = t.ty(&words);
    format!(
        "  func.func private @{name}({}) -> {result} {{\n{body}    func.return {} : {result}\n  }}\n",
        head.join(", "),
        words.name
    )
}

fn bits(t: &mut Text, x: &Value) -> Value {
    let text = format!("stablehlo.bitcast_convert {} : (tensor<i32>) -> tensor<ui32>", x.name);
    t.value(&text, WORD, &[])
}

/// Eight words from a seed.
fn key(t: &mut Text, seed: &Value) -> Vec<Value> {
    const WIDE: Element = Element::U64;
    let seed = bits(t, seed);
    let mut state = t.convert(&seed, WIDE);
    let mut words = Vec::new();
    for _ in 0..8 {
        let factor = t.unsigned(6_364_136_223_846_793_005, WIDE);
        let summand = t.unsigned(11_634_580_027_462_260_723, WIDE);
        let product = t.mul(&state, &factor);
        state = t.add(&product, &summand);
        let [eighteen, twenty_seven, fifty_nine] = [18, 27, 59].map(|by| t.unsigned(by, WIDE));
        let low = t.unsigned(0xffff_ffff, WIDE);
        let shifted = t.map("shift_right_logical", &[&state, &eighteen]);
        let mixed = t.map("xor", &[&shifted, &state]);
        let mixed = t.map("shift_right_logical", &[&mixed, &twenty_seven]);
        let mixed = t.and(&mixed, &low);
        let mixed = t.convert(&mixed, WORD);
        let turn = t.map("shift_right_logical", &[&state, &fifty_nine]);
        let turn = t.convert(&turn, WORD);
        let (all, mask) = (t.unsigned(32, WORD), t.unsigned(31, WORD));
        let back = t.sub(&all, &turn);
        let back = t.and(&back, &mask);
        let (right, left) = (t.map("shift_right_logical", &[&mixed, &turn]), t.map("shift_left", &[&mixed, &back]));
        words.push(t.or(&right, &left));
    }
    words
}

fn blocks(t: &mut Text, arguments: &[Value], n_blocks: usize) -> Value {
    let [seed, step, time, stream] = arguments else { return arguments[0].clone() };
    let (step, time) = (bits(t, step), bits(t, time));
    let mut words = Vec::new();
    for constant in [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574] {
        words.push(t.unsigned(constant, WORD));
    }
    words.extend(key(t, seed));
    let mut first: Vec<Value> = words.iter().map(|word| t.splat(word, &[n_blocks])).collect();
    first.push(t.iota(0, WORD, &[n_blocks]));
    first.extend([&time, &step, stream].map(|word| t.splat(word, &[n_blocks])));
    let mut state = first.clone();
    for _ in 0..4 {
        const QUARTERS: [[usize; 4]; 8] = [
            [0, 4, 8, 12],
            [1, 5, 9, 13],
            [2, 6, 10, 14],
            [3, 7, 11, 15],
            [0, 5, 10, 15],
            [1, 6, 11, 12],
            [2, 7, 8, 13],
            [3, 4, 9, 14],
        ];
        for [a, b, c, d] in QUARTERS {
            for (sum, by, turned, places) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
                state[sum] = t.add(&state[sum], &state[by]);
                let mixed = t.map("xor", &[&state[turned], &state[sum]]);
                let (left, right) = (t.like(f64::from(places), &mixed), t.like(f64::from(32 - places), &mixed));
                let (up, down) =
                    (t.map("shift_left", &[&mixed, &left]), t.map("shift_right_logical", &[&mixed, &right]));
                state[turned] = t.or(&up, &down);
            }
        }
    }
    let mut columns = Vec::new();
    for (end, start) in state.iter().zip(&first) {
        let sum = t.add(end, start);
        columns.push(t.reshape(&sum, &[n_blocks, 1]));
    }
    let table = t.concat(&columns, 1);
    t.reshape(&table, &[16 * n_blocks])
}
