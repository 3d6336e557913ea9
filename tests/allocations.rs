//! A training step allocates nothing: counted by the allocator of this test binary, on every thread.

#![allow(unsafe_code, reason = "an allocator that counts")]

use anabranch::diag::{SourceMap, render_plain};
use anabranch::exec::{Clock, Executor, ExecutorOptions, Store};
use anabranch::ir::DimSizes;
use anabranch::lower::Options;
use anabranch::pipeline::compile;
use anabranch_kernels::Pool;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every call to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: by the contract of this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: by the contract of this function.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const RECURRENT: &str = "
    input x: f32[batch, 6, 4]
    target y: f32[batch, 3]
    output z = x |> bidirectional(units=5, cell=lstm, sequences=true) |> gru(units=4) |> dense(units=3)
    loss l = mean_squared_error(y, z)
    train {
        minimize l
        optimizer adam(lr=0.01)
    }";

const SPECS: [(&str, &str, usize); 4] = [
    ("recurrent", RECURRENT, 8),
    ("w1", include_str!("../benches/compare/specs/w1.anb"), 7),
    ("w2", include_str!("../benches/compare/specs/w2.anb"), 16),
    ("w3", include_str!("../benches/compare/specs/w3.anb"), 4),
];

/// A pool all of whose threads run: one allocates as it starts, which on a busy machine may be late.
fn started(threads: usize) -> Arc<Pool> {
    let pool = Arc::new(Pool::new(threads));
    let all = Barrier::new(pool.threads());
    pool.run(pool.threads(), &|_| {
        all.wait();
    });
    pool
}

/// An executor and a store with its first values.
fn training(name: &str, text: &str, batch: usize, threads: usize) -> (Executor<f32>, Store<f32>) {
    let mut sources = SourceMap::default();
    let id = sources.add(name, text);
    let compiled = compile(&mut sources, id, &Options::default())
        .unwrap_or_else(|findings| panic!("{}", render_plain(&findings.0, &sources)));
    let options = ExecutorOptions { pool: Some(started(threads)), ..ExecutorOptions::default() };
    let mut init = Executor::<f32>::new(&compiled.simplified.init, &DimSizes::new(), &options).unwrap();
    let store = init.initial_store(Clock::default()).unwrap();
    let sizes = DimSizes::from([("batch".into(), batch)]);
    (Executor::new(&compiled.simplified.train, &sizes, &options).unwrap(), store)
}

// One test: others would allocate beside it.
#[test]
fn steps_allocate_nothing() {
    for (name, text, batch) in SPECS {
        for threads in [1, 2] {
            let (mut executor, mut store) = training(name, text, batch, threads);
            for step in 0..3 {
                executor.run(&mut store, Clock { step, ..Clock::default() }).unwrap();
            }
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            for step in 3..23 {
                for feed in 0..executor.feeds().len() {
                    if let Some(values) = executor.feed_float(feed) {
                        values.fill(0.5);
                    }
                }
                executor.run(&mut store, Clock { step, ..Clock::default() }).unwrap();
            }
            let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
            assert_eq!(allocations, 0, "{name} on {threads} threads");
        }
    }
}
