//! Plans run as the reference evaluation says, on stores that they may trust, and refuse what does not fit.

use anabranch::diag::{Code, Diagnostics, SourceMap, render_plain};
use anabranch::exec::{Carried, Clock, Entry, Executor, ExecutorOptions, Mode, Store, StoreError, StoreKind, Values};
use anabranch::ir::{DType, DimSizes, Graph, Role};
use anabranch::lower::Options;
use anabranch::ops::Element;
use anabranch::pipeline::{self, compile};

/// A store with the initial values of a spec.
fn initial<T: Element>(init: &Graph, options: &ExecutorOptions) -> Store<T> {
    let mut executor = Executor::<T>::new(init, &DimSizes::new(), options).unwrap();
    executor.initial_store(Clock { seed: 3, ..Clock::default() }).unwrap()
}

/// Runs some steps of a spec in one mode on made-up data; gives the store and the losses.
fn train<T: Element>(text: &str, mode: Mode, batch: usize) -> (Store<T>, Vec<f64>) {
    let mut sources = SourceMap::default();
    let id = sources.add("test.anb", text);
    let compiled = compile(&mut sources, id, &Options::default())
        .unwrap_or_else(|findings| panic!("{}", render_plain(&findings.0, &sources)));
    let options = ExecutorOptions { mode, threads: 2, ..ExecutorOptions::default() };
    let mut store = initial::<T>(&compiled.simplified.init, &options);
    let sizes = DimSizes::from([("batch".into(), batch)]);
    let mut executor = Executor::<T>::new(&compiled.simplified.train, &sizes, &options).unwrap();
    let mut losses = Vec::new();
    for step in 0..5 {
        for feed in 0..executor.feeds().len() {
            let mut state = 17u32 + feed as u32 + step as u32 * 7;
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state >> 8
            };
            if let Some(values) = executor.feed_float(feed) {
                values.fill_with(|| T::of(f64::from(next() % 1000) / 1000.0));
            } else if let Some(values) = executor.feed_int(feed) {
                values.fill_with(|| (next() % 10) as i32);
            }
        }
        executor.run(&mut store, Clock { step, ..Clock::default() }).unwrap();
        losses.extend((0..executor.fetches().len()).filter_map(|fetch| executor.scalar(fetch)));
    }
    (store, losses)
}

fn agree(text: &str, batch: usize) {
    let (planned, planned_losses) = train::<f64>(text, Mode::Planned, batch);
    let (reference, reference_losses) = train::<f64>(text, Mode::Reference, batch);
    for (a, b) in planned_losses.iter().zip(&reference_losses) {
        assert!((a - b).abs() <= 1e-9 * (1.0 + b.abs()), "losses {planned_losses:?} against {reference_losses:?}");
    }
    for (a, b) in planned.entries().zip(reference.entries()) {
        for (x, y) in a.values().floats().iter().zip(b.values().floats()) {
            assert!((x - y).abs() <= 1e-9 * (1.0 + y.abs()), "{}: {x} against {y}", a.name());
        }
    }
}

const LOCALIZER: &str = include_str!("../../examples/localizer/localizer.anb");

#[test]
fn plan_and_reference_agree_on_the_first_example() {
    agree(LOCALIZER, 7);
    agree(LOCALIZER, 1);
}

const TWO_HEADS: &str = "
    input x: f32[batch, 8, 8, 1]
    target label: i32[batch]
    target next: f32[batch, 3]
    let trunk = x |> conv2d(filters=4, kernel=3, padding=\"same\", activation=relu) |> max_pool2d(window=2) |> flatten
    let hidden = trunk |> dense(units=16, activation=tanh)
    output logits = hidden |> dense(units=10)
    output guess = hidden |> dense(units=3)
    loss first = sparse_categorical_crossentropy(label, logits)
    loss second = mean_squared_error(next, guess)
    loss total = uncertainty(first, second)
    metric hits = accuracy(label, logits)
    train {
        minimize total
        optimizer adam(lr=0.01)
        clip global_norm=1.0
    }";

#[test]
fn plan_and_reference_agree_on_a_convolutional_net_with_two_heads() {
    agree(TWO_HEADS, 5);
    agree(TWO_HEADS, 64);
}

#[test]
fn floats_follow_doubles() {
    let (single, _) = train::<f32>(TWO_HEADS, Mode::Planned, 16);
    let (double, _) = train::<f64>(TWO_HEADS, Mode::Planned, 16);
    for (a, b) in single.entries().zip(double.entries()) {
        for (x, y) in a.values().floats().iter().zip(b.values().floats()) {
            assert!((f64::from(*x) - y).abs() <= 1e-3 * (1.0 + y.abs()), "{}: {x} against {y}", a.name());
        }
    }
}

#[test]
fn a_program_too_large_for_memory_is_refused_before_it_is_made() {
    let text = "
        input x: f32[batch, 1000, 1000]
        output y = exp(x) @ exp(2 * x)";
    let mut sources = SourceMap::default();
    let id = sources.add("test.anb", text);
    let compiled = compile(&mut sources, id, &Options::default()).unwrap();
    let code = |rows| {
        let options = ExecutorOptions { memory: Some(1 << 30), ..ExecutorOptions::default() };
        let sizes = DimSizes::from([("batch".into(), rows)]);
        let findings = Executor::<f32>::new(&compiled.simplified.predict, &sizes, &options).err();
        findings.map(|findings| findings.0[0].code)
    };
    assert_eq!(code(1_000), Some(Code::E0702));
    assert_eq!(code(1_000_000), Some(Code::E0701), "no tensor has so many elements");
}

#[test]
fn everything_that_a_program_takes_counts() {
    let text = "
        input x: f32[batch, 100]
        target y: f32[batch, 50]
        param kernel: f32[100, 50] = normal(std=0.1)
        output out = x @ kernel
        loss error = mean(square(y - out), axes=1)
        train { minimize error
            optimizer adam() }";
    let mut sources = SourceMap::default();
    let id = sources.add("test.anb", text);
    let compiled = compile(&mut sources, id, &Options::default()).unwrap();
    let sizes = DimSizes::from([("batch".into(), 8)]);
    let with = |memory| {
        let options = ExecutorOptions { memory: Some(memory), ..ExecutorOptions::default() };
        Executor::<f32>::new(&compiled.simplified.train, &sizes, &options).map(|_| ())
    };
    // The kernel, two moments of it, a row of 100 and one of 50 for each sample.
    let least = 4 * (3 * 5000 + 8 * 150);
    let finding = with(least).unwrap_err().0.remove(0);
    assert_eq!(finding.code, Code::E0702);
    assert!(finding.notes.iter().any(|note| note.contains("`kernel` is f32[100, 50]")), "{finding:?}");
    assert!(finding.notes[0].contains("params") && finding.notes[0].contains("states"), "{finding:?}");
    with(20 * least).unwrap();
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let text = "
        input x: f32[batch, T]
        output y = x[:, 0:4]";
    let mut sources = SourceMap::default();
    let id = sources.add("test.anb", text);
    let compiled = compile(&mut sources, id, &Options::default()).unwrap();
    let sizes = DimSizes::from([("batch".into(), 2), ("T".into(), 3)]);
    let refused = Executor::<f32>::new(&compiled.simplified.predict, &sizes, &ExecutorOptions::default());
    assert_eq!(refused.err().map(|findings| findings.0[0].code), Some(Code::E0303));
}

/// A param of a matrix, an int state, a bool state, an input and targets.
const MIXED: &str = "
    input x: f32[batch, 2]
    target label: i32[batch]
    param w: f32[2, 3] = normal(std=1.0)
    state seen: i32 = 0
    output logits = x @ w
    loss error = sparse_categorical_crossentropy(label, logits)
    update seen = seen + 1
    train {
        minimize error
        optimizer sgd(lr=0.1, momentum=0.9)
    }";

/// The training step of [`MIXED`] in one mode, fed, and a store for it.
fn mixed(mode: Mode) -> (Executor<f32>, Store<f32>) {
    let mut sources = SourceMap::default();
    let id = sources.add("test.anb", MIXED);
    let compiled = compile(&mut sources, id, &Options::default())
        .unwrap_or_else(|findings| panic!("{}", render_plain(&findings.0, &sources)));
    let options = ExecutorOptions { mode, threads: 1, ..ExecutorOptions::default() };
    let sizes = DimSizes::from([("batch".into(), 4)]);
    let mut executor = Executor::<f32>::new(&compiled.simplified.train, &sizes, &options).unwrap();
    for feed in 0..executor.feeds().len() {
        if let Some(values) = executor.feed_float(feed) {
            values.fill(0.5);
        }
    }
    (executor, initial(&compiled.simplified.init, &options))
}

/// A store like another, but for what `change` makes of each value; `None` leaves it out.
fn changed(store: &Store<f32>, change: impl Fn(&Entry<f32>) -> Option<(Carried, Values<f32>)>) -> Store<f32> {
    let mut other = Store::new();
    for (what, values) in store.entries().filter_map(change) {
        other.insert(what, values).unwrap();
    }
    other
}

fn what(entry: &Entry<f32>) -> Carried {
    let (kind, name) = (entry.kind(), entry.name().clone());
    Carried { kind, name, dtype: entry.dtype(), shape: entry.shape().to_vec() }
}

#[test]
fn a_store_keeps_type_and_shape() {
    let (_, mut store) = mixed(Mode::Planned);
    let before = store.clone();
    let wrong = [
        Values::Int(vec![1; 6]),
        Values::Float(vec![1.0; 5]),
        Values::Float(vec![1.0; 7]),
        Values::Float(Vec::new()),
        Values::Int(Vec::new()),
    ];
    for values in wrong {
        let error = store.set(StoreKind::Param, "w", values.clone()).unwrap_err();
        assert!(matches!(error, StoreError::Type { .. }), "{error:?}");
        let what = Carried { kind: StoreKind::Param, name: "w".into(), dtype: DType::F32, shape: vec![2, 3] };
        assert_eq!(store.insert(what, values), Err(error));
    }
    assert_eq!(
        store.set(StoreKind::State, "w", Values::Float(vec![0.0; 6])),
        Err(StoreError::Missing { kind: StoreKind::State, name: "w".into() })
    );
    let huge = Carried { kind: StoreKind::State, name: "b".into(), dtype: DType::I32, shape: vec![usize::MAX, 2] };
    let refused = store.insert(huge.clone(), Values::Int(vec![1; 2]));
    assert!(matches!(refused, Err(StoreError::Type { .. })), "{refused:?}");
    assert_eq!(Store::<f32>::zeros(&[huge]).unwrap_err().0[0].code, Code::E0702);
    let bits = Carried { kind: StoreKind::State, name: "b".into(), dtype: DType::Bool, shape: vec![2] };
    let refused = store.insert(bits, Values::Int(vec![1, 7]));
    assert!(matches!(refused, Err(StoreError::Type { .. })), "{refused:?}");
    assert_eq!(store, before);
    store.set(StoreKind::Param, "w", Values::Float(vec![1.0; 6])).unwrap();
}

#[test]
fn a_program_runs_on_a_store_of_its_own_params_and_states_only() {
    for mode in [Mode::Planned, Mode::Reference] {
        let (mut executor, good) = mixed(mode);
        let names: Vec<Carried> = executor.carried().to_vec();
        assert!(names.iter().any(|what| what.kind == StoreKind::Param), "{names:?}");
        assert!(names.iter().any(|what| what.kind == StoreKind::State && what.dtype == DType::I32), "{names:?}");
        for target in &names {
            let is_it = |entry: &Entry<f32>| what(entry) == *target;
            let keep = |entry: &Entry<f32>| Some((what(entry), entry.values().clone()));
            let as_other = |dtype: DType, shape: Vec<usize>| {
                let values = Values::zeros(dtype, shape.iter().product());
                move |entry: &Entry<f32>| {
                    let swapped = Carried { dtype, shape: shape.clone(), ..what(entry) };
                    if is_it(entry) { Some((swapped, values.clone())) } else { keep(entry) }
                }
            };
            let shape = &target.shape;
            let other = if target.dtype == DType::F32 { DType::I32 } else { DType::F32 };
            let longer = shape.iter().copied().chain([1000]).collect();
            let mut bad = vec![
                changed(&good, |entry| if is_it(entry) { None } else { keep(entry) }),
                changed(&good, as_other(other, shape.clone())),
                changed(&good, as_other(target.dtype, longer)),
                changed(&good, as_other(target.dtype, vec![0])),
                Store::new(),
            ];
            if shape.len() == 2 {
                bad.push(changed(&good, as_other(target.dtype, vec![shape[1], shape[0]])));
            }
            for mut store in bad {
                let before = store.clone();
                let error = executor.run(&mut store, Clock::default()).unwrap_err();
                assert_eq!(store, before, "nothing ran: {error}");
                assert_eq!(Diagnostics::from(error).0[0].code, Code::E0606);
            }
        }
        // The program goes on with its own.
        let mut store = good.clone();
        executor.run(&mut store, Clock::default()).unwrap();
        assert_ne!(store, good);
        assert!(executor.scalar(executor.fetch(Role::Loss, "error").unwrap()).unwrap().is_finite());
    }
}

#[test]
fn a_feed_is_a_slice_of_its_own_type_and_length() {
    let (mut executor, _) = mixed(Mode::Planned);
    for feed in 0..executor.feeds().len() {
        let (dtype, shape) = (executor.feeds()[feed].dtype, executor.feeds()[feed].shape.clone());
        let len = shape.iter().product();
        assert_eq!(executor.feed_float(feed).map(|values| values.len()), (dtype == DType::F32).then_some(len));
        assert_eq!(executor.feed_int(feed).map(|values| values.len()), (dtype != DType::F32).then_some(len));
    }
    assert!(executor.feed_float(9).is_none() && executor.feed_int(9).is_none());
}

#[test]
fn too_many_threads_are_refused() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in [4 * cores + 1, usize::MAX] {
        let findings = ExecutorOptions { threads, ..ExecutorOptions::default() }.pool().unwrap_err();
        assert_eq!(findings.0[0].code, Code::E0701);
    }
    assert_eq!(ExecutorOptions { threads: 0, ..ExecutorOptions::default() }.pool().unwrap().threads(), cores);
}

#[test]
fn the_plan_says_what_runs_by_definition() {
    let text = "input x: f32[batch, 4, 3]\noutput y = sort(x, axis=1) @ transpose(exp(x), [0, 2, 1])";
    let mut sources = SourceMap::default();
    let id = sources.add("test.anb", text);
    let compiled = compile(&mut sources, id, &Options::default())
        .unwrap_or_else(|findings| panic!("{}", render_plain(&findings.0, &sources)));
    let sizes = DimSizes::from([("batch".into(), 2)]);
    let options = ExecutorOptions { threads: 1, ..ExecutorOptions::default() };
    let plan =
        Executor::<f32>::new(&compiled.simplified.predict, &sizes, &options).unwrap().program().plan_text("predict");
    let line = |word: &str| plan.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{plan}"));
    assert!(line("= sort(").contains(" by definition  #"), "{plan}");
    assert_eq!(plan.matches("by definition").count(), 1, "{plan}");
}

#[test]
fn a_result_that_there_is_not_is_none() {
    for mode in [Mode::Planned, Mode::Reference] {
        let (mut executor, mut store) = mixed(mode);
        executor.run(&mut store, Clock::default()).unwrap();
        let n_results = executor.fetches().len();
        assert!((0..n_results).all(|at| executor.result(at).is_some()));
        assert!(executor.result(n_results).is_none() && executor.scalar(n_results).is_none());
        assert!(executor.find(Role::Loss, "no such loss").is_none());
        // Next params are in the store, and no second time here.
        let next = executor.fetch(Role::Param, "w").unwrap();
        assert!(executor.result(next).is_some_and(Values::is_empty) && executor.scalar(next).is_none());
    }
}

#[test]
fn a_program_goes_through_the_stages() {
    let mut sources = SourceMap::default();
    let id = sources.add("test.anb", MIXED);
    let compiled = compile(&mut sources, id, &Options::default()).unwrap();
    let sizes = DimSizes::from([("batch".into(), 4)]);
    let bound = pipeline::bind(&compiled.simplified.train, &sizes).unwrap();
    let plan = pipeline::plan(&bound);
    assert_eq!(anabranch::plan::check(plan, bound.graph()), Ok(()));
    assert!(bound.plan_text("train").contains("train"));
    let mut values = Vec::new();
    for mode in [Mode::Planned, Mode::Reference] {
        let options = ExecutorOptions { mode, threads: 1, ..ExecutorOptions::default() };
        let mut executor = pipeline::engine::<f64>(bound.clone(), &options).unwrap();
        let mut store = Store::zeros(executor.carried()).unwrap();
        executor.run(&mut store, Clock::default()).unwrap();
        values.push(executor.scalar(executor.fetch(Role::Loss, "error").unwrap()).unwrap());
    }
    assert!((values[0] - values[1]).abs() < 1e-12, "{values:?}");
    let unknown = pipeline::bind(&compiled.simplified.train, &DimSizes::new()).unwrap_err();
    assert_eq!(unknown.0[0].code, Code::E0603);
}
