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
fn two_steps_fit_a_curve_from_the_start_that_was_learned() {
    let run = Example::new("maml").trained();
    let last = run.history.epochs.last().unwrap();
    let [before, adapted] = ["before", "adapted"].map(|loss| last.get("test", loss).unwrap());
    assert!(adapted <= 0.12 && before >= 4.0 * adapted, "the error fell from {before} to {adapted}");
}

#[test]
fn penalties_are_tuned_through_a_step_of_training() {
    let run = Example::new("hypergradient").trained();
    let error = run.history.epochs.last().unwrap().get("test", "fit").unwrap();
    assert!(error <= 1.7, "squared error {error}, where penalties that are not tuned give 2.8");
}

#[test]
fn a_walker_learns_the_way_round_the_wall() {
    let run = Example::new("dqn").trained();
    let last = run.history.epochs.last().unwrap();
    let [right, error] = ["right_choice", "value_error"].map(|metric| last.get("test", metric).unwrap());
    assert!(right >= 0.97 && error <= 0.02, "{right} of the steps are right, values are off by {error}");
}

#[test]
fn sentences_of_any_length_are_read() {
    let run = Example::new("text_classifier").trained();
    let accuracy = run.history.epochs.last().unwrap().get("test", "accuracy").unwrap();
    assert!(accuracy >= 0.82, "accuracy {accuracy} on sentences not seen in training");
}

#[test]
fn forces_follow_from_the_energy() {
    let example = Example::new("energy_force");
    let run = example.trained();
    let last = run.history.epochs.last().unwrap();
    let [force, energy] = ["force_error", "energy_error"].map(|metric| last.get("test", metric).unwrap());
    assert!(force <= 0.3 && energy <= 0.15, "forces are off by {force}, energies by {energy}");
    let data = example.data().test.unwrap();
    let predicted = example.predicted(&run, &data, "force");
    assert_eq!(predicted.shape, [200, 5, 2]);
    // No net moves itself: the forces of an arrangement add up to nothing.
    for force in support::rows(&predicted.values, 10) {
        let sums = [0, 1].map(|axis| force.iter().skip(axis).step_by(2).sum::<f64>());
        assert!(sums.iter().all(|sum| sum.abs() < 1e-3), "{sums:?}");
    }
}

#[test]
fn a_short_training_finds_the_wave_of_burgers_equation() {
    let error = burgers::relative_error("short.yaml");
    assert!(error <= 0.12, "relative L2 error {error}");
}
