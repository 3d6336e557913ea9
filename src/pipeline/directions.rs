//! Which way each `grad(y, x)` of a spec is taken: the way that makes the whole training step cheaper.
//!
//! Reverse mode costs a walk back whatever `x` is, forward mode a sweep for each coordinate of it, and what a training step
//! does with the derivative, such as differentiating it again or reading one column of it, counts as much as the
//! derivative itself. So the spec is lowered for both, and the simplified training steps are compared. All ways at once
//! would be too many: the start is the better of all in reverse and all forward, then each is turned over by itself.

use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span};
use crate::ir::{Graph, Role};
use crate::lower::{Direction, Module};
use crate::passes::{Coordinates, Cost, cost, differentiate, prune, resolve_training, simplify};
use std::collections::BTreeMap;
use std::fmt;

/// With more derivatives than this only the two extremes are compared.
const MOST_TURNED: usize = 8;
/// Larger graphs are not lowered twice.
const MOST_NODES: usize = 100_000;

/// A lowered spec with the directions of its derivatives chosen.
pub(super) struct Directed {
    pub module: Module,
    pub findings: Vec<Diagnostic>,
    pub derivatives: Vec<Derivative>,
}

/// A `grad` of the spec and the direction that was chosen for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivative {
    pub span: Span,
    /// the call as written, once [`Derivative::quote`] knows the texts
    pub text: String,
    pub direction: Direction,
    /// what forward mode sweeps over; `None` where it cannot be taken
    pub coordinates: Option<Coordinates>,
    /// The estimated cost of the training step, over that with this derivative taken the other way; `None` where there is
    /// no other way, or it was not tried.
    pub ratio: Option<f64>,
}

impl Derivative {
    /// Looks up how the call is written.
    pub fn quote(&mut self, sources: &SourceMap) {
        self.text = sources.snippet(self.span).split_whitespace().collect::<Vec<_>>().join(" ");
    }
}

impl fmt::Display for Derivative {
    /// `grad(sum(u), x): forward, 2 coordinates a row, step cost 0.83 of reverse`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (direction, other) = match self.direction {
            Direction::Forward => ("forward", "reverse"),
            Direction::Reverse => ("reverse", "forward"),
        };
        write!(f, "{}: {direction}", self.text)?;
        match self.coordinates {
            Some(Coordinates::ARow(count)) => write!(f, ", {} a row", coordinates(count))?,
            Some(Coordinates::InAll(count)) => write!(f, ", {} in all", coordinates(count))?,
            None => {}
        }
        match self.ratio {
            Some(ratio) => write!(f, ", step cost {ratio:.2} of {other}"),
            None => Ok(()),
        }
    }
}

fn coordinates(count: usize) -> String {
    if count == 1 { "1 coordinate".to_string() } else { format!("{count} coordinates") }
}

/// Lowers, by `lower` with the directions that it is to take, until the cheapest found is known.
///
/// # Errors
/// Those of `lower`.
pub(super) fn choose(
    lower: impl Fn(&[Direction]) -> Result<(Module, Vec<Diagnostic>), Diagnostics>,
) -> Result<Directed, Diagnostics> {
    let (module, findings) = lower(&[])?;
    let n_derivatives = module.derivatives.len();
    let is_open = module.derivatives.iter().any(|derivative| derivative.coordinates.is_some());
    let mut search = Search { lower: &lower, costs: BTreeMap::new() };
    let mut chosen = vec![Direction::Reverse; n_derivatives];
    let (module, findings) = if is_open && module.graph.len() <= MOST_NODES {
        search.costs.insert(chosen.clone(), step_cost(&module).total());
        chosen = search.best(n_derivatives)?;
        lower(&chosen)?
    } else {
        (module, findings)
    };
    let mut derivatives = Vec::with_capacity(n_derivatives);
    for (at, info) in module.derivatives.iter().enumerate() {
        let other = turned(&chosen, at);
        let is_tried =
            info.coordinates.is_some() && is_open && n_derivatives <= MOST_TURNED && !search.costs.is_empty();
        let ratio = if is_tried { Some(search.cost(&chosen)? / search.cost(&other)?) } else { None };
        let (span, text) = (info.span, "grad(…)".to_string());
        derivatives.push(Derivative { span, text, direction: info.direction, coordinates: info.coordinates, ratio });
    }
    Ok(Directed { module, findings, derivatives })
}

/// The costs found so far.
struct Search<'l, L> {
    lower: &'l L,
    costs: BTreeMap<Vec<Direction>, f64>,
}

impl<L: Fn(&[Direction]) -> Result<(Module, Vec<Diagnostic>), Diagnostics>> Search<'_, L> {
    fn cost(&mut self, directions: &[Direction]) -> Result<f64, Diagnostics> {
        if let Some(cost) = self.costs.get(directions) {
            return Ok(*cost);
        }
        let (module, _) = (self.lower)(directions)?;
        let cost = step_cost(&module).total();
        self.costs.insert(directions.to_vec(), cost);
        Ok(cost)
    }

    fn best(&mut self, n_derivatives: usize) -> Result<Vec<Direction>, Diagnostics> {
        let mut best = vec![Direction::Reverse; n_derivatives];
        let forward = vec![Direction::Forward; n_derivatives];
        if self.cost(&forward)? < self.cost(&best)? {
            best = forward;
        }
        if n_derivatives > MOST_TURNED {
            return Ok(best);
        }
        for at in (0..n_derivatives).rev() {
            let other = turned(&best, at);
            if self.cost(&other)? < self.cost(&best)? {
                best = other;
            }
        }
        Ok(best)
    }
}

fn turned(directions: &[Direction], at: usize) -> Vec<Direction> {
    let mut turned = directions.to_vec();
    turned[at] = match turned[at] {
        Direction::Reverse => Direction::Forward,
        Direction::Forward => Direction::Reverse,
    };
    turned
}

/// What a lowered spec costs to run once it is differentiated and simplified.
fn step_cost(module: &Module) -> Cost {
    let whole: Graph = differentiate(&resolve_training(&module.graph));
    cost(&simplify(&prune(&whole, |output| output.role != Role::Gradient)))
}
