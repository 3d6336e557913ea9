//! `anabranch run --sweep`: many runs of one config, a table of what came of them, and the front of the best.
//!
//! Each run is an ordinary one in a folder of its own below the sweep's, made by this program in a process of its own; so a sweep that
//! was cut off goes on with the runs that are not finished, each from where it was left, and whatever reads a run reads these.

mod front;
mod grid;
mod results;

use super::run::Arguments as RunArguments;
use super::{Outcome, Session};
use crate::data::Existing;
use crate::data::files::cannot_write;
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::train::config::RunConfig;
use crate::train::split::Split;
use crate::train::{RunRecord, Status, is_unfinished};
use clap::Args;
use grid::{Axis, Setting};
use results::{Chosen, Measured};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// What says that a folder is a sweep's.
const MARKER_FILE: &str = ".anabranch-sweep";
pub(super) const TABLE_FILE: &str = "sweep.csv";

#[derive(Clone, Debug, Default, Args)]
pub(super) struct SweepArguments {
    /// Make many runs: a `const` of the spec, or `batch_size` or `epochs`, with the values that it takes; all combinations are run
    #[arg(long, value_name = "NAME=VALUES", num_args = 1.., value_parser = Axis::parse, help_heading = "Many runs")]
    sweep: Vec<Axis>,

    /// Run so many random combinations instead of all; a range `1e-4..1e-1` is drawn from
    #[arg(long, value_name = "N", requires = "sweep", help_heading = "Many runs")]
    random: Option<usize>,

    /// Make each run by so many seeds
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Many runs")]
    seeds: u64,

    /// Runs at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Many runs")]
    jobs: u64,

    /// The values of the table, such as validation/accuracy; those that are not train values unless said
    #[arg(long, value_name = "PART/NAME", value_delimiter = ',', help_heading = "Many runs")]
    show: Vec<String>,

    /// The values whose front of best runs is told, two or more; with `:higher` the higher is the better
    #[arg(long, value_name = "PART/NAME[:higher]", value_delimiter = ',', help_heading = "Many runs")]
    pareto: Vec<String>,
}

impl SweepArguments {
    /// Whether the runs have values of their own of this name.
    pub(super) fn is_swept(&self, name: &str) -> bool {
        self.sweep.iter().any(|axis| axis.name == name)
    }

    pub(super) fn is_asked_for(&self) -> bool {
        !self.sweep.is_empty() || self.seeds > 1
    }
}

/// A run of a sweep.
#[derive(Clone, Debug)]
struct Member {
    /// the name of its folder
    name: String,
    setting: Setting,
    seed: u64,
    /// the fold that it is tested on, where the rows are split into folds
    fold: Option<u32>,
}

/// What a sweep is, as its folder says.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Marker {
    format: u32,
    /// of the spec, the config and what changes them all
    of: String,
}

/// Makes the runs that are not finished yet, then tells of all.
pub(super) fn run(arguments: &RunArguments, config: &RunConfig, session: &mut Session) -> Outcome {
    let sweep = &arguments.sweep;
    let chosen = Chosen::parse(&sweep.show, &sweep.pareto)?;
    let members = members(sweep, config)?;
    let root = config.output.with_file_name(match arguments.output() {
        Some(output) => output.file_name().unwrap_or_default().to_os_string(),
        None => {
            let mut name = config.output.file_name().unwrap_or_default().to_os_string();
            name.push("-sweep");
            name
        }
    });
    claim(&root, &fingerprint(arguments, config))?;
    let waiting: VecDeque<&Member> = members.iter().filter(|member| !is_finished(&root.join(&member.name))).collect();
    let n_before = members.len() - waiting.len();
    if n_before > 0 {
        session.console.print(&format!("{n_before} of {} runs are finished already\n", members.len()))?;
    }
    let failed = run_all(arguments, config, session, &root, waiting, members.len())?;
    let measured: Vec<Measured<'_>> = members
        .iter()
        .filter_map(|member| {
            let record = RunRecord::read(&root.join(&member.name)).ok()?;
            Some(Measured { setting: &member.setting, name: &member.name, seed: member.seed, record })
        })
        .collect();
    super::files::write_text(&root.join(TABLE_FILE), Existing::Replace, &results::csv(&measured))?;
    let text = results::text(&measured, &chosen)?;
    session.console.print(&format!("{text}wrote {}\n", root.join(TABLE_FILE).display()))?;
    if failed.is_empty() {
        return Ok(());
    }
    let finding = Diagnostic::error(Code::E0607, format!("{} of {} runs did not finish", failed.len(), members.len()))
        .with_note(format!("found: {}", failed.join(", ")))
        .with_help("the same command makes those that are not finished");
    Err(finding.into())
}

fn members(sweep: &SweepArguments, config: &RunConfig) -> Result<Vec<Member>, Diagnostic> {
    for (at, axis) in sweep.sweep.iter().enumerate() {
        if sweep.sweep[..at].iter().any(|other| other.name == axis.name) {
            return Err(Diagnostic::error(Code::E0202, format!("`--sweep` names `{}` twice", axis.name)));
        }
    }
    let settings = match sweep.random {
        Some(n) => grid::draw(&sweep.sweep, n, config.seed),
        None => grid::grid(&sweep.sweep).map_err(|axis| {
            Diagnostic::error(Code::E0602, format!("`--sweep {axis}=…` is a range, which has no every value"))
                .with_help("list the values, `1e-3,1e-2`, or draw some: `--random 20`")
        })?,
    };
    let seeds = (0..sweep.seeds).map(|at| config.seed.wrapping_add(at));
    let seeds: Vec<u64> = seeds.collect();
    let folds = config.split.as_ref().and_then(Split::all_folds);
    let folds: Vec<Option<u32>> = folds.map_or_else(|| vec![None], |count| (0..count).map(Some).collect());
    let mut members: Vec<Member> = Vec::new();
    for setting in settings {
        for (seed, fold) in seeds.iter().flat_map(|seed| folds.iter().map(move |fold| (seed, *fold))) {
            let parts = setting.iter().map(|(name, value)| format!("{name}={value}"));
            let parts = parts.chain((seeds.len() > 1 || setting.is_empty()).then(|| format!("seed={seed}")));
            let parts = parts.chain(fold.map(|fold| format!("fold={fold}")));
            let name: String = parts.collect::<Vec<_>>().join(",").chars().map(plain).take(200).collect();
            if members.iter().any(|member| member.name == name) {
                return Err(Diagnostic::error(Code::E0602, format!("two runs of the sweep would be named `{name}`")));
            }
            members.push(Member { name, setting: setting.clone(), seed: *seed, fold });
        }
    }
    Ok(members)
}

/// A character that a file may have in its name everywhere.
fn plain(character: char) -> char {
    if character.is_alphanumeric() || "=,.-+_".contains(character) { character } else { '_' }
}

/// What changes every run: other values of it make another sweep.
fn fingerprint(arguments: &RunArguments, config: &RunConfig) -> String {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let texts =
        [config.path.as_deref().map(read).unwrap_or_default(), read(&config.spec), arguments.shared().join(" ")];
    crate::train::hash_text(&texts.join("\0"))
}

/// Takes a new folder, or that of the same sweep.
fn claim(root: &Path, of: &str) -> Result<(), Diagnostic> {
    let marker = root.join(MARKER_FILE);
    let refused = |found: &str| {
        cannot_write(root, found)
            .with_note("expected: a new folder, or that of the same sweep")
            .with_help("name another with `--output`")
    };
    if let Ok(text) = std::fs::read_to_string(&marker) {
        let found: Option<Marker> = serde_json::from_str(&text).ok();
        return match found {
            Some(found) if found == (Marker { format: 1, of: of.to_string() }) => Ok(()),
            Some(_) => Err(refused("a sweep of another spec, config or command line")),
            None => Err(refused("a folder whose `.anabranch-sweep` is broken")),
        };
    }
    match std::fs::read_dir(root).map(|mut entries| entries.next().is_some()) {
        Ok(true) => return Err(refused("files that no sweep wrote")),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(refused(&error.to_string())),
        _ => {}
    }
    std::fs::create_dir_all(root).map_err(|error| cannot_write(root, error))?;
    let text = serde_json::to_string(&Marker { format: 1, of: of.to_string() }).unwrap_or_default() + "\n";
    super::files::write_text(&marker, Existing::Keep, &text)
}

fn is_finished(folder: &Path) -> bool {
    RunRecord::read(folder).is_ok_and(|record| record.status == Status::Finished)
}

/// Makes runs, so many at a time; gives the names of those that did not finish.
fn run_all(
    arguments: &RunArguments,
    config: &RunConfig,
    session: &Session,
    root: &Path,
    waiting: VecDeque<&Member>,
    n_all: usize,
) -> Result<Vec<String>, Diagnostics> {
    let program = std::env::current_exe().map_err(|error| {
        Diagnostic::error(Code::E0601, "this program cannot be started again").with_note(format!("found: {error}"))
    })?;
    let jobs = usize::try_from(arguments.sweep.jobs).unwrap_or(1).min(waiting.len().max(1));
    let threads = arguments.threads_of(jobs);
    let n_done = n_all - waiting.len();
    let shared = Mutex::new((waiting, n_done, Vec::new()));
    let work = || {
        loop {
            let next = shared.lock().ok().and_then(|mut shared| shared.0.pop_front());
            let Some(member) = next else { break };
            let outcome = make(&program, (arguments, config), root, member, threads);
            let Ok(mut shared) = shared.lock() else { break };
            shared.1 += 1;
            let line = match &outcome {
                Ok(()) => format!("[{}/{n_all}] {}\n", shared.1, member.name),
                Err(_) => format!("[{}/{n_all}] {}: did not finish\n", shared.1, member.name),
            };
            let _ = session.console.print(&line);
            if let Err(message) = outcome {
                eprint_lines(&member.name, &message);
                shared.2.push(member.name.clone());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    let (_, _, mut failed) = shared.into_inner().unwrap_or_default();
    failed.sort();
    Ok(failed)
}

/// What a run that failed said, line by line under its name.
fn eprint_lines(name: &str, message: &str) {
    use std::io::Write as _;
    let text: String = message.lines().map(|line| format!("{name}: {line}\n")).collect();
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Makes one run in a process of its own, or goes on with it where it was left. One that diverged is made again.
fn make(
    program: &Path,
    (arguments, config): (&RunArguments, &RunConfig),
    root: &Path,
    member: &Member,
    threads: usize,
) -> Result<(), String> {
    let folder = root.join(&member.name);
    let mut command = Command::new(program);
    command.args(["run", "--log", "quiet", "--threads"]).arg(threads.to_string());
    if is_unfinished(&folder) {
        command.arg("--resume").arg(&folder);
    } else {
        command.args(&config.path).args(arguments.shared()).arg("--replace");
        command.arg("--seed").arg(member.seed.to_string()).arg("--output").arg(&folder);
        if let Some(fold) = member.fold {
            command.arg("--fold").arg(fold.to_string());
        }
        for (name, value) in &member.setting {
            match name.as_str() {
                "epochs" => command.arg("--epochs").arg(value),
                "batch_size" => command.arg("--batch-size").arg(value),
                _ => command.arg("--set").arg(format!("{name}={value}")),
            };
        }
    }
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let mut message = String::from_utf8_lossy(&output.stderr).into_owned();
    if message.is_empty() {
        let _ = write!(message, "{}", output.status);
    }
    Err(message)
}
