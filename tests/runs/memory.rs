//! Programs that do not fit: refused before they run, by what there is.

use std::process::Command;

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
