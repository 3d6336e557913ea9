//! The façade: what a program in Rust does with a spec, and what it is told when it does it wrong.

use anabranch::ndarray::{Array2, array};
use anabranch::{
    Better, Compiler, Data, Engine, Error, Fit, Model, Monitor, Precision, Session, SessionOptions, Tensor,
};
use proptest::prelude::*;
use std::ops::ControlFlow;
use std::process::Command;

const LINE: &str = "
    input  x: f32[batch, 1]
    target y: f32[batch, 1]
    output line = x |> dense(units=1)
    loss error = mean_squared_error(y, line)
    metric distance = mean_absolute_error(y, line)
    train { minimize error  optimizer sgd(lr=0.3) }";

/// States of every kind: running means, the moments of an optimizer, a draw at each step, a schedule that reads the clock.
const STATEFUL: &str = "
    input  x: f32[batch, 3]
    target y: i32[batch]
    let hidden = x |> dense(units=8) |> batch_norm |> relu |> dropout(rate=0.25)
    output logits = hidden |> dense(units=2)
    loss error = sparse_categorical_crossentropy(y, logits)
    train { minimize error  optimizer adam(lr=cosine(step, from=0.05, to=0.001, over=40)) }";

fn line() -> Data {
    Data::from([("x", [[0.0], [0.5], [1.0], [2.0]]), ("y", [[1.0], [2.0], [3.0], [5.0]])])
}

fn stateful_data() -> Data {
    let x = Array2::from_shape_fn((20, 3), |(row, axis)| ((row * 7 + axis * 5) % 11) as f32 / 11.0 - 0.5);
    let y: Vec<i64> = (0..20).map(|row| i64::from(x[[row, 0]] + x[[row, 1]] > 0.0)).collect();
    Data::new().with("x", x).with("y", y)
}

fn settings(epochs: u32) -> Fit<'static> {
    Fit { epochs, batch_size: 8, ..Fit::default() }
}

#[track_caller]
fn code(result: Result<impl Sized, Error>) -> &'static str {
    let Err(error) = result else { panic!("a mistake was taken") };
    assert!(error.findings().next().is_some_and(|finding| finding.is_error() && !finding.message().is_empty()));
    error.findings().next().map_or("", |finding| finding.code())
}

fn is_shared<T: Send>() {}

#[test]
fn sessions_move_between_threads() {
    is_shared::<Model>();
    is_shared::<Session>();
    is_shared::<Error>();
    is_shared::<Data>();
}

#[test]
fn a_model_says_what_it_is() {
    let model = Model::compile(STATEFUL).unwrap();
    let text = |all: Vec<anabranch::Signature>| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text(model.inputs()), ["x: f32[batch, 3]"]);
    assert_eq!(text(model.outputs()), ["logits: f32[batch, 2]"]);
    assert_eq!(model.losses(), ["error"]);
    assert!(model.params().iter().any(|param| param.ty == "f32[3, 8]"));
    assert!(model.train_text().contains("target y") && !model.predict_text().contains("target y"));
    assert_eq!(model.warnings().len(), 0);
    assert_eq!(model.spec(), STATEFUL);
}

#[test]
fn either_precision_and_engine_learns_the_line() {
    let model = Model::compile(LINE).unwrap();
    for precision in [Precision::F32, Precision::F64] {
        for engine in [Engine::Planned, Engine::Reference] {
            let options = SessionOptions { precision, engine, seed: 3, ..SessionOptions::default() };
            let mut session = model.session_with(&options).unwrap();
            assert_eq!(session.precision(), precision);
            let before = session.evaluate(&line()).unwrap();
            let history = session.fit(&line(), &settings(150)).unwrap();
            let after = session.evaluate(&line()).unwrap();
            assert!(after["error"] < 1e-3 * before["error"], "{before:?} {after:?}");
            assert_eq!(history.epochs.len(), 151);
            assert_eq!((history.epochs[0].number, history.epochs[0].train.len()), (0, 0));
            assert_eq!((session.n_steps(), session.n_epochs()), (150, 150));
            let outputs = session.predict(&Data::new().with("x", array![[3.0_f32], [4.0]])).unwrap();
            let values = outputs["line"].to_array::<f64>();
            assert_eq!(values.shape(), [2, 1]);
            assert!((values[[0, 0]] - 7.0).abs() < 0.2 && (values[[1, 0]] - 9.0).abs() < 0.3, "{values}");
        }
    }
}

#[test]
fn a_step_trains_and_an_evaluation_does_not() {
    let mut session = Model::compile(LINE).unwrap().session().unwrap();
    let kernel = |session: &Session| session.param("line.dense.kernel").or(session.param("dense.kernel"));
    let first = kernel(&session).expect("the kernel has one of these names");
    session.evaluate(&line()).unwrap();
    assert_eq!(kernel(&session), Some(first.clone()));
    let before = session.step(&line()).unwrap();
    let after = session.step(&line()).unwrap();
    assert!(after["error"] < before["error"] && before.contains_key("distance"));
    assert_ne!(kernel(&session), Some(first));
    assert_eq!((session.n_steps(), session.param("no.such")), (2, None));
}

/// Through a file, between two epochs, nothing is lost: not the running means, not the moments, not the clock.
#[test]
fn a_session_goes_on_where_it_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let model = Model::compile(STATEFUL).unwrap();
    for precision in [Precision::F32, Precision::F64] {
        let options = SessionOptions { precision, seed: 5, ..SessionOptions::default() };
        let mut whole = model.session_with(&options).unwrap();
        let history = whole.fit(&stateful_data(), &settings(6)).unwrap();
        let mut first = model.session_with(&options).unwrap();
        first.fit(&stateful_data(), &settings(2)).unwrap();
        first.save(&file).unwrap();
        let mut second = model.session_with(&options).unwrap();
        second.load(&file).unwrap();
        assert_eq!((second.n_steps(), second.n_epochs()), (first.n_steps(), 2));
        let rest = second.fit(&stateful_data(), &settings(4)).unwrap();
        assert_eq!(rest.epochs[1..], history.epochs[3..]);
        assert_eq!(second.predict(&stateful_data()).unwrap(), whole.predict(&stateful_data()).unwrap());
    }
}

/// `anabranch run` and a session train alike, and a session goes on from what the command wrote.
#[test]
fn a_session_is_what_the_command_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (data, path) = (stateful_data(), |name: &str| folder.path().join(name));
    let x = data.get("x").unwrap().to_array::<f32>();
    let y = data.get("y").unwrap().to_vec::<i32>();
    let rows = y.iter().enumerate().map(|(row, y)| format!("{},{},{},{y}\n", x[[row, 0]], x[[row, 1]], x[[row, 2]]));
    std::fs::write(path("data.csv"), format!("a,b,c,y\n{}", rows.collect::<String>())).unwrap();
    std::fs::write(path("model.anb"), STATEFUL).unwrap();
    let config = "spec: model.anb\ndata: { train: { file: data.csv, columns: { x: [a, b, c] } } }\n\
                  batch_size: 8\nepochs: 3\nseed: 5\noutput: run\n";
    std::fs::write(path("run.yaml"), config).unwrap();
    let command =
        Command::new(env!("CARGO_BIN_EXE_anabranch")).args(["run", "run.yaml"]).current_dir(folder.path()).output();
    let command = command.unwrap();
    assert!(command.status.success(), "{}", String::from_utf8_lossy(&command.stderr));
    let model = Model::open(path("model.anb")).unwrap();
    let options = SessionOptions { seed: 5, ..SessionOptions::default() };
    let mut session = model.session_with(&options).unwrap();
    session.fit(&data, &settings(3)).unwrap();
    let mut loaded = model.session_with(&options).unwrap();
    loaded.load(path("run/params.safetensors")).unwrap();
    assert_eq!((loaded.n_steps(), loaded.n_epochs()), (session.n_steps(), session.n_epochs()));
    assert_eq!(loaded.predict(&data).unwrap(), session.predict(&data).unwrap());
    let on = (loaded.fit(&data, &settings(2)).unwrap(), session.fit(&data, &settings(2)).unwrap());
    assert_eq!(on.0, on.1);
}

/// What a session writes as a run is one: every command takes it, and it goes on to what it would have become.
#[test]
fn a_session_is_written_as_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let (data, path) = (stateful_data(), |name: &str| folder.path().join(name));
    let x = data.get("x").unwrap().to_array::<f32>();
    let y = data.get("y").unwrap().to_vec::<i32>();
    let rows = y.iter().enumerate().map(|(row, y)| format!("{},{},{},{y}\n", x[[row, 0]], x[[row, 1]], x[[row, 2]]));
    std::fs::write(path("data.csv"), format!("a,b,c,y\n{}", rows.collect::<String>())).unwrap();
    let command = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_anabranch")).args(arguments).current_dir(folder.path()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let compiler = Compiler::new().set("width", 6);
    let model = compiler.compile(&format!("const width = 8\n{}", STATEFUL.replace("units=8", "units=width"))).unwrap();
    let options = SessionOptions { seed: 5, ..SessionOptions::default() };
    let mut session = model.session_with(&options).unwrap();
    session.fit(&data, &Fit { validation: Some(&data), ..settings(3) }).unwrap();
    session.save_run(path("run"), false).unwrap();

    command(&["predict", "run", "--data", "data.csv", "--columns", "x=a,b,c", "-o", "predictions.csv"]);
    let predicted = std::fs::read_to_string(path("predictions.csv")).unwrap();
    let predicted: Vec<f32> =
        predicted.lines().skip(1).flat_map(|line| line.split(',').map(|cell| cell.parse().unwrap())).collect();
    assert_eq!(predicted, session.predict(&data).unwrap()["logits"].to_vec::<f32>());
    assert!(command(&["evaluate", "run", "--data", "data.csv", "--columns", "x=a,b,c"]).contains("error"));
    assert!(command(&["runs", "."]).contains("run"));

    let mut opened = Session::open_run(path("run"), Engine::Planned, 1).unwrap();
    assert_eq!(opened.predict(&data).unwrap(), session.predict(&data).unwrap());
    assert_eq!((opened.history().epochs, opened.seed()), (session.history().epochs, 5));
    assert_eq!(opened.model().outputs(), model.outputs());
    let on = Fit { validation: Some(&data), ..settings(2) };
    let went_on = opened.fit(&data, &on).unwrap();
    assert_eq!(went_on, session.fit(&data, &on).unwrap());
    assert_eq!(opened.history().epochs.len(), 6);

    // Where the data is named, the command goes on to the same bits.
    let data_of = "{ file: data.csv, columns: { x: [a, b, c] } }";
    let config = std::fs::read_to_string(path("run/run.yaml")).unwrap();
    let config = config.replace("data: {}\n", "").replace("file: data.csv", "file: ../data.csv");
    let named =
        format!("{config}data: {{ train: {data_of}, validation: {data_of} }}\n").replace("data.csv", "../data.csv");
    std::fs::write(path("run/run.yaml"), named).unwrap();
    command(&["run", "--resume", "run", "--epochs", "5", "--data-changed"]);
    let mut by_command = Session::open_run(path("run"), Engine::Planned, 0).unwrap();
    assert_eq!(by_command.predict(&data).unwrap(), session.predict(&data).unwrap());
    assert_eq!((by_command.n_epochs(), by_command.n_steps()), (5, session.n_steps()));

    assert_eq!(code(session.save_run(path("run"), false)), "E0605");
    session.save_run(path("run"), true).unwrap();
    std::fs::create_dir(path("mine")).unwrap();
    std::fs::write(path("mine/notes.txt"), "kept").unwrap();
    for replaces in [false, true] {
        assert_eq!(code(session.save_run(path("mine"), replaces)), "E0605");
    }
    assert_eq!(std::fs::read_to_string(path("mine/notes.txt")).unwrap(), "kept");
    assert_eq!(code(Session::open_run(path("mine"), Engine::Planned, 0)), "E0608");
    opened.save_run(path("again"), false).unwrap();
    let again = Session::open_run(path("again"), Engine::Planned, 0).unwrap();
    assert_eq!(again.history().epochs, opened.history().epochs);
}

/// A run that scales, fills and numbers its columns is gone on with: what the session reads is what the table holds.
#[test]
fn a_run_of_encoded_columns_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let table: String =
        (0..12).map(|row| format!("{},{},{}\n", 1000 + 7 * row, ["ash", "fir", "yew"][row % 3], row * row)).collect();
    std::fs::write(path("data.csv"), format!("mass,tree,y\n{table}")).unwrap();
    let spec = "input x: f32[batch, 4]\ntarget y: f32[batch]\nlet wide = x |> dense(units=1)\n\
                output guess = reshape(wide, [batch])\nloss error = mean_squared_error(y, guess)\n\
                train { minimize error  optimizer sgd(lr=0.1) }\n";
    std::fs::write(path("model.anb"), spec).unwrap();
    let columns = "columns: { x: [{ from: mass, scale: standard }, { from: tree, kind: category }], y: { from: y, scale: standard } }";
    let config =
        format!("spec: model.anb\ndata: {{ train: data.csv, {columns} }}\nbatch_size: 4\nepochs: 3\noutput: run\n");
    std::fs::write(path("run.yaml"), config).unwrap();
    let command = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_anabranch")).args(arguments).current_dir(folder.path()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    command(&["run", "run.yaml"]);
    command(&["predict", "run", "--data", "data.csv", "-o", "predictions.csv"]);
    let predicted = std::fs::read_to_string(path("predictions.csv")).unwrap();
    let predicted: Vec<f32> = predicted.lines().skip(1).map(|cell| cell.parse().unwrap()).collect();
    let mut session = Session::open_run(path("run"), Engine::Planned, 0).unwrap();
    let x = Array2::from_shape_fn((12, 2), |(row, column)| [(1000 + 7 * row) as f32, (row % 3) as f32][column]);
    assert_eq!(session.predict(&Data::new().with("x", x)).unwrap()["guess"].to_vec::<f32>(), predicted);
}

/// Against differences of the loss, in f64.
#[test]
fn gradients_are_those_of_what_is_minimised() {
    let options = SessionOptions { precision: Precision::F64, ..SessionOptions::default() };
    let mut session = Model::compile(LINE).unwrap().session_with(&options).unwrap();
    let gradients = session.gradients(&line()).unwrap();
    assert_eq!(gradients.len(), 2);
    for (path, gradient) in gradients {
        let first = session.param(&path).unwrap();
        assert_eq!(gradient.shape(), first.shape());
        let loss = |session: &mut Session, by: f64| {
            let moved = first.to_array::<f64>().mapv(|value| value + by);
            session.set_param(&path, moved).unwrap();
            session.evaluate(&line()).unwrap()["error"]
        };
        let difference = (loss(&mut session, 1e-5) - loss(&mut session, -1e-5)) / 2e-5;
        assert!((gradient.to_vec::<f64>()[0] - difference).abs() < 1e-8, "{path}");
        session.set_param(&path, first.clone()).unwrap();
        assert_eq!(session.param(&path), Some(first));
    }
    let path = session.model().params()[0].name.clone();
    assert_eq!(code(session.set_param("no.such", [1.0])), "E0606");
    assert_eq!(code(session.set_param(&path, [1.0, 2.0])), "E0606");
    assert_eq!(code(session.set_param(&path, [[f64::NAN]])), "E0606");
    let error = session.set_param(&path[1..], [[1.0]]).unwrap_err();
    assert!(error.to_string().contains(&format!("did you mean `{path}`?")), "{error}");
}

#[test]
fn a_session_remembers_what_led_to_its_params() {
    let mut session = Model::compile(LINE).unwrap().session().unwrap();
    let opposite = Data::from([("x", [[0.0], [1.0]]), ("y", [[-20.0], [-30.0]])]);
    let monitor = Monitor { patience: Some(3), ..Monitor::of("validation/error") };
    let watched = Fit { validation: Some(&opposite), monitor: Some(monitor), ..settings(50) };
    let history = session.fit(&line(), &watched).unwrap();
    let best = history.best.clone().unwrap();
    assert_eq!((session.history().best, session.history().stopped_early), (history.best, true));
    session.fit(&line(), &settings(1)).unwrap();
    let numbers: Vec<u32> = session.history().epochs.iter().map(|epoch| epoch.number).collect();
    assert_eq!(numbers, (0..=best.epoch + 1).collect::<Vec<_>>());
}

#[test]
fn a_callback_ends_the_fitting() {
    let mut session = Model::compile(LINE).unwrap().session().unwrap();
    let mut seen = Vec::new();
    let history = session.fit_with(&line(), &settings(50), |epoch| {
        seen.push(epoch.number);
        if epoch.number == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(history.unwrap().epochs.len(), 4);
    assert_eq!((seen, session.n_epochs()), (vec![0, 1, 2, 3], 3));
    let history = session.fit_with(&line(), &settings(50), |_| ControlFlow::Break(())).unwrap();
    assert_eq!((history.epochs.len(), history.epochs[0].number, session.n_epochs()), (1, 3, 3));
}

/// The better the line, the worse on the other points: the first epoch is the best, and its params are kept.
#[test]
fn the_best_epoch_is_kept() {
    let mut session = Model::compile(LINE).unwrap().session().unwrap();
    let opposite = Data::from([("x", [[0.0], [1.0]]), ("y", [[-20.0], [-30.0]])]);
    let monitor = Monitor { patience: Some(3), ..Monitor::of("validation/error") };
    let settings = Fit { validation: Some(&opposite), monitor: Some(monitor), ..settings(50) };
    let history = session.fit(&line(), &settings).unwrap();
    let best = history.best.clone().unwrap();
    assert!(history.stopped_early && history.epochs.len() as u32 == best.epoch + 4, "{history:?}");
    assert_eq!(session.n_epochs(), best.epoch);
    assert_eq!(session.evaluate(&opposite).unwrap()["error"], best.value);
}

#[test]
fn a_session_that_diverges_is_as_it_was_before() {
    let spec = LINE.replace("lr=0.3", "lr=1e6");
    let mut session = Model::compile(&spec).unwrap().session().unwrap();
    let first = session.predict(&line()).unwrap();
    let error = session.fit(&line(), &settings(60)).unwrap_err();
    assert_eq!(error.findings().next().unwrap().code(), "E0607");
    let after = session.predict(&line()).unwrap();
    assert!(after["line"].to_vec::<f64>().iter().all(|value| value.is_finite()));
    assert!(session.n_epochs() < 60 && (session.n_epochs() > 0 || first == after));
}

#[test]
fn an_error_shows_its_place() {
    let error = Compiler::new().name("net.anb").compile("input x: f32[batch, 3]\noutput y = x @ z\n").unwrap_err();
    let finding = error.findings().next().unwrap();
    let place = finding.place().unwrap();
    assert_eq!((finding.code(), place.file, place.line, place.column), ("E0201", "net.anb", 2, 16));
    assert!(error.to_string().contains("output y = x @ z"), "{error}");
    assert_eq!(error.to_string(), format!("{error:?}"));
    // What only the data shows is placed in the spec as well.
    let mut session = Model::compile(LINE).unwrap().session().unwrap();
    let error = session.evaluate(&line().with("y", vec![1.0_f32; 4])).unwrap_err();
    let finding = error.findings().next().unwrap();
    assert_eq!((finding.code(), finding.place().map(|place| place.line)), ("E0603", Some(3)), "{error}");
}

#[test]
fn files_and_constants_are_given_to_the_compiler() {
    let spec = "use \"blocks.anb\"\nconst width = 3\ninput x: f32[batch, 2]\noutput y = x |> block(units=width)\n";
    let block = "layer block(x, units) {\n    return x |> dense(units=units) |> tanh\n}\n";
    let compiler = Compiler::new().file("blocks.anb", block);
    assert_eq!(compiler.compile(spec).unwrap().outputs()[0].ty, "f32[batch, 3]");
    assert_eq!(compiler.clone().set("width", 5).compile(spec).unwrap().outputs()[0].ty, "f32[batch, 5]");
    assert_eq!(code(Compiler::new().compile(spec)), "E0407");
    for bad in [f64::NAN, f64::INFINITY, -1.0, 0.5, 1e300] {
        code(compiler.clone().set("width", bad).compile(spec));
    }
    code(compiler.clone().set("width", "wide").compile(spec));
    code(compiler.clone().set("wide", 3).compile(spec));
    code(compiler.deny("no-such-lint").compile(spec));
    assert_eq!(code(Model::open("no/such/file.anb")), "E0601");
}

#[test]
fn data_that_does_not_fit_is_refused() {
    let mut session = Model::compile(STATEFUL).unwrap().session().unwrap();
    let data = stateful_data();
    let n = 20;
    for (name, tensor, expected) in [
        ("y", Tensor::from(vec![0.5_f32; n]), "E0604"),
        ("y", Tensor::from(vec![i64::MAX; n]), "E0604"),
        ("y", Tensor::from(vec![1_i32; n - 1]), "E0603"),
        ("y", Tensor::from([[1_i32; 2]; 20]), "E0603"),
        ("x", Tensor::from([[f32::NAN; 3]; 20]), "E0604"),
        ("x", Tensor::from([[1.0_f32; 4]; 20]), "E0603"),
        ("x", Tensor::from(vec![1.0_f32; n]), "E0603"),
        ("x", Tensor::new([], vec![1.0_f32]).unwrap(), "E0603"),
        ("x", Tensor::new([0, 3], Vec::<f32>::new()).unwrap(), "E0603"),
        ("x", Tensor::new([usize::MAX, 0, 3], Vec::<f32>::new()).unwrap(), "E0603"),
    ] {
        let bad = data.clone().with(name, tensor);
        assert_eq!(code(session.fit(&bad, &settings(1))), expected, "{name}");
        assert_eq!(code(session.step(&bad)), expected, "{name}");
        assert_eq!(code(session.evaluate(&bad)), expected, "{name}");
    }
    let empty = Data::from([("x", Tensor::new([0, 3], Vec::<f32>::new()).unwrap()), ("y", Vec::<i32>::new().into())]);
    assert_eq!(code(session.fit(&empty, &settings(1))), "E0603");
    assert_eq!(code(session.predict(&Data::new())), "E0603");
    let error = session.predict(&Data::new().with("xx", [[0.0; 3]; 2])).unwrap_err();
    assert!(error.to_string().contains("did you mean `xx`?"), "{error}");
    assert_eq!(session.n_steps(), 0, "nothing was trained");
    for shape in [[2, 2], [usize::MAX, 2]] {
        let error = Tensor::new(shape, vec![1.0_f32]).unwrap_err();
        assert_eq!(error.findings().next().unwrap().code(), "E0603", "{shape:?}: {error}");
    }
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let mut session = Model::compile(LINE).unwrap().session().unwrap();
    let data = line();
    let watching = |value: &str| Some(Monitor::of(value));
    for settings in [
        Fit { epochs: 0, ..settings(1) },
        Fit { batch_size: 0, ..settings(1) },
        Fit { batch_size: 5, drop_last: true, ..settings(1) },
        Fit { monitor: watching("train/no_such"), ..settings(1) },
        Fit { monitor: watching("validation/error"), ..settings(1) },
        Fit { monitor: watching("test/error"), ..settings(1) },
        Fit { monitor: watching("error"), ..settings(1) },
        Fit { monitor: Some(Monitor { min_delta: f64::NAN, ..Monitor::of("train/error") }), ..settings(1) },
        Fit { monitor: Some(Monitor { min_delta: -1.0, ..Monitor::of("train/error") }), ..settings(1) },
        Fit { monitor: Some(Monitor { patience: Some(0), ..Monitor::of("train/error") }), ..settings(1) },
    ] {
        assert_eq!(code(session.fit(&data, &settings)), "E0602", "{settings:?}");
    }
    let higher = Monitor { better: Better::Higher, ..Monitor::of("train/distance") };
    assert!(session.fit(&data, &Fit { monitor: Some(higher), ..settings(2) }).is_ok());
    let mut untrained = Model::compile("input x: f32[batch, 2]\noutput y = 2 * x\n").unwrap().session().unwrap();
    let data = Data::from([("x", [[1.0, 2.0]])]);
    assert_eq!(code(untrained.fit(&data, &settings(1))), "E0406");
    assert_eq!(code(untrained.step(&data)), "E0406");
    assert_eq!(untrained.predict(&data).unwrap()["y"].to_vec::<f64>(), [2.0, 4.0]);
}

#[test]
fn files_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut session = Model::compile(LINE).unwrap().session().unwrap();
    session.fit(&line(), &settings(3)).unwrap();
    let before = session.predict(&line()).unwrap();
    assert_eq!(code(session.save(path("no/such/folder/model.safetensors"))), "E0605");
    assert_eq!(code(session.save(path("model.bin"))), "E0605");
    assert_eq!(code(session.save(folder.path())), "E0605");
    assert_eq!(code(session.load(path("none.safetensors"))), "E0601");
    std::fs::write(path("text.safetensors"), "these are no params").unwrap();
    assert_eq!(code(session.load(path("text.safetensors"))), "E0606");
    Model::compile(STATEFUL).unwrap().session().unwrap().save(path("other.safetensors")).unwrap();
    assert_eq!(code(session.load(path("other.safetensors"))), "E0606");
    assert_eq!(session.predict(&line()).unwrap(), before);
    session.save(path("mine.safetensors")).unwrap();
    session.fit(&line(), &settings(3)).unwrap();
    assert_ne!(session.predict(&line()).unwrap(), before);
    session.load(path("mine.safetensors")).unwrap();
    assert_eq!(session.predict(&line()).unwrap(), before);
    assert_eq!(session.n_epochs(), 3);
}

const ANY: &str = "
    input  x: f32[batch, 2]
    target y: f32[batch]
    output z = mean(x, axes=[1])
    param p: f32 = 0
    loss error = (z - p) ** 2
    metric distance = (y - z) ** 2
    train { minimize error  optimizer sgd(lr=0.1) }";

/// A tensor of any shape, type and values.
fn tensor() -> impl Strategy<Value = Tensor> {
    let shape = proptest::collection::vec(0_usize..4, 0..4);
    (shape, 0..4, any::<u64>()).prop_map(|(shape, kind, seed)| {
        let len = shape.iter().product();
        let value = |at: usize| (seed >> (at % 60)) as i64 % 5 - 1;
        let odd = |at: usize| match seed % 7 {
            0 => f64::NAN,
            1 => f64::INFINITY,
            _ => value(at) as f64 / 2.0,
        };
        match kind {
            0 => Tensor::new(shape, (0..len).map(odd).collect::<Vec<f64>>()),
            1 => Tensor::new(shape, (0..len).map(value).collect::<Vec<i64>>()),
            2 => Tensor::new(shape, (0..len).map(|at| value(at) > 0).collect::<Vec<bool>>()),
            _ => Tensor::new(shape, (0..len).map(|at| value(at) as f32).collect::<Vec<f32>>()),
        }
        .unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Data is taken where it fits and refused where it does not; nothing panics.
    #[test]
    fn any_data_is_taken_or_refused(x in tensor(), y in tensor(), keeps_y in any::<bool>()) {
        thread_local!(static MODEL: Model = Model::compile(ANY).unwrap());
        let mut session = MODEL.with(|model| model.session()).unwrap();
        let data = Data::new().with("x", x.clone());
        let data = if keeps_y { data.with("y", y.clone()) } else { data };
        let is_finite = |tensor: &Tensor| tensor.to_vec::<f64>().iter().all(|value| value.is_finite());
        let x_fits = x.shape().len() == 2 && x.shape()[0] > 0 && x.shape()[1] == 2 && is_finite(&x);
        let y_fits = keeps_y && y.shape().len() == 1 && y.shape()[0] == x.shape().first().copied().unwrap_or(0) && is_finite(&y);
        prop_assert_eq!(session.predict(&data).is_ok(), x_fits);
        prop_assert_eq!(session.evaluate(&data).is_ok(), x_fits && y_fits);
        prop_assert_eq!(session.step(&data).is_ok(), x_fits && y_fits);
        prop_assert_eq!(session.fit(&data, &settings(1)).is_ok(), x_fits && y_fits);
    }
}

#[test]
fn a_session_predicts_for_ids_that_there_are() {
    let model = Model::compile("input id: i32[batch]\noutput y = id |> embedding(vocabulary=5, size=2)\n").unwrap();
    let mut session = model.session().unwrap();
    let outputs = session.predict(&Data::from([("id", vec![0, 4])])).unwrap();
    assert!(outputs["y"].to_vec::<f64>().iter().all(|number| number.is_finite()));
    for id in [5, -1] {
        let error = session.predict(&Data::from([("id", vec![0, id])])).unwrap_err();
        assert_eq!(error.findings().next().unwrap().code(), "E0610", "{error}");
        assert!(error.to_string().contains(&format!("{id} at row 1")), "{error}");
    }
}

const SCALED: &str = "
    input  x: f32[batch]
    input  alpha: f32
    input  pairs: i32[E, 2]
    target y: f32[batch]
    param w: f32 = 1
    output line = w * x
    loss error = alpha * square(y - line) + 0 * f32(sum(pairs))
    metric ends = f32(sum(pairs))
    metric clock = f32(total_steps + epochs + steps_per_epoch)
    train { minimize error  optimizer sgd(lr=0.1) }";

/// An input without rows has one value for a fit and another one for the next; prediction does not ask for it.
#[test]
fn what_has_no_rows_is_fed_once_and_changes_between_fits() {
    let mut session = Model::compile(SCALED).unwrap().session().unwrap();
    let data = |alpha: f32| {
        let rows = Data::new().with("x", [1.0_f32, 2.0]).with("y", [2.0_f32, 4.0]);
        rows.with("alpha", anabranch::ndarray::arr0(alpha)).with("pairs", [[0, 1], [1, 2], [2, 0]])
    };
    let settings = Fit { epochs: 1, batch_size: 2, ..Fit::default() };
    let history = session.fit(&data(0.0), &settings).unwrap();
    assert_eq!(session.param("w").unwrap().to_vec::<f64>(), [1.0]);
    let last = &history.epochs.last().unwrap().train;
    assert_eq!((last["ends"], last["clock"]), (6.0, 3.0));
    session.fit(&data(1.0), &settings).unwrap();
    // 0.1 times the mean of 2 x (2 x - x) is 0.5
    assert!((session.param("w").unwrap().to_vec::<f64>()[0] - 1.5).abs() < 1e-6);
    let line = session.predict(&Data::new().with("x", [1.0_f32, 2.0])).unwrap();
    assert!((line["line"].to_vec::<f64>()[1] - 3.0).abs() < 1e-6);
    // In every row alike it is one value; where rows differ it is a mistake.
    let column = |alpha: [f32; 2]| {
        let rows = Data::new().with("x", [1.0_f32, 2.0]).with("y", [2.0_f32, 4.0]).with("alpha", alpha);
        rows.with("pairs", [[0, 1], [1, 2], [2, 0]])
    };
    assert!(session.evaluate(&column([0.5, 0.5])).is_ok());
    assert_eq!(code(session.evaluate(&column([0.5, 0.25]))), "E0603");
    assert_eq!(code(session.evaluate(&Data::new().with("x", [1.0_f32]).with("y", [1.0_f32]))), "E0603");
}
