//! The saved form of a whole spec, written and read again.

use anabranch::export::Programs;
use anabranch::export::programs::Graphs;
use anabranch::ir::{Graph, print};
use anabranch::pipeline::Compiled;

/// The programs of a compiled spec, in the order of [`Graphs`].
pub fn simplified(compiled: &Compiled) -> [&Graph; 7] {
    let simplified = &compiled.simplified;
    [
        &simplified.init,
        &simplified.predict,
        &simplified.evaluate,
        &simplified.evaluate_metrics,
        &simplified.train,
        &simplified.train_metrics,
        &simplified.gradients,
    ]
}

/// Whether the form that a spec is saved in gives its programs again, and the same text.
pub fn reads_back(compiled: &Compiled) -> Result<(), String> {
    let text = Programs::of(compiled, "hash").to_json();
    let read = Programs::read(&text).map_err(|finding| format!("{finding:?}"))?;
    if read.to_json() != text {
        return Err("the text is another one when it is written again".to_string());
    }
    let Graphs { init, predict, evaluate, evaluate_metrics, train, train_metrics, gradients } =
        read.graphs().map_err(|finding| format!("{finding:?}"))?;
    let graphs = [&init, &predict, &evaluate, &evaluate_metrics, &train, &train_metrics, &gradients];
    for (position, (read, written)) in graphs.into_iter().zip(simplified(compiled)).enumerate() {
        if print(read, "p") != print(written, "p") {
            return Err(format!("program {position} is another one"));
        }
    }
    Ok(())
}
