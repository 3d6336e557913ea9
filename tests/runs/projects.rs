//! New projects, first configs, and checks of a config with its spec and data.

use super::support::{Project, ramp};

#[test]
fn every_template_is_a_project_that_runs_at_once() {
    for template in ["two-heads", "tabular", "images", "pinn", "vae", "text"] {
        let project = Project::empty();
        let text = project.succeeds(&["new", "mine", "--template", template]);
        assert!(text.contains("anabranch run mine/run.yaml"), "{text}");
        let checked = project.run(&["check", "mine/run.yaml", "--message-format", "json"]);
        let message = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success() && message.is_empty(), "{template}: {message}");
        project.succeeds(&["fmt", "--check", "mine/model.anb"]);
        project.succeeds(&["run", "mine/run.yaml", "--epochs", "2", "--log", "quiet"]);
        // The commands of the README.
        let readme = project.read("mine/README.md");
        for line in readme
            .lines()
            .filter_map(|line| line.strip_prefix("    anabranch "))
            .filter(|line| !line.starts_with("run"))
        {
            let words: Vec<&str> = line.split_whitespace().collect();
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_anabranch"))
                .args(&words)
                .current_dir(project.path("mine"))
                .output()
                .unwrap();
            assert!(output.status.success(), "{template}: {line}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let message = project.fails(&["new", "mine"]);
        assert!(message.contains("E0605") && message.contains("a folder with files in it"), "{message}");
    }
}

/// The templates learn what they are about.
#[test]
fn a_template_learns() {
    let project = Project::empty();
    for (template, metric, least) in [("two-heads", "kind_accuracy", 0.8), ("images", "class_accuracy", 0.9)] {
        project.succeeds(&["new", template, "--template", template]);
        project.succeeds(&["run", &format!("{template}/run.yaml"), "--epochs", "8", "--log", "quiet"]);
        let run = format!("{template}/runs/model");
        let data = if template == "images" { "data.npz" } else { "data.csv" };
        let evaluate = ["evaluate", &run, "--data", &format!("d={template}/{data}"), "--format", "json"];
        let json: serde_json::Value = serde_json::from_str(&project.succeeds(&evaluate)).unwrap();
        let value = json["d"]["metrics"][metric].as_f64().unwrap();
        assert!(value > least, "{template}: {value}");
    }
}

const SPEC: &str = "\
input  x: f32[batch, 2]
target y: f32[batch]
output guess = x |> dense(units=1) |> squeeze(axes=1)
loss error = square(y - guess)
train {
    minimize error
    optimizer sgd(lr=0.1)
}
";

#[test]
fn a_spec_that_is_run_gets_a_config() {
    let project = Project::empty();
    project.write("model.anb", SPEC);
    let message = project.fails(&["run", "model.anb"]);
    assert!(message.contains("is a spec") && message.contains("--write-config"), "{message}");
    project.arrays("a.npz", &[("other", &[4], &ramp(4))]);
    project.arrays("mine.npz", &[("x", &[4, 2], &ramp(8)), ("y", &[4], &ramp(4))]);
    project.succeeds(&["run", "model.anb", "--write-config"]);
    assert!(project.read("model.yaml").contains("train: { file: mine.npz }"));
    project.succeeds(&["run", "model.yaml", "--epochs", "1"]);
    let message = project.fails(&["run", "model.anb"]);
    assert!(message.contains("`anabranch run model.yaml`"), "{message}");
    assert!(project.fails(&["run", "model.anb", "--write-config"]).contains("E0605"), "an existing config stays");
}

#[test]
fn a_config_is_checked_with_its_spec_and_data() {
    let config = "\
spec: model.anb
data:
  train: { file: data.npz, columns: { x: feature } }
  test: table.csv
  validation: { file: data.npz, rows: 2..9 }
batch_size: 4
epochs: 3
monitor: { value: validation/eror }
output: mine
";
    let project = Project::new(SPEC, config);
    project.arrays("data.npz", &[("x", &[4, 3], &ramp(12)), ("y", &[4], &ramp(4))]);
    project.write("table.csv", "x,y\n1,2\n");
    std::fs::create_dir(project.path("mine")).unwrap();
    project.write("mine/thesis.tex", "years of work");
    let message = project.fails(&["check", "run.yaml"]);
    // All at once: the output, the monitor, each part of the data.
    for expected in [
        "cannot write the folder `mine`",
        "`eror`",
        "no array `feature`",
        "do not make up its shape",
        "rows 2..9 are not all in",
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let config = "spec: model.anb\ndata: { train: good.npz }\nbatch_size: 3\nepochs: 2\noutput: runs/a\n";
    project.write("run.yaml", config);
    project.arrays("good.npz", &[("x", &[4, 2], &ramp(8)), ("y", &[4], &ramp(4))]);
    let text = project.succeeds(&["check", "run.yaml"]);
    assert!(text.contains("train: 4 rows") && text.contains("2 epochs of 2 steps"), "{text}");
    assert!(!project.path("runs").exists(), "nothing is written");
    project.write("run.yaml", &(config.to_string() + "params: none.safetensors\n"));
    assert!(project.fails(&["check", "run.yaml"]).contains("none.safetensors"));
    project.write("model.anb", &SPEC.replace("dense", "dence"));
    assert!(project.fails(&["check", "run.yaml"]).contains("did you mean `dense`?"));
}
