//! Who names an op: its own file, the table and the builtin. What passes, analyses and the planner know of it, they ask it.

use std::fs;
use std::path::{Path, PathBuf};

/// Functions that no rewrite is about and no operator of the language stands for.
const OPS: [&str; 13] =
    ["Sinh", "Asinh", "Acosh", "Atanh", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Atan2", "Erf", "IsNan"];

const TABLE: &str = "ops/mod.rs";
const BUILTINS: &str = "lower/builtins/";
const OWN: &str = "ops/pointwise/";
/// What another language calls an op is its exporter's: a match without `_`, so that an op without a row does not compile.
const EXPORTERS: [&str; 2] = ["export/onnx/", "export/xla/"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The files in which the word stands, below `src`.
fn naming(word: &str, files: &[(String, String)]) -> Vec<String> {
    let is_word = |text: &str| {
        text.match_indices(word).any(|(at, _)| {
            let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            !is_part(text[..at].chars().next_back()) && !is_part(text[at + word.len()..].chars().next())
        })
    };
    files.iter().filter(|(_, text)| is_word(text)).map(|(name, _)| name.clone()).collect()
}

fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
        (name, fs::read_to_string(&path).expect("a text"))
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn an_elementwise_op_is_named_by_its_row_the_table_the_builtin_and_exporters() {
    let files = files();
    for op in OPS {
        let naming = naming(op, &files);
        let is_expected = |name: &String| {
            *name == TABLE || [BUILTINS, OWN, EXPORTERS[0], EXPORTERS[1]].iter().any(|folder| name.starts_with(folder))
        };
        let others: Vec<&String> = naming.iter().filter(|name| !is_expected(name)).collect();
        assert!(others.is_empty(), "{op} is named in {others:?}");
        assert_eq!(naming.iter().filter(|name| name.starts_with(OWN)).count(), 1, "{op}: {naming:?}");
        assert!(
            naming.iter().any(|name| name == TABLE) && naming.iter().any(|name| name.starts_with(BUILTINS)),
            "{op}: {naming:?}"
        );
    }
}

#[test]
fn a_name_elsewhere_is_found() {
    let files =
        [("a.rs".to_string(), "Op::Tanh(_) =>".to_string()), ("b.rs".to_string(), "ArcTanh, Tanh2".to_string())];
    assert_eq!(naming("Tanh", &files), ["a.rs"]);
}
