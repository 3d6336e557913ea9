//! `compare [--peers ours,jax,..] [--workloads w1,w2,..] [--rounds N] [--seconds S] [--starts N] [--python PATH]
//! [--json FILE]`: times anabranch and its peers on the same workloads, round-robin.
//!
//! Each engine is a process of its own. All engines of a workload are started one after another, their losses of the
//! first ten steps are held against the oracle's, and then they take turns: in every round each one runs for a burst
//! while the others wait. A burst gives its median, p10 and p90; the table shows the medians of these over the rounds,
//! so that a disturbance which lasts a few rounds moves nothing. The time to the first step is the median of several
//! starts, or else whichever engine is the first to be read from the disk would be the slowest. Peers that are not
//! installed are skipped aloud.

use anabranch_compare::{WORKLOADS, Workload, now, quantile, workload};
use serde_json::{Value, json};
use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

type Failure = Box<dyn Error>;

/// An engine: its name, the program and its arguments, and the workloads it can run.
struct Engine {
    name: &'static str,
    program: Program,
    workloads: &'static [&'static str],
}

enum Program {
    Ours { threads: usize },
    Python { script: &'static str, arguments: &'static [&'static str], needs: &'static str },
    Rust { binary: &'static str, arguments: &'static [&'static str] },
}

const ALL: &[&str] = &["w1", "w2", "w3", "w4", "w5", "w6"];

/// All but w6, which needs second derivatives.
const FIRST_DERIVATIVES: &[&str] = &["w1", "w2", "w3", "w4", "w5"];

const ENGINES: &[Engine] = &[
    Engine { name: "anabranch", program: Program::Ours { threads: 2 }, workloads: ALL },
    Engine { name: "anabranch_1_thread", program: Program::Ours { threads: 1 }, workloads: ALL },
    Engine { name: "jax", program: python("jax_jit.py", &[], "jax"), workloads: ALL },
    Engine { name: "torch_eager", program: python("torch_step.py", &["eager"], "torch"), workloads: ALL },
    Engine { name: "torch_compile", program: python("torch_step.py", &["compile"], "torch"), workloads: ALL },
    Engine {
        name: "tensorflow",
        program: python("tensorflow_step.py", &[], "tensorflow"),
        workloads: &["w1", "w2", "w3"],
    },
    Engine { name: "keras_tensorflow", program: python("keras_seed.py", &[], "keras"), workloads: &["w1"] },
    Engine { name: "burn_flex", program: rust("burn_step", &["flex"]), workloads: FIRST_DERIVATIVES },
    Engine { name: "burn_ndarray", program: rust("burn_step", &["ndarray"]), workloads: FIRST_DERIVATIVES },
    Engine { name: "candle", program: rust("candle_step", &[]), workloads: FIRST_DERIVATIVES },
];

const fn python(script: &'static str, arguments: &'static [&'static str], needs: &'static str) -> Program {
    Program::Python { script, arguments, needs }
}

const fn rust(binary: &'static str, arguments: &'static [&'static str]) -> Program {
    Program::Rust { binary, arguments }
}

struct Settings {
    peers: Option<Vec<String>>,
    workloads: Vec<&'static Workload>,
    rounds: usize,
    seconds: f64,
    starts: usize,
    python: String,
    json: Option<PathBuf>,
    data: PathBuf,
}

fn main() -> Result<(), Failure> {
    let settings = settings()?;
    write_data(&settings)?;
    let mut lines = Vec::new();
    for workload in &settings.workloads {
        let rows = compare(&settings, workload)?;
        println!("{}", table(workload, &rows));
        lines.extend(rows);
    }
    if let Some(path) = &settings.json {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(path, text)?;
    }
    Ok(())
}

fn settings() -> Result<Settings, Failure> {
    let mut settings = Settings {
        peers: None,
        workloads: WORKLOADS.iter().collect(),
        rounds: 15,
        seconds: 0.4,
        starts: 3,
        python: "python3".to_string(),
        json: None,
        data: std::env::temp_dir().join("anabranch-compare"),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
        let names = || value.split(',').map(str::to_string).collect::<Vec<_>>();
        match option.as_str() {
            "--peers" => settings.peers = Some(names()),
            "--workloads" => {
                let found: Option<Vec<_>> = names().iter().map(|name| workload(name)).collect();
                settings.workloads = found.ok_or_else(|| format!("no such workload among {value}"))?;
            }
            "--rounds" => settings.rounds = value.parse()?,
            "--seconds" => settings.seconds = value.parse()?,
            "--starts" => settings.starts = value.parse::<usize>()?.max(1),
            "--python" => settings.python = value,
            "--json" => settings.json = Some(value.into()),
            _ => return Err(format!("unknown option {option}").into()),
        }
    }
    Ok(settings)
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// The data sets and first values, written once by the peers' own script.
fn write_data(settings: &Settings) -> Result<(), Failure> {
    if WORKLOADS.iter().all(|workload| settings.data.join(format!("{}.npz", workload.name)).exists()) {
        return Ok(());
    }
    let mut command = Command::new(&settings.python);
    command.arg(scripts().join("workloads.py")).arg(&settings.data).stdout(Stdio::null());
    let done = command.env("PYTHONDONTWRITEBYTECODE", "1").status()?.success();
    if done { Ok(()) } else { Err("the data could not be written: --python PATH names a Python with numpy".into()) }
}

/// A process under test.
struct Runner {
    name: &'static str,
    process: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
    first_step_s: f64,
    bursts: Vec<Value>,
}

impl Drop for Runner {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Runner {
    fn line(&mut self) -> Result<Value, Failure> {
        let mut line = String::new();
        self.answer.read_line(&mut line)?;
        serde_json::from_str(&line).map_err(|_| format!("{} ended without an answer", self.name).into())
    }

    fn ask(&mut self, question: &str) -> Result<Value, Failure> {
        writeln!(self.ask, "{question}")?;
        self.line()
    }
}

/// The command of an engine, or why it cannot run.
fn command(engine: &Engine, workload: &Workload, settings: &Settings) -> Result<Command, String> {
    let folder = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_path_buf)).unwrap_or_default();
    let binary = |name: &str| {
        let path = folder.join(name);
        if path.exists() {
            Ok(Command::new(path))
        } else {
            Err(format!("not installed: no binary {name} beside this one"))
        }
    };
    match &engine.program {
        Program::Ours { threads } => {
            let mut command = binary("ours")?;
            command.arg(workload.name).arg(&settings.data).arg(threads.to_string());
            Ok(command)
        }
        Program::Rust { binary: name, arguments } => {
            let mut command = binary(name)?;
            command.arg(workload.name).arg(&settings.data).args(*arguments);
            Ok(command)
        }
        Program::Python { script, arguments, needs } => {
            let found = Command::new(&settings.python)
                .args([
                    "-c",
                    &format!("import importlib.util, sys; sys.exit(importlib.util.find_spec('{needs}') is None)"),
                ])
                .status();
            if !found.is_ok_and(|status| status.success()) {
                return Err(format!("not installed: {} has no {needs}", settings.python));
            }
            let mut command = Command::new(&settings.python);
            command.arg(scripts().join(script)).arg(workload.name).args(*arguments);
            command.env("PYTHONDONTWRITEBYTECODE", "1").env("TF_CPP_MIN_LOG_LEVEL", "3");
            Ok(command)
        }
    }
}

/// Starts an engine as often as was asked for, one process after the other, and keeps the last.
fn start(engine: &Engine, workload: &Workload, settings: &Settings) -> Result<Runner, String> {
    let mut first_steps = Vec::new();
    for _ in 1..settings.starts {
        first_steps.push(start_once(engine, workload, settings)?.first_step_s);
    }
    let mut runner = start_once(engine, workload, settings)?;
    first_steps.push(runner.first_step_s);
    first_steps.sort_by(f64::total_cmp);
    runner.first_step_s = quantile(&first_steps, 0.5);
    Ok(runner)
}

fn start_once(engine: &Engine, workload: &Workload, settings: &Settings) -> Result<Runner, String> {
    if !engine.workloads.contains(&workload.name) {
        return Err("has no such workload".to_string());
    }
    let mut command = command(engine, workload, settings)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let begun = now();
    let mut process = command.spawn().map_err(|error| error.to_string())?;
    let (Some(ask), Some(answer)) = (process.stdin.take(), process.stdout.take()) else {
        return Err("has no streams".to_string());
    };
    let answer = BufReader::new(answer);
    let mut runner = Runner { name: engine.name, process, ask, answer, first_step_s: 0.0, bursts: Vec::new() };
    let ready = runner.line().map_err(|error| error.to_string())?;
    runner.first_step_s = ready["first_step_at"].as_f64().unwrap_or(f64::NAN) - begun;
    check(&ready["losses"], workload)?;
    Ok(runner)
}

/// Holds the first losses against the oracle's.
fn check(losses: &Value, workload: &Workload) -> Result<(), String> {
    let oracle: Value = serde_json::from_str(workload.oracle).map_err(|error| error.to_string())?;
    for step in 0..10 {
        let (found, expected) = (losses[step].as_f64(), oracle["steps"][step]["total"].as_f64());
        let (Some(found), Some(expected)) = (found, expected) else { return Err(format!("has no loss {step}")) };
        if (found - expected).abs() > workload.tolerance * expected.abs().max(1.0) {
            return Err(format!("DISAGREES with the oracle: loss {found} of step {step}, not {expected}"));
        }
    }
    Ok(())
}

fn compare(settings: &Settings, workload: &Workload) -> Result<Vec<Value>, Failure> {
    let mut runners = Vec::new();
    for engine in ENGINES {
        let wanted = settings.peers.as_ref().is_none_or(|peers| peers.iter().any(|peer| peer == engine.name));
        if !wanted {
            continue;
        }
        match start(engine, workload, settings) {
            Ok(runner) => runners.push(runner),
            Err(reason) => println!("{} {}: skipped: {reason}", workload.name, engine.name),
        }
    }
    // One round to warm up, which does not count.
    for round in 0..=settings.rounds {
        for runner in &mut runners {
            let burst = runner.ask(&settings.seconds.to_string())?;
            if round > 0 {
                runner.bursts.push(burst);
            }
        }
    }
    let mut rows = Vec::new();
    for runner in &mut runners {
        let peak = runner.ask("")?;
        let over = |key: &str, part: f64| {
            let mut values: Vec<f64> = runner.bursts.iter().filter_map(|burst| burst[key].as_f64()).collect();
            values.sort_by(f64::total_cmp);
            quantile(&values, part)
        };
        rows.push(json!({
            "workload": workload.name, "engine": runner.name, "p50_ms": over("p50", 0.5), "p10_ms": over("p10", 0.5),
            "p90_ms": over("p90", 0.5), "least_ms": over("least", 0.0), "rounds": runner.bursts.len(),
            "first_step_s": runner.first_step_s, "peak_mb": peak["peak_mb"],
        }));
    }
    Ok(rows)
}

/// The rows as text, each with ratios to the first row's.
fn table(workload: &Workload, rows: &[Value]) -> String {
    let mut text = format!(
        "{:4} {:20} {:>9} {:>9} {:>9} {:>9} {:>7} {:>11} {:>8}\n",
        workload.name, "engine", "p50 ms", "p10 ms", "p90 ms", "least ms", "ours ÷", "first step s", "peak MB"
    );
    let ours = rows.first().and_then(|row| row["p50_ms"].as_f64()).unwrap_or(f64::NAN);
    for row in rows {
        let number = |key: &str| row[key].as_f64().unwrap_or(f64::NAN);
        let _ = writeln!(
            text,
            "     {:20} {:9.4} {:9.4} {:9.4} {:9.4} {:7.3} {:11.3} {:8.1}",
            row["engine"].as_str().unwrap_or_default(),
            number("p50_ms"),
            number("p10_ms"),
            number("p90_ms"),
            number("least_ms"),
            ours / number("p50_ms"),
            number("first_step_s"),
            number("peak_mb")
        );
    }
    text
}
