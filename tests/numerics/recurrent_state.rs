//! Recurrent layers that go on from batch to batch: two batches of three steps are one of six.

use crate::common::run::Run;

/// Numbers within ±1 that repeat nowhere.
fn numbers(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|i| (1.7 * i as f64 + 0.3 * seed as f64 + 0.1).sin()).collect()
}

const ROWS: usize = 3;

fn spec(time: usize, layer: &str, options: &str) -> String {
    format!(
        "input x: f32[batch, {time}, 2]\n\
         input fresh: bool[batch]\n\
         target y: f32[batch]\n\
         output p = {layer}(x, units=2{options})\n\
         let seen = where(fresh, 1, 1)\n\
         loss l = square(y - p[:, 0]) * seen\n\
         metric first = mean(p[:, 0])\n\
         metric second = mean(p[:, 1])\n\
         metric squares = mean(square(p[:, 0]))\n\
         train {{ minimize l optimizer sgd(lr=1e-13) }}\n"
    )
}

/// A step's metrics on rows of x, `steps` each from `from` on, of six.
fn step(run: &mut Run, x: &[f64], rows: usize, (from, steps): (usize, usize), fresh: &[i32]) -> Vec<f64> {
    let part: Vec<f64> =
        (0..rows).flat_map(|row| x[12 * row + 2 * from..12 * row + 2 * (from + steps)].to_vec()).collect();
    run.feed("x", &part);
    run.feed("y", &vec![0.0; rows]);
    run.feed_int("fresh", fresh);
    let found = run.step(rows);
    ["first", "second", "squares"].iter().map(|name| found[*name]).collect()
}

fn started(layer: &str, time: usize, options: &str) -> Run {
    let mut run = Run::new(&spec(time, layer, options));
    for (seed, name) in run.params().into_iter().enumerate() {
        let n = run.param(&name).len();
        run.set_param(&name, &numbers(n, seed));
    }
    run
}

fn assert_near(what: &str, found: &[f64], wanted: &[f64]) {
    let near = found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9);
    assert!(near && found.len() == wanted.len(), "{what}: {found:?} for {wanted:?}");
}

#[test]
fn a_stateful_layer_goes_on_where_its_rows_ended() {
    let x = numbers(12 * ROWS, 7);
    let none = [0; ROWS];
    for layer in ["lstm", "gru", "simple_rnn"] {
        let mut kept = started(layer, 3, ", stateful=3, starts=fresh");
        step(&mut kept, &x, ROWS, (0, 3), &none);
        let after_first = kept.state(&format!("p.{layer}.kept_h"));
        let gone_on = step(&mut kept, &x, ROWS, (3, 3), &none);
        let whole = step(&mut started(layer, 6, ""), &x, ROWS, (0, 6), &none);
        assert_near(layer, &gone_on, &whole);

        // A row that begins anew sees its own steps alone.
        let anew = step(&mut kept, &x, ROWS, (0, 3), &[1; ROWS]);
        let alone = step(&mut started(layer, 3, ""), &x, ROWS, (0, 3), &none);
        assert_near(layer, &anew, &alone);
        assert!((gone_on[0] - alone[0]).abs() > 1e-3, "{layer}: the state makes no difference");

        // The rows that a smaller batch lacks stay what they were.
        let mut fewer = started(layer, 3, ", stateful=3, starts=fresh");
        step(&mut fewer, &x, ROWS, (0, 3), &none);
        let gone_on = step(&mut fewer, &x, 2, (3, 3), &none[..2]);
        let whole = step(&mut started(layer, 6, ""), &x, 2, (0, 6), &none[..2]);
        assert_near(layer, &gone_on, &whole);
        assert_near(layer, &fewer.state(&format!("p.{layer}.kept_h"))[4..], &after_first[4..]);
    }
}
