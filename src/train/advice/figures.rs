//! Figures of some steps, and what is to be said about them.

use super::{Seen, SeenStep};

/// Gradients that pull so many times as hard as others drown them.
const DROWNS: f64 = 10.0;
/// A pair whose mean cosine is so low, and below 0 on most steps, stands in each other's way.
const CONFLICTS: f64 = -0.3;
const MOST_STEPS: f64 = 2.0 / 3.0;
/// A loss below this part of its first value is learned.
const LEARNED: f64 = 0.3;
/// The steps that figures are of at least, as a part of all.
const LEAST_PART: f64 = 0.1;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// one loss's gradient is much longer than another's
    Magnitude,
    /// lengths change against each other, so that no fixed weights make them alike
    Moving,
    /// two losses pull against each other
    Direction,
}

/// A loss over the steps.
#[derive(Clone, Debug, PartialEq)]
pub struct LossFigures {
    pub name: String,
    /// its value at the first step and at the last
    pub first: f64,
    pub last: f64,
    /// medians: by how much it counts, how long its gradient is
    pub weight: f64,
    pub norm: f64,
    /// how long its gradient is once it is weighed
    pub applied: f64,
}

/// Two losses over the steps.
#[derive(Clone, Debug, PartialEq)]
pub struct PairFigures {
    /// their positions
    pub losses: (usize, usize),
    /// the mean
    pub cosine: f64,
    /// the part of the steps on which it is below 0
    pub against: f64,
}

/// What the steps of an objective say.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    pub objective: String,
    /// that the figures are of
    pub n_steps: usize,
    pub losses: Vec<LossFigures>,
    pub pairs: Vec<PairFigures>,
    /// the longest applied gradient over the shortest
    pub ratio: f64,
    /// by which factor the lengths of two gradients have moved against each other
    pub drift: f64,
    /// the length of the weighted gradients' sum over the sum of their lengths: 1 where all point one way
    pub alignment: f64,
    /// the losses that pull hardest and least, by position
    pub extremes: (usize, usize),
    pub troubles: Vec<Trouble>,
    /// the weights by which all applied gradients would be as long as each other, and together as long as they are, where that is asked for
    pub weights: Option<Vec<f64>>,
    /// a combiner of the library, where one is asked for
    pub method: Option<&'static str>,
}

/// What is to be said; none of fewer than two losses that train the shared params, or of no steps.
pub fn advise(seen: &Seen) -> Option<Advice> {
    let k = seen.losses.len();
    let steps = learning(&seen.steps, k);
    if steps.is_empty() || k < 2 {
        return None;
    }
    let figures = |at: usize| {
        let of = |each: &dyn Fn(&SeenStep) -> f64| median(steps.iter().map(each));
        LossFigures {
            name: seen.losses[at].clone(),
            first: seen.steps.first().map_or(f64::NAN, |step| step.values[at]),
            last: seen.steps.last().map_or(f64::NAN, |step| step.values[at]),
            weight: of(&|step| step.weights[at]),
            norm: of(&|step| step.norms[at]),
            applied: of(&|step| (step.weights[at] * step.norms[at]).abs()),
        }
    };
    let losses: Vec<LossFigures> = (0..k).map(figures).collect();
    // A loss without a gradient has nothing to be weighed.
    let pulling: Vec<usize> = (0..k).filter(|at| losses[*at].norm > 0.0).collect();
    let hardest = pulling.iter().copied().reduce(|a, b| if losses[b].applied > losses[a].applied { b } else { a })?;
    let least = pulling.iter().copied().reduce(|a, b| if losses[b].applied < losses[a].applied { b } else { a })?;
    if pulling.len() < 2 {
        return None;
    }
    let pairs = pairs(steps, &pulling);
    let ratio = losses[hardest].applied / losses[least].applied;
    let drift = drift(steps, &pulling);
    let mut troubles = Vec::new();
    if ratio >= DROWNS {
        troubles.push(Trouble::Magnitude);
    }
    if drift >= DROWNS {
        troubles.push(Trouble::Moving);
    }
    if pairs.iter().any(|pair| pair.cosine <= CONFLICTS && pair.against >= MOST_STEPS) {
        troubles.push(Trouble::Direction);
    }
    let has = |trouble: Trouble| troubles.contains(&trouble);
    let method = match (has(Trouble::Direction), has(Trouble::Moving)) {
        (true, _) => Some("upgrad"),
        (false, true) => Some("uncertainty"),
        (false, false) => None,
    };
    let weights = (has(Trouble::Magnitude) && !has(Trouble::Moving)).then(|| even(&losses, &pulling));
    Some(Advice {
        objective: seen.objective.clone(),
        n_steps: steps.len(),
        pairs,
        ratio,
        drift,
        alignment: mean(steps.iter().filter_map(alignment)),
        extremes: (hardest, least),
        troubles,
        weights,
        method,
        losses,
    })
}

/// The steps before the first loss is learned, but at least a quarter of all. Steps with a value that is not finite are left out.
fn learning(steps: &[SeenStep], k: usize) -> &[SeenStep] {
    let is_finite = |step: &SeenStep| {
        step.weights.iter().chain(&step.norms).chain(step.cosines.iter().flatten()).all(|value| value.is_finite())
    };
    let n_finite = steps.iter().position(|step| !is_finite(step)).unwrap_or(steps.len());
    let steps = &steps[..n_finite];
    let Some(first) = steps.first() else { return steps };
    // One batch may be easy: the mean of some is what counts.
    let window = (steps.len() / 20).max(1);
    let is_learned = |recent: &[SeenStep]| {
        (0..k).any(|at| {
            let now = mean(recent.iter().map(|step| step.values[at]));
            first.values[at] > 0.0 && now < LEARNED * first.values[at]
        })
    };
    let end = steps.windows(window).position(is_learned).map_or(steps.len(), |at| at + window);
    &steps[..end.max((LEAST_PART * steps.len() as f64).ceil() as usize).min(steps.len())]
}

fn pairs(steps: &[SeenStep], pulling: &[usize]) -> Vec<PairFigures> {
    let each = pulling.iter().enumerate().flat_map(|(at, i)| pulling[at + 1..].iter().map(|j| (*i, *j)));
    let figures = |(i, j): (usize, usize)| {
        let cosines = || steps.iter().map(|step| step.cosines[i][j]);
        let against = cosines().filter(|cosine| *cosine < 0.0).count() as f64 / steps.len() as f64;
        PairFigures { losses: (i, j), cosine: mean(cosines()), against }
    };
    each.map(figures).collect()
}

/// By which factor the lengths of two gradients, as they are applied, moved against each other from the first quarter of the steps to the last.
fn drift(steps: &[SeenStep], pulling: &[usize]) -> f64 {
    let quarter = steps.len() / 4;
    if quarter == 0 {
        return 1.0;
    }
    let level = |steps: &[SeenStep], at: usize| {
        median(steps.iter().map(|step| (step.weights[at] * step.norms[at]).abs().max(f64::MIN_POSITIVE).ln()))
    };
    let (start, end) = (&steps[..quarter], &steps[steps.len() - quarter..]);
    let moved: Vec<f64> = pulling.iter().map(|at| level(end, *at) - level(start, *at)).collect();
    let (low, high) =
        moved.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
    (high - low).exp()
}

/// `|Σ w_i g_i| / Σ |w_i g_i|`
fn alignment(step: &SeenStep) -> Option<f64> {
    let pulls: Vec<f64> = step.weights.iter().zip(&step.norms).map(|(weight, norm)| weight * norm).collect();
    let mut square = 0.0;
    for (i, own) in pulls.iter().enumerate() {
        for (j, other) in pulls.iter().enumerate() {
            square += own * other * step.cosines[i][j];
        }
    }
    let sum: f64 = pulls.iter().map(|pull| pull.abs()).sum();
    (sum > 0.0).then(|| square.max(0.0).sqrt() / sum)
}

/// Weights of two digits by which the gradients are as long as each other; a loss without a gradient keeps its own.
fn even(losses: &[LossFigures], pulling: &[usize]) -> Vec<f64> {
    let target = mean(pulling.iter().map(|at| losses[*at].applied));
    let weight = |(at, loss): (usize, &LossFigures)| match pulling.contains(&at) {
        true => two_digits(target / loss.norm),
        false => loss.weight,
    };
    losses.iter().enumerate().map(weight).collect()
}

/// A number with two digits that count.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0usize), |(sum, n), value| (sum + value, n + 1));
    sum / n as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many steps of two losses, by the number of the step: values, weights, norms, cosine.
    fn seen(n: usize, step: impl Fn(usize) -> ([f64; 2], [f64; 2], [f64; 2], f64)) -> Seen {
        let steps = (0..n).map(|at| {
            let (values, weights, norms, cosine) = step(at);
            SeenStep {
                values: values.to_vec(),
                weights: weights.to_vec(),
                norms: norms.to_vec(),
                cosines: vec![vec![1.0, cosine], vec![cosine, 1.0]],
            }
        });
        Seen { objective: "total".into(), losses: vec!["a".into(), "b".into()], steps: steps.collect() }
    }

    #[test]
    fn a_healthy_pair_is_left_alone() {
        for cosine in [1.0, 0.5, 0.0, -0.2] {
            let advice = advise(&seen(100, |_| ([1.0, 2.0], [1.0, 1.0], [1.0, 4.0], cosine))).unwrap();
            assert_eq!((advice.troubles, advice.weights, advice.method), (vec![], None, None), "{cosine}");
        }
        // Batches that pull now one way, now the other.
        let noisy = seen(100, |at| ([1.0, 1.0], [1.0, 1.0], [1.0, 1.0], if at % 2 == 0 { 0.9 } else { -0.9 }));
        assert_eq!(advise(&noisy).unwrap().troubles, []);
    }

    #[test]
    fn what_drowns_another_is_weighed_down() {
        let advice = advise(&seen(100, |_| ([1.0, 1.0], [1.0, 1.0], [100.0, 1.0], 0.1))).unwrap();
        assert_eq!(advice.troubles, [Trouble::Magnitude]);
        assert_eq!((advice.extremes, advice.method), ((0, 1), None));
        let weights = advice.weights.unwrap();
        assert!((weights[1] / weights[0] - 100.0).abs() < 3.0, "{weights:?}");
        // Weights that even it out already are no trouble.
        let even = advise(&seen(100, |_| ([1.0, 1.0], [0.01, 1.0], [100.0, 1.0], 0.1))).unwrap();
        assert_eq!((even.troubles, even.weights), (vec![], None));
    }

    #[test]
    fn losses_that_conflict_ask_for_a_method() {
        let advice = advise(&seen(100, |_| ([1.0, 1.0], [1.0, 1.0], [1.0, 2.0], -0.8))).unwrap();
        assert_eq!((advice.troubles, advice.weights, advice.method), (vec![Trouble::Direction], None, Some("upgrad")));
        assert!((advice.alignment - (1.0f64 + 4.0 - 3.2).sqrt() / 3.0).abs() < 1e-12);
        let both = advise(&seen(100, |_| ([1.0, 1.0], [1.0, 1.0], [1.0, 50.0], -0.8))).unwrap();
        assert_eq!(both.troubles, [Trouble::Magnitude, Trouble::Direction]);
        assert!(both.weights.is_some() && both.method == Some("upgrad"));
    }

    #[test]
    fn lengths_that_move_cannot_be_fixed() {
        let norm = |at: usize| (at as f64 / 15.0).exp();
        let advice = advise(&seen(100, |at| ([1.0, 1.0], [1.0, 1.0], [1.0, norm(at)], 0.1))).unwrap();
        assert_eq!((advice.weights, advice.method), (None, Some("uncertainty")));
        assert!(advice.troubles.contains(&Trouble::Moving));
    }

    /// A gradient that is short since its loss is learned is no trouble.
    #[test]
    fn what_is_learned_is_not_looked_at() {
        let fall = |at: usize| 0.9f64.powi(i32::try_from(at).unwrap());
        let advice = advise(&seen(200, |at| ([fall(at), 1.0], [1.0, 1.0], [fall(at), 1.0], 0.1))).unwrap();
        assert!(advice.n_steps < 60, "{}", advice.n_steps);
        assert_eq!(advise(&seen(40, |at| ([fall(at), 1.0], [1.0, 1.0], [fall(at), 1.0], 0.1))).unwrap().troubles, []);
    }

    #[test]
    fn a_loss_without_a_gradient_and_a_step_that_is_not_finite_say_nothing() {
        assert!(advise(&seen(10, |_| ([1.0, 1.0], [1.0, 1.0], [1.0, 0.0], 0.0))).is_none());
        assert!(advise(&seen(0, |_| ([1.0, 1.0], [1.0, 1.0], [1.0, 1.0], 0.0))).is_none());
        let diverges = seen(20, |at| ([1.0, 1.0], [1.0, 1.0], [if at < 8 { 1.0 } else { f64::NAN }, 1.0], 0.3));
        assert_eq!(advise(&diverges).unwrap().n_steps, 8);
    }
}
