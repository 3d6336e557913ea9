//! The pages in docs/ say what is: the library is listed, every lint is explained, examples are well written.

use anabranch::analyse::{LINTS, Lint};
use anabranch::diag::SourceMap;
use anabranch::lower::{Entry, Library, library_index};
use std::fmt::Write as _;

fn index() -> Vec<Entry> {
    let mut sources = SourceMap::default();
    library_index(&Library::whole(&mut sources).expect("the library is well written"))
}

fn page(index: &[Entry]) -> String {
    let mut page = "# The standard library\n\nWritten in the language itself and shipped inside the binary. This page is generated: \
                    `UPDATE_DOCS=1 cargo test --test language docs` writes it.\n"
        .to_string();
    let mut file = "none yet";
    for entry in index {
        if entry.file != file {
            file = entry.file;
            let title = file.trim_start_matches("std/").trim_end_matches(".anb");
            let _ = match title {
                "" => write!(
                    page,
                    "\n## Built-in functions\n\nThe primitive operations, under the names that specs use. Arguments with `?` may be left out.\n\n"
                ),
                title => write!(page, "\n## {}{}\n\n", title[..1].to_uppercase(), &title[1..]),
            };
        }
        let kind = if entry.kind == "built-in" { String::new() } else { format!("{} ", entry.kind) };
        let doc = entry.doc.replace('\n', " ");
        let _ = writeln!(page, "- `{kind}{}`: {doc}", entry.signature);
    }
    page
}

#[test]
fn the_page_of_the_library_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/std.md");
    let page = page(&index());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).expect("docs/std.md can be written");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == page, "docs/std.md is stale: UPDATE_DOCS=1 cargo test --test language docs");
}

#[test]
fn what_a_user_calls_is_documented() {
    // Helpers of one file, not meant to be called from specs.
    const HELPERS: &[&str] = &["fan_in", "fan_out"];
    for entry in index().iter().filter(|entry| !HELPERS.contains(&&*entry.name)) {
        assert!(!entry.doc.is_empty(), "`{}` of {} says nothing about itself", entry.name, entry.file);
    }
}

#[test]
fn names_mean_one_thing() {
    let index = index();
    assert_eq!(doubles(&index), Vec::<&str>::new());
    let mut doubled = index.clone();
    doubled.push(index[3].clone());
    assert_eq!(doubles(&doubled), [&*index[3].name]);
}

fn doubles(index: &[Entry]) -> Vec<&str> {
    let is_double = |i: usize| index[..i].iter().any(|other| other.name == index[i].name);
    (0..index.len()).filter(|i| is_double(*i)).map(|i| &*index[i].name).collect()
}

/// The lints that a page has no row for.
fn unexplained(page: &str) -> Vec<&'static str> {
    let has_row = |lint: &Lint| page.contains(&format!("| {} | `{}`", lint.code, lint.name));
    LINTS.iter().filter(|lint| !has_row(lint)).map(|lint| lint.name).collect()
}

#[test]
fn every_lint_is_explained() {
    let page = include_str!("../../docs/lints.md");
    assert_eq!(unexplained(page), Vec::<&str>::new());
    assert_eq!(unexplained(&page.replace("| `unused`", "| `used`")), ["unused"]);
    for lint in LINTS {
        assert_eq!(lint.code.title(), lint.name);
    }
}

/// What the parser says of an example.
fn mistakes(text: &str) -> String {
    let mut sources = SourceMap::default();
    let source = sources.add("language.md", text);
    let (_, errors) = anabranch::syntax::parse(&sources, source);
    anabranch::diag::render_plain(&errors, &sources)
}

#[test]
fn examples_of_the_language_are_well_written() {
    let page = include_str!("../../docs/language.md");
    let examples: Vec<&str> =
        page.split("```anb\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert!(examples.len() >= 3);
    for text in &examples {
        assert_eq!(mistakes(text), "");
    }
    assert!(mistakes(&examples[0].replacen('=', "= =", 1)).contains("E0101"));
    let mut sources = SourceMap::default();
    let source = sources.add("language.md", examples[0]);
    let compiled = anabranch::pipeline::compile(&mut sources, source, &anabranch::lower::Options::default());
    assert!(compiled.is_ok_and(|compiled| compiled.findings.is_empty()));
}

#[test]
fn the_program_for_newcomers_compiles_without_findings() {
    let page = include_str!("../../docs/coming-from-keras.md");
    let text = page.split("```anb\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut sources = SourceMap::default();
    let source = sources.add("newcomers.anb", text);
    let compiled = anabranch::pipeline::compile(&mut sources, source, &anabranch::lower::Options::default());
    assert!(compiled.is_ok_and(|compiled| compiled.findings.is_empty()));
}
