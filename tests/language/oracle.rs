//! Random ways to combine losses: what the lints say of each against numbers worked out here, by finite differences of an
//! evaluation that knows nothing of graphs.

use crate::common::run::compile;
use anabranch::lower::Options;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::BTreeSet;

/// A factor of a term, of two trained weights within [0, 1] and one without bounds.
#[derive(Clone, Debug)]
enum Factor {
    Number(f64),
    Weight(usize),
    /// 1 less a weight
    Rest(usize),
    Sigmoid,
    /// the exponential of minus the unbounded weight
    Precision,
    Stopped(Box<Factor>),
    Square(Box<Factor>),
}

/// What is taken of a loss.
#[derive(Clone, Copy, Debug)]
enum Taken {
    Itself,
    Log1p,
    Root,
    Square,
    Stopped,
}

#[derive(Clone, Debug)]
struct Term {
    factor: Factor,
    taken: Taken,
    loss: usize,
}

const LOSSES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Copy, Debug)]
struct Values {
    losses: [f64; 3],
    /// two within [0, 1], then the unbounded one
    weights: [f64; 3],
}

impl Factor {
    fn text(&self) -> String {
        match self {
            Self::Number(x) => format!("{x}"),
            Self::Weight(i) => format!("w{i}"),
            Self::Rest(i) => format!("(1 - w{i})"),
            Self::Sigmoid => "sigmoid(s)".to_string(),
            Self::Precision => "exp(-s)".to_string(),
            Self::Stopped(inner) => format!("stop({})", inner.text()),
            Self::Square(inner) => format!("square({})", inner.text()),
        }
    }

    /// At `now`, what is stopped at `base`.
    fn value(&self, now: &Values, base: &Values) -> f64 {
        match self {
            Self::Number(x) => *x,
            Self::Weight(i) => now.weights[*i],
            Self::Rest(i) => 1.0 - now.weights[*i],
            Self::Sigmoid => 1.0 / (1.0 + (-now.weights[2]).exp()),
            Self::Precision => (-now.weights[2]).exp(),
            Self::Stopped(inner) => inner.value(base, base),
            Self::Square(inner) => inner.value(now, base).powi(2),
        }
    }
}

impl Term {
    fn text(&self) -> String {
        let loss = format!("mean({})", LOSSES[self.loss]);
        let taken = match self.taken {
            Taken::Itself => loss,
            Taken::Log1p => format!("log1p({loss})"),
            Taken::Root => format!("sqrt({loss} + 0.01)"),
            Taken::Square => format!("square({loss})"),
            Taken::Stopped => format!("stop({loss})"),
        };
        format!("{} * {taken}", self.factor.text())
    }

    fn value(&self, now: &Values, base: &Values) -> f64 {
        let loss = now.losses[self.loss];
        let taken = match self.taken {
            Taken::Itself => loss,
            Taken::Log1p => loss.ln_1p(),
            Taken::Root => (loss + 0.01).sqrt(),
            Taken::Square => loss * loss,
            Taken::Stopped => base.losses[self.loss],
        };
        self.factor.value(now, base) * taken
    }
}

fn spec(terms: &[Term]) -> String {
    let total: Vec<String> = terms.iter().map(Term::text).collect();
    format!(
        "input x: f32[batch, 4]\ntarget t: f32[batch, 2]\ntarget u: f32[batch, 3]\ntarget v: f32[batch, 1]
         layer trunk = dense(units=5, activation=tanh)\nlet h = trunk(x)
         output p = dense(h, units=2)\noutput q = dense(h, units=3)\noutput r = dense(h, units=1)
         loss a = mean_squared_error(t, p)\nloss b = mean_absolute_error(u, q)\nloss c = huber(v, r)
         param w0: f32 = 0.5 in [0, 1]\nparam w1: f32 = 0.5 in [0, 1]\nparam s: f32 = 0
         loss total = {}\ntrain {{ minimize total optimizer sgd }}",
        total.join(" + ")
    )
}

fn objective(terms: &[Term], now: &Values, base: &Values) -> f64 {
    terms.iter().map(|term| term.value(now, base)).sum()
}

/// The derivative by one number, what is stopped held.
fn slope(terms: &[Term], base: &Values, at: impl Fn(&mut Values) -> &mut f64) -> f64 {
    let moved = |by: f64| {
        let mut now = *base;
        *at(&mut now) += by;
        objective(terms, &now, base)
    };
    let h = 1e-5;
    (moved(h) - moved(-h)) / (2.0 * h)
}

/// Numbers between 0 and 1, by Weyl's sequence.
fn unit(n: usize, irrational: f64) -> f64 {
    (n as f64 * irrational).fract()
}

fn draw(n: usize) -> Values {
    let loss = |k: f64| 10f64.powf(-2.0 + 4.0 * unit(n + 1, k));
    Values {
        losses: [loss(0.618_034), loss(0.414_214), loss(0.732_051)],
        weights: [unit(n + 7, 0.236_068), unit(n + 3, 0.645_751), -4.0 + 8.0 * unit(n + 5, 0.316_625)],
    }
}

/// Whether some loss can be raised.
fn raises(terms: &[Term]) -> bool {
    (0..400).any(|n| {
        let at = draw(n);
        (0..3).any(|i| {
            let size: f64 = terms.iter().filter(|t| t.loss == i).map(|t| t.factor.value(&at, &at).abs()).sum();
            slope(terms, &at, |values| &mut values.losses[i]) < -1e-4 * size.max(1e-6)
        })
    })
}

/// Whether a weight, held in its interval, has no place inside at which its slope turns from negative to positive.
fn collapses(terms: &[Term], weight: usize) -> bool {
    let is_open = |term: &Term| {
        let depends = |at: &Values| {
            let mut moved = *at;
            moved.weights[weight] += 0.01;
            (term.factor.value(&moved, at) - term.factor.value(at, at)).abs() > 1e-9
        };
        !matches!(term.taken, Taken::Stopped) && depends(&draw(2))
    };
    if !terms.iter().any(is_open) {
        return false;
    }
    let mut is_pulled = false;
    for n in 0..120 {
        let mut at = draw(n);
        // Losses that are alike are where a weak counterweight shows.
        if n % 3 == 0 {
            at.losses = [1.0; 3];
        } else if n % 3 == 1 {
            at.losses = at.losses.map(|loss| 1e-2 * loss);
        }
        let ends = if weight == 2 { (-12.0, 12.0) } else { (0.0, 1.0) };
        let mut last = 0.0;
        for step in 1..200 {
            at.weights[weight] = ends.0 + (ends.1 - ends.0) * f64::from(step) / 200.0;
            let slope = slope(terms, &at, |values| &mut values.weights[weight]);
            let size: f64 = terms.iter().map(|term| term.value(&at, &at).abs()).sum();
            if slope.abs() <= 1e-7 * size {
                continue;
            }
            is_pulled = true;
            if last < 0.0 && slope > 0.0 {
                return false;
            }
            last = slope;
        }
    }
    is_pulled
}

fn factor() -> impl Strategy<Value = Factor> {
    let leaf = prop_oneof![
        4 => prop::sample::select(vec![0.1, 0.5, 2.0]).prop_map(Factor::Number),
        1 => Just(Factor::Number(-0.3)),
        4 => (0usize..2).prop_map(Factor::Weight),
        3 => (0usize..2).prop_map(Factor::Rest),
        1 => Just(Factor::Sigmoid),
        1 => Just(Factor::Precision),
    ];
    leaf.prop_flat_map(|leaf| {
        prop_oneof![
            5 => Just(leaf.clone()),
            2 => Just(Factor::Stopped(Box::new(leaf.clone()))),
            2 => Just(Factor::Square(Box::new(leaf))),
        ]
    })
}

fn term() -> impl Strategy<Value = Term> {
    let taken = prop_oneof![
        5 => Just(Taken::Itself),
        1 => Just(Taken::Log1p),
        1 => Just(Taken::Root),
        1 => Just(Taken::Square),
        1 => Just(Taken::Stopped),
    ];
    (factor(), taken, 0usize..3).prop_map(|(factor, taken, loss)| Term { factor, taken, loss })
}

/// What is wrong with the lints' answer, if something is.
fn fault(terms: &[Term]) -> Option<String> {
    let text = spec(terms);
    let findings = match compile(&text, &[], &Options::default()) {
        (_, Ok(compiled)) => compiled.findings,
        (sources, Err(errors)) => return Some(anabranch::diag::render_plain(&errors.0, &sources)),
    };
    let headlines =
        |code: &str| findings.iter().filter(|f| f.code.as_str() == code).map(|f| f.headline.clone()).collect();
    let (collapsed, raised): (BTreeSet<String>, BTreeSet<String>) = (headlines("L0001"), headlines("L0002"));
    let named = |i: usize| if i < 2 { format!("`w{i}`") } else { "`s`".to_string() };
    for weight in 0..3 {
        let told = collapsed.iter().any(|headline| headline.contains(&named(weight)));
        // Where a loss is raised on purpose, a weight's rest is a question of what for.
        if told != collapses(terms, weight) && raised.is_empty() {
            return Some(format!("{} collapses: told {told}", named(weight)));
        }
    }
    (raised.is_empty() == raises(terms)).then(|| format!("told to raise: {raised:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(13),
        ..ProptestConfig::default()
    })]

    #[test]
    fn lints_agree_with_numbers(terms in prop::collection::vec(term(), 2..5)) {
        prop_assert_eq!(fault(&terms), None, "{}", spec(&terms));
    }
}

#[test]
fn the_oracle_knows_the_plain_cases() {
    let term = |factor: Factor, loss: usize| Term { factor, taken: Taken::Itself, loss };
    let plain = [term(Factor::Weight(0), 0), term(Factor::Rest(0), 1)];
    assert!(collapses(&plain, 0) && !raises(&plain));
    let stopped = [term(Factor::Stopped(Box::new(Factor::Weight(0))), 0), term(Factor::Number(1.0), 1)];
    assert!(!collapses(&stopped, 0));
    let squares =
        [term(Factor::Square(Box::new(Factor::Weight(0))), 0), term(Factor::Square(Box::new(Factor::Rest(0))), 1)];
    assert!(!collapses(&squares, 0));
    assert!(raises(&[term(Factor::Number(-0.3), 2), term(Factor::Number(1.0), 0)]));
}
