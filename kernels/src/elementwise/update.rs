//! The update of a parameter by Adam as one step.
//!
//! Takes the steps of a program; joins both moments, their ratio and the parameter's move, which would otherwise be four
//! loops over each block. The roundings are those of the four. Source: Kingma and Ba, "Adam: a method for stochastic
//! optimization", 2015, algorithm 1; with decoupled weight decay what is moved is the decayed parameter.

use super::{Fused, Place, Step, Ternary};

/// Places of one update: `m' = m·s₁ + g·t₁`, `v' = v·s₂ + g²·t₂`, `p' = p - m' / (sqrt(v') + epsilon) · rate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Adam {
    /// `m`, `g`, `v`, `p`
    pub from: [Place; 4],
    /// `s₁`, `t₁`, `s₂`, `t₂`, epsilon, rate: the same at every index
    pub numbers: [Place; 6],
    /// `m'`, `v'`, `p'`
    pub to: [Place; 3],
}

/// How many loops an update stands for.
pub(super) const LOOPS: usize = 4;
/// How many steps may stand between the ratio and the parameter's move.
const REACH: usize = 3;

/// Joins every update in a program.
pub(super) fn join_updates(steps: &mut Vec<Step>) {
    let mut at = 0;
    while at + LOOPS <= steps.len() {
        if let Some((update, last)) = update_at(steps, at) {
            // What stands in between is computed first.
            steps.remove(last);
            steps.drain(at..at + LOOPS - 1);
            let between = last - (at + LOOPS - 1);
            steps.insert(at + between, Step::Adam(update));
        }
        at += 1;
    }
}

/// The update whose moments begin at a step, and the step that moves its parameter.
fn update_at(steps: &[Step], at: usize) -> Option<(Adam, usize)> {
    let &[
        Step::Fused(Fused::WeightedSum, [m, s1, g, t1], next_m),
        Step::Fused(Fused::WeightedSquare, [v, s2, squared, t2], next_v),
        Step::Fused(Fused::RootRatio, [above, epsilon, below, _], ratio),
    ] = &steps[at..at + LOOPS - 1]
    else {
        return None;
    };
    if squared != g || above != next_m || below != next_v || next_m == g || next_m == v {
        return None;
    }
    let joined = at..at + LOOPS - 1;
    let found = steps[joined.end..].iter().take(REACH).position(|step| reads(step).contains(&ratio))?;
    let last = joined.end + found;
    let Step::Ternary(Ternary::SubFromMul, [first, second, p], next_p) = steps[last] else { return None };
    let rate = match (first == ratio, second == ratio) {
        (true, false) => second,
        (false, true) => first,
        _ => return None,
    };
    let is_uniform = |place: Place| matches!(place, Place::Uniform(_));
    let is_private = matches!(ratio, Place::Register(_)) && !is_read(&steps[last + 1..], ratio);
    if p == ratio
        || is_uniform(p)
        || next_p == next_m
        || next_p == next_v
        || !is_uniform(rate)
        || !(is_private || next_p == ratio)
    {
        return None;
    }
    // What stands in between is moved in front: it may share nothing with the moments but what both only read.
    let moves = |step: &Step| {
        let to = writes(step);
        let apart =
            |other: &Step| !reads(other).contains(&to) && writes(other) != to && !reads(step).contains(&writes(other));
        matches!(to, Place::Register(_)) && steps[joined.clone()].iter().all(apart)
    };
    let update = Adam { from: [m, g, v, p], numbers: [s1, t1, s2, t2, epsilon, rate], to: [next_m, next_v, next_p] };
    steps[joined.end..last].iter().all(moves).then_some((update, last))
}

/// Whether a register's value is read before it is written anew.
fn is_read(steps: &[Step], register: Place) -> bool {
    for step in steps {
        if reads(step).contains(&register) {
            return true;
        }
        if writes(step) == register {
            return false;
        }
    }
    false
}

fn reads(step: &Step) -> Vec<Place> {
    match step {
        Step::Fill { .. } => Vec::new(),
        Step::Unary(_, a, _) => vec![*a],
        Step::Binary(_, ab, _) => ab.to_vec(),
        Step::Ternary(_, abc, _) => abc.to_vec(),
        Step::Fused(_, abcd, _) => abcd.to_vec(),
        Step::Adam(update) => update.from.iter().chain(&update.numbers).copied().collect(),
        Step::Copy { from, .. } | Step::Sum { from, .. } => vec![*from],
    }
}

/// Where a step's result goes, or the last of them.
fn writes(step: &Step) -> Place {
    match step {
        Step::Fill { to, .. } => Place::Register(*to),
        Step::Unary(.., to)
        | Step::Binary(.., to)
        | Step::Ternary(.., to)
        | Step::Fused(.., to)
        | Step::Copy { to, .. } => *to,
        Step::Adam(update) => update.to[2],
        Step::Sum { store, .. } => Place::Store(*store),
    }
}
