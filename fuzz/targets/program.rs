//! Any text is a saved program, which is written back, planned and run, or is refused with a finding.

#![no_main]

use anabranch::diag::{SourceId, Span};
use anabranch::exec::{Carried, Clock, ExecutorOptions, Mode, Store, StoreKind, Values};
use anabranch::export::program::Document;
use anabranch::ir::{DimSizes, Graph};
use anabranch::ops::{InputKind, Op};
use anabranch::train::{Program, SavedProgram};
use libfuzzer_sys::{Corpus, fuzz_target};

/// Beyond this many elements in all, a program is read but not run: the limits of a real run are in the gigabytes.
const MOST_ELEMENTS: usize = 1 << 16;
const ROWS: usize = 3;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(saved) = serde_json::from_slice::<SavedProgram>(bytes) else { return Corpus::Keep };
    let Ok(graph) = saved.graph(Span::new(SourceId::NOWHERE, 0, 0)) else { return Corpus::Keep };
    let document = Document::of(&graph);
    let written = serde_json::to_string(&document).expect("a graph is written");
    let again: Document = serde_json::from_str(&written).expect("what is written is read");
    let again = again.graph(Span::new(SourceId::NOWHERE, 0, 0)).expect("what is written is a graph");
    assert_eq!(Document::of(&again), document, "a program changed on its way");
    run(graph);
    Corpus::Keep
});

/// Plans the program and runs it once on zeros, where it is small enough.
fn run(graph: Graph) {
    let mut sizes = DimSizes::from([("batch".into(), ROWS)]);
    for id in graph.ids() {
        for name in graph.ty(id).shape.iter().flat_map(|dim| dim.symbols()) {
            sizes.entry(name.clone()).or_insert(2);
        }
    }
    let extents = |id| graph.ty(id).shape.iter().filter_map(|dim| dim.evaluate(&sizes));
    let elements = graph.ids().map(|id| extents(id).fold(1usize, usize::saturating_mul));
    if elements.fold(0, usize::saturating_add) > MOST_ELEMENTS {
        return;
    }
    let mut store = Store::<f32>::new();
    for id in graph.ids() {
        let kind = match graph.op(id) {
            Op::Input(leaf) if leaf.kind == InputKind::Param => StoreKind::Param,
            Op::Input(leaf) if leaf.kind == InputKind::State => StoreKind::State,
            _ => continue,
        };
        // A run folder's params have fixed sizes.
        let Some(shape) = graph.ty(id).known_shape() else { return };
        let dtype = graph.ty(id).dtype;
        let values = Values::zeros(dtype, shape.iter().product());
        let name = graph.node(id).provenance.name.clone();
        store.insert(Carried { kind, name, dtype, shape }, values).unwrap();
    }
    let options = ExecutorOptions { mode: Mode::Planned, threads: 1, ..ExecutorOptions::default() };
    let mut program = Program::<f32>::new(graph, options);
    if let Ok(executor) = program.executor(ROWS, &sizes) {
        executor.run(&mut store, Clock::default()).unwrap();
    }
}
