//! The examples as a user runs them, through the public API: they reach what their READMEs say.

use anabranch::diag::{SourceMap, render_plain};
use anabranch::exec::ExecutorOptions;
use anabranch::lower::Options;
use anabranch::pipeline::compile;
use anabranch::train::{Finished, config, load_data, run};
use std::path::Path;

fn trained(name: &str) -> Finished<f32> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let mut sources = SourceMap::default();
    let config = config::read(&folder.join("run.yaml"), &mut sources).unwrap();
    let spec = sources.add(name, std::fs::read_to_string(&config.spec).unwrap());
    let compiled = compile(&mut sources, spec, &Options::default())
        .unwrap_or_else(|found| panic!("{}", render_plain(&found.0, &sources)));
    let data = load_data(&compiled, &config).unwrap();
    run(&compiled, &config, &data, &ExecutorOptions::default(), &mut |_| {}).unwrap()
}

#[test]
fn digits_are_told_apart_and_drawn() {
    let run = trained("digits");
    let (first, last) = (run.history.epochs.first().unwrap(), run.history.epochs.last().unwrap());
    let accuracy = last.get("test", "class_accuracy").unwrap();
    assert!(accuracy >= 0.95, "test accuracy {accuracy}");
    let [before, after] = [first, last].map(|epoch| epoch.get("test", "drawing_loss").unwrap());
    assert!(before / after >= 5.0, "the drawing's error fell from {before} to {after}");
    let alpha = last.weights[0].values[0];
    assert!(alpha > 0.0 && alpha < 1.0, "alpha {alpha} is at a bound");
}

#[test]
fn the_localizer_lowers_both_losses() {
    let run = trained("localizer");
    let (first, last) = (run.history.epochs.first().unwrap(), run.history.epochs.last().unwrap());
    for loss in ["box_loss", "cls_loss"] {
        let [before, after] = [first, last].map(|epoch| epoch.get("test", loss).unwrap());
        assert!(after < before, "{loss} went from {before} to {after}");
    }
    let alpha = last.weights[0].values[0];
    assert!(alpha > 0.0 && alpha < 1.0, "alpha {alpha} is at a bound");
}
