//! The proofs on specs as people write them: `tests/field/CLASS`, each mistake beside its corrected twin, and specs that look
//! like mistakes and are none (`alarms`).

use crate::common::run::{compile, each};
use anabranch::analyse::LINTS;
use anabranch::lower::Options;
use std::collections::BTreeSet;
use std::path::Path;

/// The folders of `tests/field` that are run here.
pub const CLASSES: &[&str] = &["alarms", "functions", "leaf", "negative"];

/// The lints that fire on a spec, or the errors in full.
fn verdict(text: &str) -> Result<BTreeSet<String>, String> {
    let (sources, compiled) = compile(text, &[], &Options::default());
    match compiled {
        Ok(compiled) => {
            let lint = |code| LINTS.iter().find(|lint| lint.code == code).map(|lint| lint.name.to_string());
            Ok(compiled.findings.iter().filter_map(|finding| lint(finding.code)).collect())
        }
        Err(errors) => Err(anabranch::diag::render_plain(&errors.0, &sources)),
    }
}

/// The names and texts of a class.
fn specs(class: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field").join(class);
    let entries = std::fs::read_dir(&folder).expect("the class has a folder");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_string();
        (name, std::fs::read_to_string(&path).expect("the spec is readable"))
    };
    let mut specs: Vec<(String, String)> = entries.map(read).collect();
    specs.sort();
    specs
}

/// What is wrong with a spec's verdict: a mistake not found, something else found, a false alarm.
fn fault(name: &str, text: &str) -> Option<String> {
    let expected = text.lines().find_map(|line| line.strip_prefix("# expect: ")).expect("says what it expects");
    let expected: BTreeSet<String> =
        expected.split(", ").filter(|name| *name != "nothing").map(ToString::to_string).collect();
    match verdict(text) {
        Ok(found) if found == expected => None,
        Ok(found) => Some(format!("{name}: {found:?}, not {expected:?}")),
        Err(errors) => Some(format!("{name}:\n{errors}")),
    }
}

fn all_right(class: &str, least: usize) {
    let specs = specs(class);
    assert!(specs.len() >= least, "{class} has {} specs", specs.len());
    let faults: Vec<String> = each(&specs, |(name, text)| fault(name, text)).into_iter().flatten().collect();
    assert!(faults.is_empty(), "{} of {} {class} specs:\n{}", faults.len(), specs.len(), faults.join("\n"));
}

#[test]
fn leaf_losses_are_found_behind_named_ones() {
    all_right("leaf", 20);
}

#[test]
fn functions_of_losses_hide_no_collapse() {
    all_right("functions", 20);
}

#[test]
fn losses_that_may_be_negative_are_told_where_it_matters() {
    all_right("negative", 20);
}

#[test]
fn honest_specs_are_left_alone() {
    all_right("alarms", 20);
}

#[test]
fn a_verdict_that_is_wrong_is_seen() {
    let (name, text) = specs("leaf").into_iter().find(|(name, _)| name == "two-named-halves.anb").expect("is there");
    assert_eq!(fault(&name, &text), None);
    let turned = text.replace("# expect: weight-collapse", "# expect: nothing");
    assert!(fault(&name, &turned).is_some_and(|fault| fault.contains("{\"weight-collapse\"}, not {}")));
    let other = text.replace("# expect: weight-collapse", "# expect: loss-can-rise");
    assert!(fault(&name, &other).is_some());
}
