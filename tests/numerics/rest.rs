//! Programs for the steps on which something is not due: less is computed, and nothing comes out differently.

use crate::common::run::Run;
use crate::common::values::compiled;
use anabranch::data::{Dataset, Field, Numbers};
use anabranch::exec::{Bound, ExecutorOptions, Mode, StoreKind};
use anabranch::ir::{DimSizes, Graph};
use anabranch::ops::Op;
use anabranch::passes::{Rest, rest};
use anabranch::train::Trainer;

fn spec(call: &str) -> String {
    format!(
        "input x: f32[batch, 3]\ninput s: f32[batch]\ninput t: f32[batch]
        let h = tanh(tanh(x |> dense(units=8)) |> dense(units=8))
        loss a = square((h |> dense(units=1) |> squeeze(axes=1)) - s)
        loss b = abs((h |> dense(units=1) |> squeeze(axes=1)) - t)
        loss total = {call}\ntrain {{ minimize total optimizer sgd(lr=0.05) }}"
    )
}

fn bound(text: &str) -> Graph {
    let sizes: DimSizes = [("batch".into(), 4)].into_iter().collect();
    Bound::new(&compiled(text).simplified.train, &sizes).unwrap().graph().clone()
}

fn products(graph: &Graph) -> usize {
    graph.ids().filter(|id| matches!(graph.op(*id), Op::MatMul(_))).count()
}

#[test]
fn what_is_not_due_is_taken_out() {
    let plain = products(&bound(&spec("a + b")));
    let whole = bound(&spec("amortised(a, b, inner=upgrad, every=3)"));
    let found = rest(&whole).expect("it is worth a program");
    assert!(!found.holds);
    let at_rest = Bound::new(&found.graph, &DimSizes::new()).unwrap().graph().clone();
    assert_eq!(products(&at_rest), plain, "as many products as a plain sum has");
    assert!(products(&whole) > plain + 1);
    assert_eq!(at_rest.outputs.len(), whole.outputs.len());
    // The condition is one of the clock.
    assert!(found.condition.len() < 10, "{}", found.condition.len());
}

#[test]
fn what_is_cheap_or_due_on_each_step_stays() {
    for call in ["a + b", "upgrad(a, b)", "dwa(a, b)", "gradnorm(a, b)", "softadapt(a, b)", "famo(a, b)"] {
        assert!(rest(&bound(&spec(call))).is_none(), "{call}");
    }
    let turned = "combiner turned(losses...: f32) {
        state w: f32[K] = ones()
        let fresh = weights_of(nash_mtl(losses...), losses)
        let next = where(remainder(step, 5) != 2, w, fresh)
        update w = next
        return sum(next * stack(losses))
    }";
    let found = rest(&bound(&format!("{turned}\n{}", spec("turned(a, b)"))));
    assert!(matches!(found, Some(Rest { .. })), "a condition may be either way round");
}

/// By the trainer, which rests, and by the reference, which never does.
#[test]
fn a_run_that_rests_is_the_run() {
    let numbers = |n: usize, shift: f64| (0..n).map(|i| (i as f64 * 0.7 + shift).sin()).collect::<Vec<f64>>();
    let (x, s, t) = (numbers(12, 0.0), numbers(4, 1.0), numbers(4, 2.0));
    for call in [
        "amortised(a, b, inner=upgrad, every=3)",
        "amortised(a, b, inner=gradvac, every=2)",
        "gradnorm_ratio(a, b, every=4)",
    ] {
        let text = spec(call);
        let field = |shape: Vec<usize>, values: &[f64]| Field { shape, values: Numbers::F64(values.to_vec()) };
        let fields = [("x", field(vec![3], &x)), ("s", field(vec![], &s)), ("t", field(vec![], &t))];
        let data =
            Dataset { fields: fields.map(|(name, field)| (name.to_string(), field)).into_iter().collect(), rows: 4 };
        for mode in [Mode::Planned, Mode::Reference] {
            let options = ExecutorOptions { mode, threads: 1, ..ExecutorOptions::default() };
            let mut trainer = Trainer::<f64>::new(&compiled(&text), 0, &options).unwrap();
            trainer.attach(&data).unwrap();
            trainer.begin_epoch();
            let mut run = Run::new(&text);
            [("x", &x), ("s", &s), ("t", &t)].iter().for_each(|(name, values)| run.feed(name, values));
            for n in 0..9 {
                let (values, _) = trainer.step(&data, &[0, 1, 2, 3]).unwrap();
                assert!(values.iter().all(|value| value.is_finite()), "{call}, step {n}");
                run.step(4);
                for name in run.params() {
                    let found = trainer.store().find(StoreKind::Param, &name).unwrap().floats().to_vec();
                    let wanted = run.param(&name);
                    let far = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    assert!(far < 1e-9, "{call}, step {n}: `{name}` is {far:e} away");
                }
            }
        }
    }
}
