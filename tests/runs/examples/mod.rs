//! The examples as a user runs them, through the public API: they reach what their READMEs say.

mod burgers;
mod generative;
mod semi_supervised;
mod support;

use support::Example;

#[test]
fn digits_are_told_apart_and_drawn() {
    let run = Example::new("digits").trained();
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
    let run = Example::new("localizer").trained();
    let (first, last) = (run.history.epochs.first().unwrap(), run.history.epochs.last().unwrap());
    for loss in ["box_loss", "cls_loss"] {
        let [before, after] = [first, last].map(|epoch| epoch.get("test", loss).unwrap());
        assert!(after < before, "{loss} went from {before} to {after}");
    }
    let alpha = last.weights[0].values[0];
    assert!(alpha > 0.0 && alpha < 1.0, "alpha {alpha} is at a bound");
}

#[test]
fn segmentation_tells_discs_from_squares() {
    let run = Example::new("segmentation").trained();
    let overlap = run.history.epochs.last().unwrap().get("test", "overlap").unwrap();
    assert!(overlap >= 0.9, "Dice {overlap} on shapes not seen in training");
}

#[test]
fn the_tagger_knows_each_word_and_who_acts() {
    let run = Example::new("sequence_tagger").trained();
    for metric in ["tag_accuracy", "span_accuracy"] {
        let accuracy = run.history.epochs.last().unwrap().get("test", metric).unwrap();
        assert!(accuracy >= 0.98, "{metric} {accuracy} on sentences not seen in training");
    }
}

#[test]
fn a_short_training_finds_the_wave_of_burgers_equation() {
    let error = burgers::relative_error("short.yaml");
    assert!(error <= 0.12, "relative L2 error {error}");
}
