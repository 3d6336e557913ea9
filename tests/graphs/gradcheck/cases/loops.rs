//! Loops: every kind of result, both directions, one step and none, a stopped constant.

use super::{USUAL, case, dims, floats, ty};
use crate::gradcheck::harness::{Case, Operand};
use anabranch::diag::{SourceId, Span};
use anabranch::ir::{Builder, DType, Dim, Graph, NodeId, Provenance, Role, TensorType};
use anabranch::ops::scan::Body;
use anabranch::ops::*;

fn place(name: &str) -> Provenance {
    Provenance { name: name.into(), span: Span::new(SourceId::NOWHERE, 0, 0) }
}

/// The body whose ports have these types; `step` gives the next carries, then what is stacked.
fn body(types: &[TensorType], carries: usize, step: impl Fn(&mut Builder<'_>, &[NodeId]) -> Vec<NodeId>) -> Body {
    let mut graph = Graph::new();
    let mut b = Builder::new(&mut graph, place("step"));
    let mut ports = Vec::new();
    for (port, ty) in types.iter().enumerate() {
        b.set_provenance(place(&format!("p{port}")));
        ports.push(b.emit(Input { kind: InputKind::Port(port), ty: ty.clone() }, &[]));
    }
    b.set_provenance(place("step"));
    for (i, output) in step(&mut b, &ports).into_iter().enumerate() {
        graph.add_output(if i < carries { Role::State } else { Role::Output }, i.to_string(), output);
    }
    Body::new(graph)
}

/// `h, c = tanh(h w + x), c + h x` with `sin(c)` stacked; the constant enters once more through a `stop`.
fn recurrent() -> Body {
    let row = ty(DType::F32, &[2, 3]);
    body(&[row.clone(), row.clone(), row, ty(DType::F32, &[3, 3]), ty(DType::F32, &[3])], 2, |b, ports| {
        let [h, c, x, w, stopped] = *ports else { panic!("five ports") };
        let product = b.emit(MatMul::default(), &[h, w]);
        let sum = b.add2(product, x);
        let stopped = b.emit(StopGradient, &[stopped]);
        let stopped = b.broadcast(stopped, &dims(&[2, 3]), &[1]);
        let sum = b.add2(sum, stopped);
        let next = b.emit(Tanh, &[sum]);
        let change = b.mul(h, x);
        let kept = b.add2(c, change);
        let seen = b.emit(Sin, &[kept]);
        vec![next, kept, seen]
    })
}

fn looped(result: LoopResult, length: usize, reverse: bool) -> Case {
    let scan = Scan { body: recurrent(), carries: 2, sequences: 1, length: Dim::known(length), reverse, result };
    let operands: Vec<Operand> = vec![
        floats(&[2, 3], -0.9, 0.8),
        floats(&[2, 3], -0.7, 0.9),
        floats(&[length, 2, 3], -1.0, 1.0),
        floats(&[3, 3], -0.8, 0.7),
        floats(&[3], -0.5, 0.5),
    ];
    case(scan, operands, USUAL)
}

pub fn cases() -> Vec<Case> {
    vec![
        looped(LoopResult::Carry(0), 3, false),
        looped(LoopResult::Carry(1), 3, true),
        looped(LoopResult::Stacked(0), 3, false),
        looped(LoopResult::Stacked(0), 2, true),
        looped(LoopResult::Incoming(1), 3, false),
        looped(LoopResult::Carry(1), 1, false),
        looped(LoopResult::Carry(0), 0, false),
    ]
}
