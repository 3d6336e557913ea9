//! Labels for a tenth of the rows: the same net with the other rows and without them.

use super::support::{Example, mean};
use anabranch::data::ColumnSpec;

/// Test accuracy after training by a config with one of its five choices of labelled rows.
fn accuracy(config: &str, choice: u32) -> f64 {
    let mut example = Example::by_config("semi_supervised", config);
    example.config.seed = u64::from(choice);
    let column = format!("few{choice}");
    let train = example.config.train.as_mut().unwrap();
    train.columns.insert("digit".into(), ColumnSpec::One(column));
    if train.prefix.as_deref() == Some("labelled0/") {
        train.columns.clear();
        train.prefix = Some(format!("labelled{choice}/"));
    }
    let run = example.trained();
    run.history.epochs.last().unwrap().get("test", "class_accuracy").unwrap()
}

#[test]
fn rows_without_labels_add_two_points_of_accuracy() {
    let of_five = |config| mean((0..5).map(|choice| accuracy(config, choice)));
    let (alone, together) = (of_five("labelled.yaml"), of_five("run.yaml"));
    assert!(together - alone >= 0.02, "{alone} by the labelled rows alone, {together} with the others");
}
