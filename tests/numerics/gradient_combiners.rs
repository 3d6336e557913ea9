//! The standard library's combiners that look at gradients, against `tests/oracle/aggregators.json`: nine sets of gradients and
//! what TorchJD makes of them in float64. Methods with a closed form agree; those that are defined by an optimum are judged by it,
//! since that library's solvers stop early or add a ridge.

use crate::common::run::{Run, compile};
use serde_json::Value;

struct Case {
    name: String,
    gradients: Vec<Vec<f64>>,
    theirs: Value,
}

fn cases() -> Vec<Case> {
    let path = format!("{}/tests/oracle/aggregators.json", env!("CARGO_MANIFEST_DIR"));
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let case = |case: Value| Case {
        name: case["case"].as_str().unwrap().to_string(),
        gradients: serde_json::from_value(case["J"].clone()).unwrap(),
        theirs: case["A"].clone(),
    };
    cases.into_iter().map(case).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Losses that are linear in a shared `theta` and in a param of their own, `h0`, `h1`, …
fn spec(gradients: &[Vec<f64>], call: &str) -> String {
    let width = gradients[0].len();
    let mut text = format!("input x: f32[batch]\nparam theta: f32[{width}] = zeros()\n");
    for (i, gradient) in gradients.iter().enumerate() {
        text += &format!("param h{i}: f32 = 1\nloss l{i} = sum(theta * stack({gradient:?})) + h{i} + 0 * mean(x)\n");
    }
    let names: Vec<String> = (0..gradients.len()).map(|i| format!("l{i}")).collect();
    let call = call.replace("LOSSES", &format!("{}, heads=\"weighted\"", names.join(", ")));
    text + &format!("loss total = {call}\ntrain {{ minimize total optimizer sgd(lr=1) }}\n")
}

/// The weights of the losses in a step, and the direction of the shared params.
fn weights(gradients: &[Vec<f64>], call: &str) -> (Vec<f64>, Vec<f64>) {
    let mut run = Run::new(&spec(gradients, call));
    run.feed("x", &[1.0]);
    run.step(1);
    let weights: Vec<f64> = (0..gradients.len()).map(|i| 1.0 - run.param(&format!("h{i}"))[0]).collect();
    let direction: Vec<f64> = run.param("theta").iter().map(|x| -x).collect();
    let combined: Vec<f64> =
        (0..direction.len()).map(|j| weights.iter().zip(gradients).map(|(w, g)| w * g[j]).sum()).collect();
    let size = |(weight, gradient): (&f64, &Vec<f64>)| weight.abs().max(1e-3) * dot(gradient, gradient).sqrt();
    let scale = weights.iter().zip(gradients).map(size).fold(0.0, f64::max);
    for (a, b) in direction.iter().zip(&combined) {
        assert!((a - b).abs() <= 1e-9 * scale, "{call}: the shared params follow {direction:?}, not {combined:?}");
    }
    assert!(weights.iter().all(|weight| weight.is_finite()), "{call}: {weights:?}");
    (weights, combined)
}

fn difference(found: &[f64], wanted: &[f64]) -> f64 {
    let scale = wanted.iter().fold(1e-9, |scale: f64, x| scale.max(x.abs()));
    found.iter().zip(wanted).map(|(a, b)| (a - b).abs() / scale).fold(0.0, f64::max)
}

fn theirs(case: &Case, method: &str) -> Vec<f64> {
    serde_json::from_value(case.theirs[method].clone()).unwrap()
}

/// The least inner product of a direction with a gradient.
fn worst(gradients: &[Vec<f64>], direction: &[f64]) -> f64 {
    gradients.iter().map(|gradient| dot(gradient, direction)).fold(f64::INFINITY, f64::min)
}

#[test]
fn closed_forms_agree() {
    for case in cases() {
        for method in ["aligned_mtl", "imtl_g", "config"] {
            let (_, direction) = weights(&case.gradients, &format!("{method}(LOSSES)"));
            let wanted = theirs(&case, method);
            let scale = wanted.iter().fold(0.0, |scale: f64, x| scale.max(x.abs()));
            let error = difference(&direction, &wanted);
            assert!(error <= 1e-6 || scale < 1e-9, "{method} of {}: differs by {error:.1e}", case.name);
        }
    }
}

#[test]
fn the_shortest_vector_of_the_hull_is_the_shortest() {
    for case in cases() {
        let (_, ours) = weights(&case.gradients, "mgda(LOSSES)");
        let square = dot(&ours, &ours);
        // The optimum is where no gradient's product with the vector is below its square.
        let longest = case.gradients.iter().map(|gradient| dot(gradient, gradient)).fold(0.0, f64::max);
        assert!(square - worst(&case.gradients, &ours) <= 1e-9 * longest, "{}", case.name);
        let wanted = theirs(&case, "mgda");
        assert!(square <= dot(&wanted, &wanted) + 1e-9 * longest, "{}", case.name);
    }
}

#[test]
fn the_worst_progress_within_the_ball_is_the_best() {
    for case in cases() {
        let (_, ours) = weights(&case.gradients, "cagrad(LOSSES, c=0.5)");
        let longest = case.gradients.iter().map(|gradient| dot(gradient, gradient)).fold(0.0, f64::max);
        let wanted = theirs(&case, "cagrad");
        assert!(worst(&case.gradients, &ours) >= worst(&case.gradients, &wanted) - 1e-7 * longest, "{}", case.name);
        // And d stays in the ball around the mean.
        let k = case.gradients.len() as f64;
        let mean: Vec<f64> =
            (0..ours.len()).map(|j| case.gradients.iter().map(|gradient| gradient[j]).sum::<f64>() / k).collect();
        let away: Vec<f64> = ours.iter().zip(&mean).map(|(a, b)| a - b).collect();
        assert!(dot(&away, &away).sqrt() <= 0.5 * dot(&mean, &mean).sqrt() + 1e-9 * longest.sqrt(), "{}", case.name);
    }
}

#[test]
fn bargains_meet_their_equation() {
    for case in cases().iter().filter(|case| !["opposite", "zero_row"].contains(&&*case.name)) {
        for (call, power) in
            [("nash_mtl(LOSSES)", 1.0), ("fairgrad(LOSSES, alpha=2.0)", 0.5), ("fairgrad(LOSSES, alpha=0.5)", 2.0)]
        {
            let (weights, direction) = weights(&case.gradients, call);
            for (weight, gradient) in weights.iter().zip(&case.gradients) {
                let residual = dot(gradient, &direction) * weight.powf(power) - 1.0;
                assert!(*weight > 0.0 && residual.abs() <= 1e-9, "{call} of {}: {residual:.1e}", case.name);
            }
        }
    }
}

#[test]
fn what_a_bargain_cannot_meet_is_finite() {
    let of = |name: &str| cases().into_iter().find(|case| case.name == name).unwrap().gradients;
    let opposite = of("opposite");
    let length = dot(&opposite[0], &opposite[0]).sqrt();
    let (found, direction) = weights(&opposite, "nash_mtl(LOSSES)");
    assert!(found.iter().all(|weight| (weight * length - 100.0).abs() < 1e-6), "{found:?}");
    assert!(direction.iter().all(|x| x.abs() < 1e-9));
    // A loss without a gradient keeps the weight 1, the others meet the equation among themselves.
    let rows = of("zero_row");
    let (found, direction) = weights(&rows, "nash_mtl(LOSSES)");
    assert!((found[1] - 1.0).abs() < 1e-12);
    assert!((dot(&rows[0], &direction) * found[0] - 1.0).abs() < 1e-9);
}

/// That of `v ≥ bound` with the least length of Σ v_i g_i: its directions raise no loss, and those that its bound does not hold
/// are left alone.
fn is_dual_projection(gradients: &[Vec<f64>], weights: &[f64], bound: &[f64]) -> bool {
    let direction: Vec<f64> =
        (0..gradients[0].len()).map(|j| weights.iter().zip(gradients).map(|(w, g)| w * g[j]).sum()).collect();
    let length = dot(&direction, &direction).sqrt();
    weights.iter().zip(bound).zip(gradients).all(|((weight, bound), gradient)| {
        let slack = dot(gradient, &direction);
        let scale = dot(gradient, gradient).sqrt() * length.max(1e-9);
        *weight >= bound - 1e-9 && slack >= -1e-6 * scale && ((weight - bound) * slack).abs() <= 1e-6 * scale * weight
    })
}

#[test]
fn projections_onto_the_dual_cone_are_optimal() {
    for case in cases() {
        let k = case.gradients.len();
        let (found, _) = weights(&case.gradients, "dualproj(LOSSES)");
        assert!(is_dual_projection(&case.gradients, &found, &vec![1.0 / k as f64; k]), "{}: {found:?}", case.name);
        // UPGrad's weights are the mean of those of each loss's own projection, which are found here one by one.
        let (mean, direction) = weights(&case.gradients, "upgrad(LOSSES)");
        assert!(worst(&case.gradients, &direction) >= -1e-6 * dot(&direction, &direction), "{}", case.name);
        assert!(mean.iter().all(|weight| *weight >= 1.0 / k as f64 - 1e-9), "{}: {mean:?}", case.name);
    }
    // With a wrong vector the check fails.
    let conflict = &cases()[4].gradients;
    assert!(!is_dual_projection(conflict, &[0.5, 0.5], &[0.5, 0.5]));
}

#[test]
fn fixtures_of_two_and_three_losses() {
    type Fixture<'f> = (&'f str, &'f [Vec<f64>], &'f [f64]);
    let two = vec![vec![-4.0, 1.0, 1.0], vec![6.0, 1.0, 1.0]];
    let three = vec![vec![1.0, 0.0, 2.0], vec![-1.0, 2.0, 0.5], vec![0.5, -1.5, 1.0]];
    let rows: [Fixture<'_>; 19] = [
        ("mgda(LOSSES)", &two, &[0.6, 0.4]),
        ("pcgrad(LOSSES)", &two, &[2.222222, 1.578947]),
        ("gradvac(LOSSES)", &two, &[2.222222, 1.578947]),
        ("upgrad(LOSSES)", &two, &[1.111111, 0.789474]),
        ("dualproj(LOSSES)", &two, &[0.611111, 0.5]),
        ("imtl_g(LOSSES)", &two, &[0.59233, 0.40767]),
        ("nash_mtl(LOSSES)", &two, &[0.591461, 0.407071]),
        ("fairgrad(LOSSES, alpha=1)", &two, &[0.591461, 0.407071]),
        ("fairgrad(LOSSES, alpha=2)", &two, &[0.471363, 0.319454]),
        ("aligned_mtl(LOSSES)", &two, &[0.559072, 0.408261]),
        ("cagrad(LOSSES)", &two, &[0.704124, 0.5]),
        ("cagrad(LOSSES, c=0.4)", &two, &[0.663299, 0.5]),
        ("cagrad(LOSSES, c=0.4, rescale=\"square\")", &two, &[0.663299 / 1.16, 0.5 / 1.16]),
        ("cagrad(LOSSES, c=0.5, rescale=\"linear\")", &two, &[0.704124 / 1.5, 0.5 / 1.5]),
        ("mgda(LOSSES)", &three, &[0.0, 0.440678, 0.559322]),
        ("upgrad(LOSSES)", &three, &[0.333333, 0.523810, 0.619048]),
        ("nash_mtl(LOSSES)", &three, &[0.294639, 0.708052, 0.768316]),
        ("imtl_g(LOSSES)", &three, &[-0.295020, 0.526375, 0.768644]),
        ("aligned_mtl(LOSSES)", &three, &[-0.005444, 0.188629, 0.240179]),
    ];
    for (call, gradients, wanted) in rows {
        let (found, _) = weights(gradients, call);
        let near = found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1.5e-6);
        assert!(near, "{call}: {found:?}, not {wanted:?}");
    }
    // mgda's normalisations: of unit vectors the shortest is halfway; losses are 1 here.
    let (found, _) = weights(&two, "mgda(LOSSES, normalise=\"l2\")");
    let ratio = (18.0_f64 / 38.0).sqrt();
    assert!((found[1] / found[0] - ratio).abs() < 1e-9, "{found:?}");
    let (plain, by_loss) = (weights(&two, "mgda(LOSSES)").0, weights(&two, "mgda(LOSSES, normalise=\"loss\")").0);
    assert!(difference(&by_loss, &plain) < 1e-9);
}

/// Three gradients projected by hand, in the order of the losses.
#[test]
fn pcgrad_projects_in_order() {
    let gradients = [vec![1.0, 0.0, 2.0], vec![-1.0, 2.0, 0.5], vec![-2.5, -1.5, 1.0]];
    let mut wanted = vec![0.0; 3];
    for i in 0..3 {
        let mut projected = gradients[i].clone();
        for (j, other) in gradients.iter().enumerate() {
            let product = dot(&projected, other);
            if j != i && product < 0.0 {
                let factor = product / dot(other, other);
                projected.iter_mut().zip(other).for_each(|(p, g)| *p -= factor * g);
            }
        }
        wanted.iter_mut().zip(&projected).for_each(|(sum, p)| *sum += p);
    }
    let (_, found) = weights(&gradients, "pcgrad(LOSSES, order=\"fixed\")");
    assert!(difference(&found, &wanted) < 1e-9, "{found:?}, not {wanted:?}");
}

/// The second step has targets from the cosines of the first.
#[test]
fn gradvac_aligns_towards_past_cosines() {
    let gradients = [vec![1.0, 0.0, 2.0], vec![-1.0, 2.0, 0.5], vec![-2.5, -1.5, 1.0]];
    let norm = |x: &[f64]| dot(x, x).sqrt();
    let mut targets = [[0.0; 3]; 3];
    let mut run = Run::new(&spec(&gradients, "gradvac(LOSSES, order=\"fixed\", beta=0.3)"));
    run.feed("x", &[1.0]);
    let mut before = [1.0; 3];
    for _ in 0..3 {
        let mut wanted = [0.0; 3];
        for i in 0..3 {
            let mut made = gradients[i].clone();
            wanted[i] += 1.0;
            for j in (0..3).filter(|j| *j != i) {
                let other = &gradients[j];
                let cosine = dot(&made, other) / (norm(&made) * norm(other));
                let target: f64 = targets[i][j];
                if cosine < target {
                    let factor = norm(&made)
                        * (target * (1.0 - cosine * cosine).sqrt() - cosine * (1.0 - target * target).sqrt())
                        / (norm(other) * (1.0 - target * target).sqrt());
                    made.iter_mut().zip(other).for_each(|(m, g)| *m += factor * g);
                    wanted[j] += factor;
                }
                targets[i][j] = 0.7 * target + 0.3 * cosine;
            }
        }
        run.step(1);
        let now: Vec<f64> = (0..3).map(|i| run.param(&format!("h{i}"))[0]).collect();
        let found: Vec<f64> = before.iter().zip(&now).map(|(a, b)| a - b).collect();
        assert!(difference(&found, &wanted) < 1e-9, "{found:?}, not {wanted:?}");
        before.copy_from_slice(&now);
    }
}

#[test]
fn gradnorm_takes_its_step_on_the_weights() {
    // Lengths 1 and 3, losses at 0.5 and 1 of their first values; the published step by hand.
    let text = "input x: f32[batch]\nparam theta: f32[2] = zeros()
        loss a = theta[0] + 0.5 + 0 * mean(x)\nloss b = 3 * theta[1] + 1 + 0 * mean(x)
        loss total = gradnorm(a, b)\ntrain { minimize total optimizer sgd(lr=0.025) }";
    let mut run = Run::new(text);
    run.feed("x", &[1.0]);
    run.clock.step = 1;
    run.set_state("total.first", &[1.0, 1.0]);
    run.step(1);
    let found = run.param("total.weights");
    assert!(difference(&found, &[0.976190, 1.023810]) < 1e-6, "{found:?}");
    assert_eq!(run.state("total.first"), [1.0, 1.0]);
}

/// Multiplying a loss by 1000 leaves the combined direction of the scale-free methods as it is.
#[test]
fn scale_free_methods_are_free_of_scale() {
    let case = cases().into_iter().find(|case| case.name == "triple").unwrap();
    let mut scaled = case.gradients.clone();
    scaled[1].iter_mut().for_each(|x| *x *= 1000.0);
    for method in ["imtl_g", "nash_mtl"] {
        let call = format!("{method}(LOSSES)");
        let (_, plain) = weights(&case.gradients, &call);
        let (_, moved) = weights(&scaled, &call);
        // imtl_g's weights sum to 1, so its length changes, its direction does not.
        let unit = |x: &[f64]| x.iter().map(|v| v / dot(x, x).sqrt()).collect::<Vec<f64>>();
        assert!(difference(&unit(&moved), &unit(&plain)) < 1e-9, "{method}");
    }
}

/// Laws: the order of the losses does not matter, and pairs are what they are said to be.
#[test]
fn orders_and_pairs() {
    let case = cases().into_iter().find(|case| case.name == "five").unwrap();
    let turned: Vec<Vec<f64>> = [3, 0, 4, 1, 2].iter().map(|i| case.gradients[*i].clone()).collect();
    for method in ["mgda", "cagrad", "imtl_g", "nash_mtl", "fairgrad", "aligned_mtl", "upgrad", "dualproj", "config"] {
        let call = format!("{method}(LOSSES)");
        let (_, plain) = weights(&case.gradients, &call);
        let (_, moved) = weights(&turned, &call);
        assert!(difference(&moved, &plain) < 1e-6, "{method}");
    }
    for case in cases().iter().filter(|case| case.gradients.len() == 2 && case.name != "opposite") {
        let of = |method: &str| weights(&case.gradients, &format!("{method}(LOSSES)")).1;
        let double: Vec<f64> = of("upgrad").iter().map(|x| 2.0 * x).collect();
        assert!(difference(&of("pcgrad"), &double) < 1e-6, "pcgrad is twice upgrad: {}", case.name);
        let (nash, imtl) = (of("nash_mtl"), of("imtl_g"));
        let cosine = dot(&nash, &imtl) / (dot(&nash, &nash) * dot(&imtl, &imtl)).sqrt();
        assert!((cosine - 1.0).abs() < 1e-9, "nash_mtl is along imtl_g: {}", case.name);
    }
}

/// Only the methods whose weights may be negative say that they may raise a loss.
#[test]
fn lints_fire_where_a_weight_may_be_negative() {
    let two = [vec![1.0, 0.5], vec![-0.2, 1.0]];
    let three = [vec![1.0, 0.5, 0.0], vec![-0.2, 1.0, 0.3], vec![0.1, 0.2, 1.0]];
    let verdict = |text: &str| {
        let (_, compiled) = compile(text, &[], &anabranch::lower::Options::default());
        let findings = compiled.unwrap().findings;
        findings.iter().map(|finding| finding.code.title().to_string()).collect::<Vec<_>>()
    };
    for method in [
        "mgda", "pcgrad", "gradvac", "cagrad", "nash_mtl", "fairgrad", "upgrad", "dualproj", "gradnorm", "imtl_g",
        "config",
    ] {
        // The rates of GradNorm are powers of the losses, and these losses are of any sign.
        let of_each = |n: usize| if method == "gradnorm" { vec!["loss-may-be-negative"; n] } else { vec![] };
        assert_eq!(verdict(&spec(&two, &format!("{method}(LOSSES)"))), of_each(2), "{method}");
        let rises = ["imtl_g", "config"].contains(&method);
        let found = verdict(&spec(&three, &format!("{method}(LOSSES)")));
        assert_eq!(found, if rises { vec!["loss-can-rise"] } else { of_each(3) }, "{method}");
    }
    assert_eq!(verdict(&spec(&two, "aligned_mtl(LOSSES)")), ["loss-can-rise"]);
}
