//! What a program takes of memory, counted before any of it is allocated.

use super::Feed;
use super::store::{Carried, StoreKind};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::ir::{DType, Graph, NodeId, Role, TensorType};
use crate::ops::Op;
use crate::plan::Plan;

/// Bytes that a program may take where its options say no other number: 64 GiB.
const LIMIT: u64 = 1 << 36;

/// Tensors that a refusal names.
const MOST_NAMED: usize = 4;

/// A part of what a program takes.
struct Part {
    what: &'static str,
    bytes: u64,
}

/// Refuses a plan that does not fit, with all that goes with it: the values between its operations, the params and states
/// that it reads and their next values, its inputs and its results.
///
/// # Errors
/// E0702 with the largest tensors.
pub(super) fn fits(
    plan: &Plan,
    graph: &Graph,
    feeds: &[Feed],
    carried: &[Carried],
    float_size: usize,
    limit: Option<u64>,
) -> Result<(), Diagnostics> {
    let limit = limit.unwrap_or(LIMIT);
    let size = |dtype: DType| if dtype == DType::F32 { float_size as u64 } else { 4 };
    let bytes_of = |dtype: DType, shape: &[usize]| {
        shape.iter().fold(size(dtype), |bytes, extent| bytes.saturating_mul(*extent as u64))
    };
    let node_bytes = |id: NodeId| {
        let ty: &TensorType = graph.ty(id);
        ty.known_shape().map_or(0, |shape| bytes_of(ty.dtype, &shape))
    };
    let kept = |kind: StoreKind| -> u64 {
        carried.iter().filter(|value| value.kind == kind).map(|value| bytes_of(value.dtype, &value.shape)).sum()
    };
    let is_result = |role: Role| !matches!(role, Role::Param | Role::State);
    let between = (plan.float_len as u64).saturating_mul(float_size as u64) + plan.int_len as u64 * 4;
    let parts = [
        Part { what: "values between operations", bytes: between },
        Part { what: "params", bytes: kept(StoreKind::Param) },
        Part { what: "states, such as an optimizer's", bytes: kept(StoreKind::State) },
        Part { what: "inputs and targets", bytes: feeds.iter().map(|feed| bytes_of(feed.dtype, &feed.shape)).sum() },
        Part {
            what: "results",
            bytes: graph
                .outputs
                .iter()
                .filter(|output| is_result(output.role))
                .map(|output| node_bytes(output.node))
                .sum(),
        },
    ];
    let total = parts.iter().fold(0_u64, |total, part| total.saturating_add(part.bytes));
    if total <= limit {
        return Ok(());
    }
    let shown: Vec<String> = parts
        .iter()
        .filter(|part| part.bytes > 0)
        .map(|part| format!("{} of {}", amount(part.bytes), part.what))
        .collect();
    let mut finding = Diagnostic::error(Code::E0702, format!("the program needs {} of memory", amount(total)))
        .with_note(format!("found: {}", shown.join(", ")))
        .with_note(format!("expected: at most {}", amount(limit)));
    let leaves = graph.ids().filter(|id| matches!(graph.op(*id), Op::Input(_)));
    let mut largest: Vec<NodeId> = plan.buffers.iter().map(|buffer| buffer.node).chain(leaves).collect();
    largest.sort_by_key(|id| (std::cmp::Reverse(node_bytes(*id)), *id));
    largest.dedup();
    for id in largest.iter().take(MOST_NAMED) {
        let node = graph.node(*id);
        finding = finding.with_note(format!("`{}` is {}, {}", node.provenance.name, node.ty, amount(node_bytes(*id))));
    }
    if let Some(id) = largest.first() {
        finding = finding.at(graph.node(*id).provenance.span, "the largest value");
    }
    Err(finding.with_help("take a smaller batch or a smaller model").into())
}

/// `1.5 GiB`, `20.0 MiB`, `12 bytes`
fn amount(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 1 << 30 => format!("{:.1} GiB", bytes as f64 / f64::from(1_u32 << 30)),
        bytes if bytes >= 1 << 20 => format!("{:.1} MiB", bytes as f64 / f64::from(1_u32 << 20)),
        bytes => format!("{bytes} bytes"),
    }
}
