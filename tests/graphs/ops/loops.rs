//! A loop that is easy to follow: `sum, count = sum + x w, count + 1`, with `sum x` stacked.

use crate::ops::ty;
use anabranch::diag::{SourceId, Span};
use anabranch::ir::{Builder, Dim, Graph, Provenance, Role};
use anabranch::ops::scan::Body;
use anabranch::ops::{Input, InputKind, LoopResult, Scan};

fn place(name: &str) -> Provenance {
    Provenance { name: name.into(), span: Span::new(SourceId::NOWHERE, 0, 0) }
}

fn body() -> Body {
    let mut graph = Graph::new();
    let mut b = Builder::new(&mut graph, place("step"));
    let ports: Vec<_> = ["f32[2]", "i32", "f32[2]", "f32[2]"]
        .iter()
        .enumerate()
        .map(|(port, text)| {
            b.set_provenance(place(&format!("p{port}")));
            b.emit(Input { kind: InputKind::Port(port), ty: ty(text) }, &[])
        })
        .collect();
    b.set_provenance(place("step"));
    let product = b.mul(ports[2], ports[3]);
    let sum = b.add2(ports[0], product);
    let one = b.constant_like(1.0, ports[1]);
    let count = b.add2(ports[1], one);
    let seen = b.mul(sum, ports[2]);
    for (i, output) in [sum, count, seen].into_iter().enumerate() {
        graph.add_output(if i < 2 { Role::State } else { Role::Output }, i.to_string(), output);
    }
    Body::new(graph)
}

/// The loop over so many steps.
pub fn sums(length: usize, reverse: bool, result: LoopResult) -> Scan {
    Scan { body: body(), carries: 2, sequences: 1, length: Dim::known(length), reverse, result }
}
