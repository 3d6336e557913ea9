//! The standard library's combiners against closed forms: one step each, of losses that are their own params.

use crate::common::run::Run;

/// A spec whose losses are the params `a`, `b`, … with given values, so that a loss's gradient is the weight it got.
fn of(values: &[f64], call: &str) -> Run {
    let names = ["a", "b", "c"];
    let mut text = "input x: f32[batch]\n".to_string();
    for (name, value) in names.iter().zip(values) {
        text += &format!("param {name}: f32 = {value}\nloss l{name} = {name} * mean(x)\n");
    }
    let losses: Vec<String> = names[..values.len()].iter().map(|name| format!("l{name}")).collect();
    let call = call.replace("LOSSES", &losses.join(", "));
    text += &format!("loss total = {call}\ntrain {{ minimize total optimizer sgd(lr=1) }}\n");
    let mut run = Run::new(&text);
    run.feed("x", &[1.0]);
    run
}

/// The total and the weight of each loss, of one step.
fn weights(values: &[f64], call: &str) -> (f64, Vec<f64>, Run) {
    let mut run = of(values, call);
    let total = run.step(1)["total"];
    let weight = |(name, before): (&str, &f64)| before - run.param(name)[0];
    let weights = ["a", "b", "c"].into_iter().zip(values).map(weight).collect();
    (total, weights, run)
}

fn near(found: &[f64], expected: &[f64]) {
    let close = |(a, b): (&f64, &f64)| (a - b).abs() < 2e-6;
    assert!(found.len() == expected.len() && found.iter().zip(expected).all(close), "{found:?} is not {expected:?}");
}

#[test]
fn fixed_weights() {
    let (total, w, _) = weights(&[2.0, 4.0], "unweighted(LOSSES)");
    near(&[total, w[0], w[1]], &[6.0, 1.0, 1.0]);
    let (total, w, _) = weights(&[2.0, 4.0], "average(LOSSES)");
    near(&[total, w[0], w[1]], &[3.0, 0.5, 0.5]);
    let (total, w, _) = weights(&[2.0, 4.0], "weighted(LOSSES, weights=[3, 0.5])");
    near(&[total, w[0], w[1]], &[8.0, 3.0, 0.5]);
    let (total, w, _) = weights(&[2.0, 4.0], "tradeoff(LOSSES, alpha=linear(step, from=0.9, to=0.1, over=10))");
    near(&[total, w[0], w[1]], &[2.2, 0.9, 0.1]);
}

/// `tradeoff` and `balanced` weigh the same loss by alpha: the first.
#[test]
fn alpha_is_of_the_first_loss() {
    let (_, by_hand, _) = weights(&[2.0, 4.0], "tradeoff(LOSSES, alpha=0.8)");
    let (_, trained, _) = weights(&[2.0, 4.0], "balanced(LOSSES, start=0.8)");
    near(&by_hand, &[0.8, 0.2]);
    near(&trained, &by_hand);
}

#[test]
fn losses_that_are_all_zero_are_balanced() {
    for values in [&[0.0, 0.0][..], &[0.0, 0.0, 0.0]] {
        let (total, w, run) = weights(values, "balanced(LOSSES)");
        let equal = vec![1.0 / values.len() as f64; values.len()];
        near(&[total], &[0.0]);
        near(&w, &equal);
        let trained = if values.len() == 2 { run.param("total.alpha") } else { run.param("total.weights") };
        near(&trained, if values.len() == 2 { &[0.5] } else { &equal });
    }
}

#[test]
fn balanced_trades_off() {
    // dJ/da at a = ½ and (2, 4) is -12, or -⅓ when divided by the squared sum.
    let (_, w, run) = weights(&[2.0, 4.0], "balanced(LOSSES)");
    near(&w, &[0.5, 0.5]);
    near(&run.param("total.alpha"), &[0.5 + 1.0 / 3.0]);
    let (total, _, run) = weights(&[0.2, 0.4], "balanced(LOSSES, normalise=false)");
    near(&[total], &[0.3 + 0.01]);
    near(&run.param("total.alpha"), &[0.5 + 0.12]);
    // d|gap|/da = sign(gap) (a + b) / (a + b), held within [0, 1]
    let (total, _, run) = weights(&[2.0, 4.0], "balanced(LOSSES, distance=abs)");
    near(&[total], &[3.0 + 1.0 / 6.0]);
    near(&run.param("total.alpha"), &[1.0]);
}

#[test]
fn balanced_of_three_is_on_the_simplex_and_settles_at_inverse_losses() {
    let text = "input x: f32[batch]\nloss a = x\nloss b = 2 * x\nloss c = 4 * x
        loss total = balanced(a, b, c)\ntrain { minimize total optimizer sgd(lr=0.5) }";
    let mut run = Run::new(text);
    run.feed("x", &[1.0]);
    for _ in 0..2000 {
        run.step(1);
    }
    near(&run.param("total.weights"), &[4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0]);
}

#[test]
fn balanced_sample_by_sample_averages_the_distances() {
    let text = "input x: f32[batch]\nloss a = x\nloss b = 2 - x
        loss total = balanced_per_sample(a, b)\ntrain { minimize total optimizer sgd(lr=0.1) }";
    let mut run = Run::new(text);
    run.feed("x", &[0.0, 2.0]);
    // mean of (½·0 - ½·2)² and (½·2 - ½·0)², plus the mean of ½·0 + ½·2 and ½·2 + ½·0
    near(&[run.step(2)["total"]], &[2.0]);
    near(&run.param("total.alpha"), &[0.5]);
}

#[test]
fn uncertainties() {
    let (total, w, run) = weights(&[2.0, 4.0], "uncertainty(LOSSES, form=\"half\")");
    near(&[total, w[0], w[1]], &[3.0, 0.5, 0.5]);
    near(&run.param("total.log_var"), &[0.5, 1.5]);
    let (total, _, run) = weights(&[2.0, 4.0], "uncertainty(LOSSES)");
    near(&[total], &[6.0]);
    near(&run.param("total.log_var"), &[1.0, 3.0]);
    let (total, w, run) = weights(&[2.0, 4.0], "revised_uncertainty(LOSSES)");
    near(&[total, w[0], w[1]], &[3.0 + 2.0 * 2f64.ln(), 0.5, 0.5]);
    // d/dc of L / (2 c²) + ln(1 + c²) at c = 1 is 1 - L.
    near(&run.param("total.deviation"), &[2.0, 4.0]);
    let (total, w, run) = weights(&[2.0, 4.0], "imtl_l(LOSSES)");
    near(&[total, w[0], w[1]], &[6.0, 1.0, 1.0]);
    near(&run.param("total.log_scale"), &[-1.0, -3.0]);
}

#[test]
fn scale_free_ones() {
    let (total, w, _) = weights(&[2.0, 8.0], "geometric(LOSSES)");
    near(&[total, w[0], w[1]], &[4.0, 1.0, 0.25]);
    let (total, w, _) = weights(&[2.0, 8.0], "log_sum(LOSSES)");
    near(&[total, w[0], w[1]], &[16f64.ln(), 0.5, 0.125]);
    let (total, w, _) = weights(&[2.0, 4.0], "chebyshev(LOSSES, mu=1)");
    near(&[total, w[0], w[1]], &[4.126928, 0.119203, 0.880797]);
}

#[test]
fn weights_from_the_losses_of_the_step() {
    let (_, w, _) = weights(&[2.0, 4.0], "uw_so(LOSSES, temperature=0.5)");
    let (x, y) = (1f64.exp(), 0.5f64.exp());
    near(&w, &[x / (x + y), y / (x + y)]);
    let (total, w, _) = weights(&[0.5, 1.0, 3.0], "causal(LOSSES, epsilon=0.4)");
    near(&w, &[1.0, (-0.2f64).exp(), (-0.6f64).exp()]);
    near(&[total], &[0.5 + (-0.2f64).exp() + 3.0 * (-0.6f64).exp()]);
    // r · L = 3.4, |r|² = 0.58, |L|² = 20: each weight is r_i less the derivative of the cosine.
    let (total, w, _) = weights(&[2.0, 4.0], "cosmos(LOSSES, preference=[0.3, 0.7], strength=2)");
    let (product, lengths) = (3.4, (0.58f64 * 20.0).sqrt());
    near(&[total], &[product - 2.0 * product / lengths]);
    let slope = |r: f64, l: f64| r - 2.0 * (r / lengths - product * l / (20.0 * lengths));
    near(&w, &[slope(0.3, 2.0), slope(0.7, 4.0)]);
    let (total, w, _) = weights(&[2.0, 4.0], "pbi(LOSSES, preference=[0.3, 0.4], theta=5, ideal=1)");
    // Less 1 the losses are (1, 3), along (0.6, 0.8): 3, and (-0.8, 0.6) away from it.
    near(&[total, w[0], w[1]], &[3.0 + 5.0, 0.6 - 5.0 * 0.8, 0.8 + 5.0 * 0.6]);
}

#[test]
fn stch_measures_an_epoch_and_then_divides_by_it() {
    let mut run = of(&[2.0, 4.0], "stch(LOSSES, mu=0.5, warm_up=1)");
    near(&[run.step(1)["total"]], &[8f64.ln()]);
    let mut run = of(&[2.0, 4.0], "stch(LOSSES, mu=0.5, warm_up=1)");
    run.clock.epoch = 1;
    let mut seen = [0.0; 2];
    for end in [false, true] {
        run.clock.epoch_end = end;
        seen[0] += run.param("a")[0] / 2.0;
        seen[1] += run.param("b")[0] / 2.0;
        run.step(1);
    }
    near(&run.state("total.nadir"), &seen);
    (run.clock.epoch, run.clock.epoch_end) = (2, false);
    let (a, b) = (run.param("a")[0], run.param("b")[0]);
    let (x, y) = ((a / seen[0]).powi(2), (b / seen[1]).powi(2));
    near(&[run.step(1)["total"]], &[2.0 * 0.5 * (x + y).ln()]);
    near(&[a - run.param("a")[0], b - run.param("b")[0]], &[2.0 * x / (x + y) / a, 2.0 * y / (x + y) / b]);
}

#[test]
fn go4align_follows_the_losses() {
    let mut run = of(&[2.0, 4.0], "go4align(LOSSES, rate=0.1)");
    run.step(1);
    // ½ (2 + 4) / L_i
    near(&[2.0 - run.param("a")[0], 4.0 - run.param("b")[0]], &[1.5, 0.75]);
    let (x, y) = ((-0.2f64).exp(), (-0.4f64).exp());
    near(&run.state("total.shares"), &[x / (x + y), y / (x + y)]);
}

/// Coefficients of variation by their definition: over all ratios so far, at each step.
#[test]
fn cov_follows_the_spread_of_ratios() {
    let mut run = of(&[2.0, 4.0], "cov(LOSSES)");
    let (mut losses, mut ratios): (Vec<[f64; 2]>, Vec<[f64; 2]>) = (Vec::new(), Vec::new());
    let average = |rows: &[[f64; 2]], i: usize| rows.iter().map(|row| row[i]).sum::<f64>() / rows.len() as f64;
    for step in 0..6 {
        let now = [run.param("a")[0], run.param("b")[0]];
        let spread = |i: usize| {
            let centre = average(&ratios, i);
            let square = ratios.iter().map(|row| (row[i] - centre).powi(2)).sum::<f64>() / ratios.len() as f64;
            (square + 1e-8).sqrt() / centre
        };
        let wanted = if step < 2 { [0.5; 2] } else { [0, 1].map(|i| spread(i) / (spread(0) + spread(1))) };
        run.step(1);
        near(&[now[0] - run.param("a")[0], now[1] - run.param("b")[0]], &wanted);
        ratios.push(if step == 0 { [1.0; 2] } else { [0, 1].map(|i| now[i] / average(&losses, i)) });
        losses.push(now);
        // Other losses from outside, so that the ratios vary.
        let moved = [now[0] * [0.7, 0.9, 1.1][step % 3], now[1] * [0.95, 0.8][step % 2]];
        run.set_param("a", &moved[..1]);
        run.set_param("b", &moved[1..]);
    }
}

#[test]
fn random_weights_sum_to_one_and_change() {
    let mut run = of(&[2.0, 4.0], "random_weights(LOSSES)");
    let mut before = [2.0, 4.0];
    let mut seen = Vec::new();
    for _ in 0..2 {
        run.step(1);
        let now = [run.param("a")[0], run.param("b")[0]];
        seen.push([before[0] - now[0], before[1] - now[1]]);
        near(&[seen[seen.len() - 1].iter().sum()], &[1.0]);
        before = now;
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn softadapt_looks_at_the_change() {
    let mut run = of(&[2.0, 4.0], "softadapt(LOSSES, beta=0.5)");
    run.clock.step = 1;
    run.set_state("total.previous", &[3.0, 3.0]);
    run.step(1);
    let (x, y) = ((-0.5f64).exp(), (0.5f64).exp());
    near(&[2.0 - run.param("a")[0], 4.0 - run.param("b")[0]], &[x / (x + y), y / (x + y)]);
    near(&run.state("total.previous"), &[2.0, 4.0]);
}

#[test]
fn relobralo_looks_back() {
    let (_, w, run) = weights(&[2.0, 4.0], "relobralo(LOSSES)");
    near(&w, &[1.0, 1.0]);
    near(&run.state("total.first"), &[2.0, 4.0]);
    let mut run = of(&[2.0, 4.0], "relobralo(LOSSES, alpha=0.5, temperature=1, expected_rho=1)");
    run.clock.step = 3;
    run.set_state("total.weights", &[1.5, 0.5]);
    run.set_state("total.previous", &[2.0, 2.0]);
    run.step(1);
    let (x, y) = (1f64.exp(), 2f64.exp());
    let expected = [0.75 + x / (x + y), 0.25 + y / (x + y)];
    near(&[2.0 - run.param("a")[0], 4.0 - run.param("b")[0]], &expected);
}

#[test]
fn dwa_follows_epoch_means() {
    let mut run = of(&[2.0, 4.0], "dwa(LOSSES)");
    run.clock.epoch = 2;
    run.set_state("total.before", &[1.0, 1.0]);
    run.set_state("total.last", &[0.5, 0.9]);
    run.step(1);
    near(&[2.0 - run.param("a")[0], 4.0 - run.param("b")[0]], &[0.900332, 1.099668]);
    let mut run = of(&[2.0, 4.0], "dwa(LOSSES)");
    run.step(1);
    run.clock.epoch_end = true;
    run.step(1);
    // The first two epochs have weights of 1: the losses of the two steps are (2, 4) and (1, 3).
    near(&run.state("total.last"), &[1.5, 3.5]);
    near(&run.state("total.before"), &[1.0, 1.0]);
    near(&run.state("total.sums"), &[0.0, 0.0]);
}
