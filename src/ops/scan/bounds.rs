//! Bounds of a loop's results: those of its carries are widened until a step keeps within them.

use super::{LoopResult, Scan};
use crate::ir::TensorType;
use crate::ops::{InputKind, Interval, Op, Ranges, Types};

/// Steps of the widening. What still moves then is taken to move for ever.
const MOST_ROUNDS: usize = 6;

pub(super) fn bounds(scan: &Scan, ranges: &Ranges<'_>) -> Interval {
    let mut carries: Vec<Interval> = (0..scan.carries).map(|carry| ranges.of(carry)).collect();
    let mut round = 0;
    loop {
        let found = of_body(scan, ranges, &carries);
        let of_output = |output: usize| found[scan.body.output(output).index()];
        let wider: Vec<Interval> =
            carries.iter().enumerate().map(|(carry, now)| widened(*now, of_output(carry))).collect();
        if wider == carries {
            return match scan.result {
                LoopResult::Carry(carry) | LoopResult::Incoming(carry) => carries[carry],
                LoopResult::Stacked(output) => of_output(scan.carries + output),
            };
        }
        round += 1;
        carries = if round < MOST_ROUNDS { wider } else { vec![Interval::ALL; scan.carries] };
    }
}

/// What steps often keep within: running means of shares, gates and signs.
const STOPS: [f64; 3] = [-1.0, 0.0, 1.0];

/// A bound that moves once may move for ever: it goes to the next stop, or to infinity.
fn widened(now: Interval, next: Interval) -> Interval {
    let below = STOPS.into_iter().rev().find(|stop| *stop <= next.low).unwrap_or(f64::NEG_INFINITY);
    let above = STOPS.into_iter().find(|stop| *stop >= next.high).unwrap_or(f64::INFINITY);
    Interval::new(if next.low < now.low { below } else { now.low }, if next.high > now.high { above } else { now.high })
}

/// The bounds of the body's nodes in a step that begins with carries within theirs.
fn of_body(scan: &Scan, ranges: &Ranges<'_>, carries: &[Interval]) -> Vec<Interval> {
    let graph = scan.body.graph();
    let mut found: Vec<Interval> = Vec::with_capacity(graph.len());
    for id in graph.ids() {
        let port = match graph.op(id) {
            Op::Input(input) => match input.kind {
                InputKind::Port(port) => Some(port),
                _ => None,
            },
            _ => None,
        };
        let operands = graph.operands(id);
        let intervals: Vec<Interval> = operands.iter().map(|operand| found[operand.index()]).collect();
        let types: Vec<&TensorType> = operands.iter().map(|operand| graph.ty(*operand)).collect();
        let types = Types { operands: &types, result: graph.ty(id) };
        found.push(match port {
            Some(port) => carries.get(port).copied().unwrap_or_else(|| ranges.of(port)),
            None => graph.op(id).bounds(&Ranges { operands: &intervals, types, are_twins: false, ..*ranges }),
        });
    }
    found
}
