//! Problems whose outcome under a combiner is known: closed forms, published toys, fixed points. What takes long is in
//! `examples/combiners`.

use crate::common::run::Run;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn oracle() -> Value {
    let path = format!("{}/tests/oracle/combiners.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[track_caller]
fn near(found: f64, wanted: f64, tolerance: f64, what: &str) {
    assert!((found - wanted).abs() <= tolerance * wanted.abs().max(1.0), "{what}: {found}, not {wanted}");
}

/// The two losses of the toy of Liu et al. 2021 (CAGrad), as in their code: `examples/combiners/toy.anb` is the same.
const TOY: &str = "\
let one = p[0]
let two = p[1]
let f1 = log(maximum(abs(0.5 * (-one - 7) - tanh(-two)), 0.000005)) + 6
let f2 = log(maximum(abs(0.5 * (-one + 3) + tanh(-two) + 2), 0.000005)) + 6
let c1 = maximum(0, tanh(0.5 * two))
let c2 = maximum(0, tanh(-0.5 * two))
let q1 = (square(7 - one) + 0.1 * square(-two - 8)) / 10 - 20
let q2 = (square(-one - 7) + 0.1 * square(-two - 8)) / 10 - 20
loss a = c1 * f1 + c2 * q1 + 0 * mean(x)
loss b = c1 * f2 + c2 * q2 + 0 * mean(x)
";

/// A loss of the toy and its gradient, at a point.
fn toy(loss: &str, at: [f64; 2]) -> (f64, [f64; 2]) {
    let text = format!(
        "input x: f32[batch]\nparam p: f32[2] = [{:?}, {:?}]\n{TOY}train {{ minimize {loss} optimizer sgd(lr=1) }}",
        at[0], at[1]
    );
    let mut run = Run::new(&text);
    run.feed("x", &[1.0]);
    let value = run.step(1)[loss];
    let after = run.param("p");
    (value, [at[0] - after[0], at[1] - after[1]])
}

#[test]
fn the_toy_has_the_gradients_of_its_fixture() {
    type Row = ([f64; 2], [f64; 2], [f64; 2], [f64; 2]);
    let rows: [Row; 6] = [
        ([-8.5, 7.5], [6.552363, 7.900798], [-0.285399, 0.007249], [-0.073992, 0.008739]),
        ([-8.5, -5.0], [4.059918, -19.421502], [-3.058504, 0.004483], [-0.295984, 0.320931]),
        ([9.0, 9.0], [7.943949, 6.691495], [0.071411, 0.001961], [0.249938, 0.001652]),
        // Where both branches meet the derivative is that of the branch that is about to count.
        ([0.0, 0.0], [0.0, 0.0], [0.0, 10.856381], [0.0, 10.856381]),
        ([-7.5, -0.5], [0.388808, -4.754484], [-0.710264, -0.709399], [-0.024492, 9.160757]),
        ([9.0, -1.0], [-8.831059, 2.814293], [0.184847, 7.579204], [1.478775, -2.330037]),
    ];
    for (at, values, one, other) in rows {
        // At the origin both of the pair count by their one-sided derivative, and the sum of both is none of the function.
        let is_kink = at == [0.0, 0.0];
        for (loss, value, gradient) in [("a", values[0], one), ("b", values[1], other)] {
            let (found, slope) = toy(loss, at);
            near(found, value, 2e-6, loss);
            if is_kink {
                assert!(slope[1].abs() > 1.0 && slope.iter().all(|x| x.is_finite()), "{slope:?}");
                continue;
            }
            near(slope[0], gradient[0], 2e-6, &format!("{loss} at {at:?}"));
            near(slope[1], gradient[1], 2e-6, &format!("{loss} at {at:?}"));
        }
    }
}

/// Two parabolas with a trade-off: x and alpha after many small steps.
fn seed_dynamics(scales: [f64; 2], floors: [f64; 2], total: &str) -> [f64; 2] {
    let text = format!(
        "input x: f32[batch]\nparam p: f32 = 0.5\nparam alpha: f32 = 0.5 in [0, 1]\n\
         loss a = {:?} * square(p) + {:?} + 0 * mean(x)\nloss b = {:?} * square(p - 1) + {:?}\n\
         loss total = {total}\ntrain {{ minimize total optimizer sgd(lr=0.01) for p optimizer sgd(lr=0.001) }}",
        scales[0], floors[0], scales[1], floors[1]
    );
    let mut run = Run::new(&text);
    run.feed("x", &[1.0]);
    for _ in 0..6000 {
        run.step(1);
    }
    let alpha = if total.contains("balanced") { run.param("total.alpha") } else { run.param("alpha") };
    [run.param("p")[0], alpha[0]]
}

/// What the three ways to train a trade-off come to: the plain one collapses, the squared one drives a loss up, the one with stops
/// balances the weighted losses and minimises Σ ln L.
#[test]
fn trained_tradeoffs_settle_where_they_are_known_to() {
    let plain = "alpha * a + (1 - alpha) * b";
    let squared = "square(alpha * a - (1 - alpha) * b)";
    let balanced = "balanced(a, b, normalise=false) + 0 * alpha";
    let rows = [
        ([1.0, 1.0], [0.5, 2.0], plain, [0.0, 1.0]),
        ([1.0, 1.0], [0.5, 2.0], squared, [0.881612, 0.611929]),
        ([1.0, 1.0], [0.5, 2.0], balanced, [0.163203, 0.836797]),
        ([4.0, 1.0], [0.5, 0.5], plain, [0.0, 1.0]),
        ([4.0, 1.0], [0.5, 0.5], squared, [0.346559, 0.485995]),
        ([4.0, 1.0], [0.5, 0.5], balanced, [0.091409, 0.713053]),
    ];
    for (scales, floors, total, wanted) in rows {
        let found = seed_dynamics(scales, floors, total);
        for (found, wanted) in found.iter().zip(wanted) {
            near(*found, wanted, 2e-5, &format!("{total} of {scales:?}, {floors:?}"));
        }
        if total == balanced {
            let of_logs = seed_dynamics(scales, floors, "log_sum(a, b) + 0 * alpha");
            near(of_logs[0], wanted[0], 2e-5, "Σ ln L");
        }
    }
}

/// With plain descent alpha is stable only while lr (a + b)² < 1.
#[test]
fn alpha_is_stable_below_its_rate() {
    let path = |a: f64, b: f64, n: usize| {
        let text = format!(
            "input x: f32[batch]\nloss a = {a:?} + 0 * mean(x)\nloss b = {b:?} + 0 * mean(x)\n\
             loss total = balanced(a, b, normalise=false)\ntrain {{ minimize total optimizer sgd(lr=0.01) }}"
        );
        let mut run = Run::new(&text);
        run.feed("x", &[1.0]);
        (0..n).map(|_| (run.step(1), run.param("total.alpha")[0]).1).collect::<Vec<f64>>()
    };
    for (at, alpha) in path(8.0, 2.0, 9).into_iter().enumerate() {
        near(alpha, if at % 2 == 0 { 0.0 } else { 0.4 }, 1e-9, "at the limit it alternates");
    }
    near(path(7.0, 2.0, 80)[79], 2.0 / 9.0, 1e-9, "below it settles at b / (a + b)");
    for (at, alpha) in path(20.0, 5.0, 9).into_iter().enumerate() {
        near(alpha, if at % 2 == 0 { 0.0 } else { 1.0 }, 1e-9, "above it jumps from bound to bound");
    }
}

/// Of linear heads the least squares are known, and s settles at their logarithms.
#[test]
fn uncertainty_finds_the_deviations_of_linear_heads() {
    let data = &oracle()["uncertainty"];
    let text = "input x: f32[batch]\ntarget y1: f32[batch]\ntarget y2: f32[batch]\nparam one: f32[2] = 0\nparam two: f32[2] = 0\n\
                loss a = square(one[0] * x + one[1] - y1)\nloss b = square(two[0] * x + two[1] - y2)\n\
                loss total = uncertainty(a, b, form=\"half\")\n\
                train { minimize total optimizer adam(lr=0.01) }";
    let mut run = Run::new(text);
    for name in ["x", "y1", "y2"] {
        run.feed(name, &numbers(&data[name]));
    }
    for _ in 0..10_000 {
        run.step(100);
    }
    let (found, wanted) = (run.param("total.log_var"), numbers(&data["deviation"]));
    for (s, wanted) in found.iter().zip(&wanted) {
        near((0.5 * s).exp(), *wanted, 1e-5, "a deviation");
    }
    for (name, head) in ["one", "two"].iter().zip(data["heads"].as_array().unwrap()) {
        for (found, wanted) in run.param(name).iter().zip(numbers(head)) {
            near(*found, wanted, 1e-4, "a head");
        }
    }
}

/// Three targets behind one direction of the inputs: each choice of weights is a point of a front that is known.
#[test]
fn a_trunk_of_rank_one_reaches_its_front() {
    let data = &oracle()["linnerud"];
    let flat = |rows: &Value| rows.as_array().unwrap().iter().flat_map(numbers).collect::<Vec<f64>>();
    let var = numbers(&data["var"]);
    let reached = |total: &str| {
        let text = format!(
            "input x: f32[batch, 3]\ntarget y: f32[batch, 3]\nparam u: f32[3] = [0.3, -0.5, 0.2]\nparam v: f32[3] = [1, 1, 1]\n\
             let code = sum(x * u, axes=1)\nlet wrong = square(y - code[:, none] * v)\n\
             loss a = wrong[:, 0]\nloss b = wrong[:, 1]\nloss c = wrong[:, 2]\nloss total = {total}\n\
             train {{ minimize total optimizer adam(lr=cosine(step, from=0.3, to=0, over=3000)) }}"
        );
        let mut run = Run::new(&text);
        run.feed("x", &flat(&data["x"]));
        run.feed("y", &flat(&data["y"]));
        for _ in 0..3000 {
            run.step(20);
        }
        let last = run.step(20);
        ["a", "b", "c"].map(|name| last[name])
    };
    let inverse: Vec<String> = var.iter().map(|var| format!("{:?}", 1.0 / var)).collect();
    let rows = [
        ("unweighted(a, b, c)".to_string(), "1,1,1"),
        (format!("weighted(a, b, c, weights=[{}])", inverse.join(", ")), "1/var"),
        ("weighted(a, b, c, weights=[0.01, 0.01, 1])".to_string(), "0.01,0.01,1"),
        ("log_sum(a, b, c)".to_string(), "1/L"),
        ("geometric(a, b, c)".to_string(), "1/L"),
    ];
    for (total, point) in rows {
        for (found, wanted) in reached(&total).iter().zip(numbers(&data["rank_one"][point])) {
            near(*found, wanted, 1e-4, &total);
        }
    }
    // A trunk of full rank is no compromise: every weight gives the least squares.
    let ols = numbers(&data["ols"]);
    assert!(numbers(&data["rank_one"]["1,1,1"]).iter().zip(&ols).all(|(front, least)| front > least));
}

/// A linear classifier of the digits, with a penalty: its least value is known.
#[test]
fn a_linear_head_of_the_digits_reaches_its_optimum() {
    let path = format!("{}/examples/digits/digits.csv", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let digit = header.iter().position(|name| *name == "digit").unwrap();
    let (mut ink, mut digits) = (Vec::new(), Vec::new());
    for line in text.lines().skip(1).take(1437) {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        digits.push(cells[digit] as i32);
        ink.extend(cells.iter().enumerate().filter(|(at, _)| *at != digit).map(|(_, x)| x / 16.0));
    }
    let spec = "input ink: f32[batch, 64]\ntarget digit: i32[batch]\nparam w: f32[64, 10] = zeros()\nparam bias: f32[10] = zeros()\n\
                loss fit = sparse_categorical_crossentropy(digit, ink @ w + bias)\nloss penalty = 0.0005 * sum(square(w))\n\
                loss total = unweighted(fit, penalty)\n\
                train { minimize total optimizer adam(lr=cosine(step, from=0.2, to=0, over=300)) }";
    let mut run = Run::new(spec);
    run.feed("ink", &ink);
    run.feed_int("digit", &digits);
    for _ in 0..300 {
        run.step(1437);
    }
    let last = run.step(1437);
    near(last["total"], 0.235721, 5e-4, "the objective");
    near(last["fit"], 0.117615, 2e-3, "the cross-entropy");
}
