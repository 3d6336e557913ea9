//! What programs take of memory, counted before any of it is allocated, and held against one limit for all that is alive at once.

use super::{Bound, Carried, Feed, StoreKind};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::ir::{DType, Graph, NodeId, Role, TensorType};
use crate::ops::Op;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that a run may take where its options say no other number: 64 GiB.
const LIMIT: u64 = 1 << 36;

/// Tensors that a refusal names.
const MOST_NAMED: usize = 4;

/// Bytes by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// between operations, and what kernels work in
    pub values: u64,
    pub params: u64,
    /// an optimizer's and others
    pub states: u64,
    /// of params and states, to go back to
    pub copies: u64,
    /// of a batch
    pub fed: u64,
    pub results: u64,
    /// the rows that are trained on or predicted for
    pub data: u64,
}

impl Footprint {
    /// Params and states, in floats of so many bytes.
    pub(super) fn of_carried(carried: &[Carried], float_size: usize) -> Self {
        let kept = |kind: StoreKind| {
            let values = carried.iter().filter(|value| value.kind == kind);
            values.map(|value| bytes_of(value.dtype, &value.shape, float_size)).fold(0, u64::saturating_add)
        };
        Self { params: kept(StoreKind::Param), states: kept(StoreKind::State), ..Self::default() }
    }

    /// What a program takes beside `values`: its params and states, inputs and results.
    pub(super) fn around(program: &Bound, values: u64, float_size: usize) -> Self {
        let size = |feed: &Feed| bytes_of(feed.dtype, &feed.shape, float_size);
        let results = program.fetches().iter().filter(|fetch| !matches!(fetch.role, Role::Param | Role::State));
        Self {
            values,
            fed: program.feeds().iter().map(size).fold(0, u64::saturating_add),
            results: results.map(|fetch| bytes_of(fetch.dtype, &fetch.shape, float_size)).fold(0, u64::saturating_add),
            ..Self::of_carried(program.carried(), float_size)
        }
    }

    /// Both at once: programs share params and states, and nothing else.
    fn with(self, other: Self) -> Self {
        Self {
            values: self.values.saturating_add(other.values),
            params: self.params.max(other.params),
            states: self.states.max(other.states),
            copies: self.copies.saturating_add(other.copies),
            fed: self.fed.saturating_add(other.fed),
            results: self.results.saturating_add(other.results),
            data: self.data.saturating_add(other.data),
        }
    }

    fn parts(&self) -> [(u64, &'static str); 7] {
        [
            (self.values, "values between operations"),
            (self.params, "params"),
            (self.states, "states, such as an optimizer's"),
            (self.copies, "copies of params and states"),
            (self.fed, "inputs and targets of a batch"),
            (self.results, "results"),
            (self.data, "data"),
        ]
    }

    fn total(&self) -> u64 {
        self.parts().iter().fold(0, |total, (bytes, _)| total.saturating_add(*bytes))
    }
}

/// What may be taken at once. Clones are one budget.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: u64,
    claims: Mutex<Claims>,
}

#[derive(Debug, Default)]
struct Claims {
    made: u64,
    held: Vec<(u64, Footprint)>,
}

/// A part of a budget, given back when it is dropped.
#[derive(Debug)]
pub struct Claim {
    budget: Budget,
    id: u64,
}

impl Budget {
    /// So many bytes; 64 GiB when left out.
    pub fn new(limit: Option<u64>) -> Self {
        Self(Arc::new(Shared { limit: limit.unwrap_or(LIMIT), claims: Mutex::default() }))
    }

    /// Takes a part.
    ///
    /// # Errors
    /// E0702 when that and what is taken already is more than there is; `name` then says more of what was to be taken.
    pub fn claim(
        &self,
        footprint: Footprint,
        name: impl FnOnce(Diagnostic) -> Diagnostic,
    ) -> Result<Claim, Diagnostics> {
        let mut claims = self.0.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let together = claims.held.iter().fold(footprint, |sum, (_, held)| sum.with(*held));
        if together.total() > self.0.limit {
            let is_alone = claims.held.is_empty();
            return Err(name(refusal(&together, self.0.limit, is_alone)).into());
        }
        claims.made += 1;
        let id = claims.made;
        claims.held.push((id, footprint));
        Ok(Claim { budget: self.clone(), id })
    }

    /// What is taken.
    pub fn taken(&self) -> Footprint {
        let claims = self.0.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.held.iter().fold(Footprint::default(), |sum, (_, held)| sum.with(*held))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = self.budget.0.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.held.retain(|(id, _)| *id != self.id);
    }
}

fn refusal(together: &Footprint, limit: u64, is_alone: bool) -> Diagnostic {
    let what = if is_alone { "the program needs" } else { "the run needs" };
    let shown = together.parts().into_iter().filter(|(bytes, _)| *bytes > 0);
    let shown: Vec<String> = shown.map(|(bytes, what)| format!("{} of {what}", amount(bytes))).collect();
    Diagnostic::error(Code::E0702, format!("{what} {} of memory", amount(together.total())))
        .with_note(format!("found: {}", shown.join(", ")))
        .with_note(format!("expected: at most {}", amount(limit)))
}

/// The refusal with the largest of some nodes' values.
pub(super) fn with_largest(
    finding: Diagnostic,
    graph: &Graph,
    nodes: impl Iterator<Item = NodeId>,
    float_size: usize,
) -> Diagnostic {
    let mut finding = finding;
    let bytes = |id: NodeId| node_bytes(graph, id, float_size);
    let leaves = graph.ids().filter(|id| matches!(graph.op(*id), Op::Input(_)));
    let mut largest: Vec<NodeId> = nodes.chain(leaves).collect();
    largest.sort_by_key(|id| (std::cmp::Reverse(bytes(*id)), *id));
    largest.dedup();
    for id in largest.iter().take(MOST_NAMED) {
        let node = graph.node(*id);
        finding = finding.with_note(format!("`{}` is {}, {}", node.provenance.name, node.ty, amount(bytes(*id))));
    }
    if let Some(id) = largest.first() {
        finding = finding.at(graph.node(*id).provenance.span, "the largest value");
    }
    finding.with_help("take a smaller batch or a smaller model")
}

/// The bytes of so many elements, in floats of so many bytes.
pub(super) fn bytes_of(dtype: DType, shape: &[usize], float_size: usize) -> u64 {
    let size = if dtype == DType::F32 { float_size as u64 } else { 4 };
    shape.iter().fold(size, |bytes, extent| bytes.saturating_mul(*extent as u64))
}

/// The bytes of a node's value.
pub(super) fn node_bytes(graph: &Graph, id: NodeId, float_size: usize) -> u64 {
    let ty: &TensorType = graph.ty(id);
    ty.known_shape().map_or(0, |shape| bytes_of(ty.dtype, &shape, float_size))
}

/// `1.5 GiB`, `20.0 MiB`, `12 bytes`
fn amount(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 1 << 30 => format!("{:.1} GiB", bytes as f64 / f64::from(1_u32 << 30)),
        bytes if bytes >= 1 << 20 => format!("{:.1} MiB", bytes as f64 / f64::from(1_u32 << 20)),
        bytes => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alive_at_once_counts_together() {
        let budget = Budget::new(Some(100));
        let program = Footprint { values: 40, params: 20, ..Footprint::default() };
        let first = budget.claim(program, |finding| finding).unwrap();
        // Another 40 of values: programs share their params.
        let second = budget.clone().claim(program, |finding| finding).unwrap();
        assert_eq!(budget.taken(), Footprint { values: 80, params: 20, ..Footprint::default() });
        let refused = budget.claim(Footprint { data: 1, ..Footprint::default() }, |finding| finding.with_help("less"));
        let finding = refused.unwrap_err().0.remove(0);
        assert_eq!((finding.code, &*finding.headline), (Code::E0702, "the run needs 101 bytes of memory"));
        assert_eq!(
            finding.notes[0],
            "found: 80 bytes of values between operations, 20 bytes of params, 1 bytes of data"
        );
        assert_eq!(finding.helps, ["less"]);
        drop(first);
        assert_eq!(budget.taken(), program);
        budget.claim(Footprint { copies: 40, ..Footprint::default() }, |finding| finding).unwrap();
        drop(second);
        assert_eq!(budget.taken(), Footprint::default());
        let alone = budget.claim(Footprint { values: u64::MAX, fed: 1, ..Footprint::default() }, |finding| finding);
        assert!(alone.unwrap_err().0[0].headline.starts_with("the program needs"));
    }
}
