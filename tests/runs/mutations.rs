//! A short, seeded form of the fuzz targets (`fuzz/run`): the repository's specs, cut up and put together again.

use anabranch::diag::{Diagnostics, SourceMap, render_plain};
use anabranch::lower::{Library, Options};
use anabranch::pipeline::compile_loaded;
use anabranch::syntax::{format, load, parse, print};
use anabranch::train::config;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::path::Path;

/// The files below `folder` whose names end so, in the order of their paths.
fn texts(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

/// Words, numbers and single signs, with the white space behind them.
fn pieces(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let mut end = if is_word(first) { rest.find(|c| !is_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        end += rest[end..].find(|c: char| !c.is_whitespace()).unwrap_or(rest.len() - end);
        pieces.push(&rest[..end]);
        rest = &rest[end..];
    }
    pieces
}

struct Mutator {
    random: ChaCha8Rng,
    texts: Vec<String>,
}

impl Mutator {
    fn new(texts: Vec<String>) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(1), texts }
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.next_u32() as usize % end.max(1)
    }

    /// One of the texts after a few changes: pieces left out, doubled, exchanged, or taken from another text.
    fn next(&mut self) -> String {
        const ODD: [&str; 12] = ["(", ")", "{", "}", "-1", "1e30", "0", "batch", "\"", "...", "none", "\0"];
        let (first, second) = (self.below(self.texts.len()), self.below(self.texts.len()));
        let (text, other) = (self.texts[first].clone(), self.texts[second].clone());
        let (mut result, other) = (pieces(&text), pieces(&other));
        for _ in 0..1 + self.below(3) {
            let (at, length) = (self.below(result.len()), 1 + self.below(6));
            let end = (at + length).min(result.len());
            match self.below(5) {
                0 => drop(result.drain(at..end)),
                1 => {
                    let doubled = result[at..end].to_vec();
                    result.splice(at..at, doubled);
                }
                2 if !result.is_empty() => {
                    let with = self.below(result.len());
                    result.swap(at, with);
                }
                3 => {
                    let from = self.below(other.len());
                    let until = (from + length).min(other.len());
                    result.splice(at..end, other[from..until].iter().copied());
                }
                _ => result.insert(at.min(result.len()), ODD[self.below(ODD.len())]),
            }
        }
        result.concat()
    }
}

fn specs() -> Vec<String> {
    let texts = ["tests/errors", "tests/field", "tests/oracle", "examples"].map(|folder| texts(folder, ".anb"));
    texts.concat().into_iter().filter(|text| text.len() < 4_000).collect()
}

#[test]
fn mutated_texts_are_read_and_what_parses_keeps_its_tree_through_the_formatter() {
    let library = texts("src/std", ".anb");
    let mut mutator = Mutator::new([specs(), library].concat());
    let mut n_parsed = 0;
    for _ in 0..3_000 {
        let text = mutator.next();
        let mut sources = SourceMap::default();
        let source = sources.add("mutated.anb", text.as_str());
        let (tree, errors) = parse(&sources, source);
        if !errors.is_empty() {
            render_plain(&errors, &sources);
            continue;
        }
        n_parsed += 1;
        let once = format(&sources, source).expect("what parses is formatted");
        let set = sources.add("once.anb", once.as_str());
        assert_eq!(print(&parse(&sources, set).0), print(&tree), "{text}\n----\n{once}");
        assert_eq!(format(&sources, set).as_ref(), Ok(&once), "{text}");
    }
    assert!(n_parsed > 100, "{n_parsed}");
}

fn compiles(text: &str, sources: &SourceMap, library: &Library) -> bool {
    let mut sources = sources.clone();
    let source = sources.add("mutated.anb", text);
    let none = |_: &str| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    let compiled =
        load(&mut sources, source, &none).and_then(|loaded| compile_loaded(loaded, library, &Options::default()));
    match compiled {
        Ok(compiled) => {
            render_plain(&compiled.findings, &sources);
            compiled.simplified.force();
            true
        }
        Err(Diagnostics(findings)) => {
            assert!(!render_plain(&findings, &sources).is_empty(), "refused without a reason: {text}");
            false
        }
    }
}

#[test]
fn mutated_specs_are_compiled_or_refused() {
    let mut sources = SourceMap::default();
    let library = Library::whole(&mut sources).unwrap();
    let sound = ["tests/field", "tests/oracle", "examples"].map(|folder| texts(folder, ".anb")).concat();
    let mut mutator = Mutator::new(sound.into_iter().filter(|text| text.len() < 2_000).collect());
    let n_compiled = (0..1_500).filter(|_| compiles(&mutator.next(), &sources, &library)).count();
    // Some one in fifty does, by the texts that there are: enough to reach the stages behind the parser.
    assert!(n_compiled > 10, "{n_compiled}");
}

#[test]
fn mutated_run_configs_are_read_or_refused() {
    let mut mutator = Mutator::new([texts("examples", ".yaml"), texts("tests", ".yaml")].concat());
    for _ in 0..3_000 {
        let text = mutator.next();
        let mut sources = SourceMap::default();
        let source = sources.add("run.yaml", text.as_str());
        if let Err(findings) = config::parse(&text, source) {
            assert!(!render_plain(&findings.0, &sources).is_empty(), "{text}");
        }
    }
}
