//! Programs that do not fit: refused before they run, by what there is, or where the system gives no memory after all.

use anabranch::diag::{Code, Diagnostics, SourceMap};
use anabranch::exec::{Budget, Executor, ExecutorOptions, Mode};
use anabranch::ir::DimSizes;
use anabranch::lower::Options;
use anabranch::pipeline::{Compiled, compile};
use std::process::Command;

fn compiled(spec: &str) -> Compiled {
    let mut sources = SourceMap::default();
    let id = sources.add("test.anb", spec);
    compile(&mut sources, id, &Options::default()).unwrap()
}

const LINE: &str = "
    input x: f32[batch, 1000]
    target y: f32[batch]
    output out = x |> dense(units=1)
    loss l = (y - out[:, 0]) ** 2
    train { minimize l
        optimizer sgd(lr=0.1) }";

fn executor(compiled: &Compiled, rows: usize, options: &ExecutorOptions) -> Result<Executor<f32>, Diagnostics> {
    Executor::new(&compiled.simplified.train, &DimSizes::from([("batch".into(), rows)]), options)
}

#[test]
fn executors_that_are_alive_at_once_count_together() {
    let compiled = compiled(LINE);
    for mode in [Mode::Planned, Mode::Reference] {
        let options = ExecutorOptions { mode, threads: 1, memory: Some(20_000_000), ..ExecutorOptions::default() };
        let options = options.shared().unwrap();
        // A batch of 2000 rows is 8 MB of inputs alone.
        let first = executor(&compiled, 2000, &options).unwrap();
        let taken = options.budget().taken();
        assert!(taken.fed >= 8_000_000 && taken.params >= 4000, "{mode:?}: {taken:?}");
        let mut more = vec![first];
        let refused = loop {
            match executor(&compiled, 2000 + more.len(), &options) {
                Ok(next) => more.push(next),
                Err(findings) => break findings.0[0].clone(),
            }
            assert!(more.len() < 3, "{mode:?}: {:?}", options.budget().taken());
        };
        assert_eq!(refused.code, Code::E0702);
        assert!(refused.headline.starts_with("the run needs "), "{mode:?}: {refused:?}");
        more.clear();
        assert_eq!(options.budget().taken(), Budget::new(None).taken());
        executor(&compiled, 2001, &options).unwrap();
    }
}

/// The value of a set variable makes this process the one in which the system gives no more memory.
const CHILD: &str = "ANABRANCH_TEST_WITHOUT_MEMORY";

#[test]
#[cfg(target_os = "linux")]
fn a_large_buffer_that_the_system_does_not_give_is_a_finding() {
    if std::env::var_os(CHILD).is_some() {
        // The limit of the options is far above that of the process: 4 GB of inputs are asked for.
        let options = ExecutorOptions { threads: 1, memory: Some(u64::MAX), ..ExecutorOptions::default() };
        let findings = executor(&compiled(LINE), 1_000_000, &options).expect_err("no such buffer is given");
        assert_eq!(findings.0[0].code, Code::E0702);
        assert!(findings.0[0].headline.starts_with("there is no memory for"), "{:?}", findings.0[0]);
        return;
    }
    let name = "memory::a_large_buffer_that_the_system_does_not_give_is_a_finding";
    let run = format!("ulimit -v 2000000 && exec \"$0\" --exact {name} --nocapture --test-threads 1");
    let this = std::env::current_exe().unwrap();
    let output = Command::new("sh").arg("-c").arg(&run).arg(this).env(CHILD, "1").output().unwrap();
    let told = [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("1 passed"), "{told}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_limit_of_addresses_is_a_finding_before_the_run() {
    let project = tempfile::tempdir().unwrap();
    let folder = project.path();
    let spec = "input x: f32[batch, 30_000]\ntarget y: f32[batch]\noutput out = x |> dense(units=30_000) |> dense(units=1)\n\
                loss l = (y - out[:, 0]) ** 2\ntrain { minimize l\n optimizer adam() }\n";
    std::fs::write(folder.join("big.anb"), spec).unwrap();
    let row = |cell: &str| vec![cell; 30_000].join(",");
    let header: Vec<String> = (0..30_000).map(|at| format!("x{at}")).collect();
    std::fs::write(folder.join("big.csv"), format!("{},y\n{},1\n", header.join(","), row("0"))).unwrap();
    let config = "spec: big.anb\ndata: { train: big.csv, columns: { x: x0..x29999 } }\nbatch_size: 1\nepochs: 1\n";
    std::fs::write(folder.join("run.yaml"), config).unwrap();
    // The kernel alone is 3.4 GiB; the process may have 2.9.
    let run = format!("ulimit -v 3000000 && {} run run.yaml --threads 1", env!("CARGO_BIN_EXE_anabranch"));
    let output = Command::new("sh").args(["-c", &run]).current_dir(folder).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    for part in ["E0702", "dense.kernel", "f32[30000, 30000]", "3.4 GiB", "expected: at most 2."] {
        assert!(message.contains(part), "{part}: {message}");
    }
}
