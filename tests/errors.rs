//! One bad spec a code (`errors/E0xxx.anb`, `errors/L00xx.anb`, further ones as `E0xxx-what.anb`), and what its author is
//! told.

use anabranch::diag::{Code, Diagnostic, SourceMap, render_plain};
use anabranch::lower::{Options, Watched};
use anabranch::pipeline::compile;
use std::collections::BTreeSet;
use std::path::Path;

/// Codes that no text of a spec can cause, and the file that tests them.
const EXEMPT: &[(&str, &str)] = &[
    ("E0103", "tests/hostile.rs: a text of many megabytes"),
    ("E0601", "tests/cli.rs: a file that is not there"),
    ("E0602", "src/train/config/tests.rs: run configs"),
    ("E0603", "tests/data.rs: data files"),
    ("E0604", "tests/data.rs: data files"),
    ("E0605", "tests/cli.rs: a folder that cannot be written"),
    ("E0606", "tests/data.rs: files of params"),
    ("E0607", "tests/cli.rs: a run that diverges"),
    ("E0608", "tests/cli.rs: saved programs changed by hand"),
    ("E0609", "tests/cli.rs: a spec that is not formatted"),
    ("E0702", "src/exec/mod.rs: a program too large for memory"),
    ("L0012", "tests/watch.rs: a weight that overshoots in a run"),
];

fn findings(path: &Path) -> (SourceMap, Vec<Diagnostic>) {
    let text = std::fs::read_to_string(path).expect("the case is readable");
    let mut sources = SourceMap::default();
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    // What a run config would say.
    let watched = text.lines().find_map(|line| line.strip_prefix("# watch: "));
    let watched = watched.map(|name| Watched { name: name.to_string(), span: None });
    let spec = sources.add(name, text);
    let findings = match compile(&mut sources, spec, &Options { watched, ..Options::default() }) {
        Ok(compiled) => compiled.findings,
        Err(errors) => errors.0,
    };
    (sources, findings)
}

#[test]
fn every_mistake_is_explained() {
    insta::glob!("errors/*.anb", |path| {
        let (sources, findings) = findings(path);
        let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let code = name.split('-').next().unwrap_or_default();
        let found: BTreeSet<&str> = findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(found, BTreeSet::from([code]), "{name}:\n{}", render_plain(&findings, &sources));
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(render_plain(&findings, &sources));
        });
    });
}

#[test]
fn every_code_has_a_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let cases: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the cases are there")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".anb")?.split('-').next()?.to_string()))
        .collect();
    for code in Code::ALL {
        let exempt = EXEMPT.iter().any(|(other, _)| *other == code.as_str());
        let has_case = cases.contains(code.as_str());
        assert!(has_case != exempt, "{code}: {}", if exempt { "has a case, so it is not exempt" } else { "no case" });
    }
}

#[test]
fn a_page_of_mistakes_is_reported_at_once_and_has_an_end() {
    let text: String = (0..30).map(|i| format!("let v{i} = unknown_{i}\nlet w{i} = v{i} + 1\n")).collect();
    let mut sources = SourceMap::default();
    let spec = sources.add("many.anb", text);
    let errors = compile(&mut sources, spec, &Options::default()).expect_err("every line is wrong");
    assert_eq!(errors.0.len(), 20);
    assert!(errors.0.iter().all(|error| error.headline.starts_with("unknown name")), "{errors}");
}
