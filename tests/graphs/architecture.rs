//! ARCHITECTURE.md says which room of `src` may use which. Every path in every file is held against that table: an arrow that
//! it does not allow fails with its file and line, and so does one that it allows and nobody takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// Rooms that use each other; every other room uses only those that stand above it in the table.
const FLOOR: &[&str] = &["ir", "ops", "autodiff"];
/// Crates of this repository by the names that paths begin with, and the rooms that they are.
const CRATES: &[(&str, &str)] = &[("anabranch_kernels", "kernels")];

/// A use of one room by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    from: String,
    to: String,
    file: PathBuf,
    line: usize,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, file, line } = self;
        write!(f, "{}:{line}: `{from}` uses `{to}`", file.display())
    }
}

/// What each room may use, in the order of the table.
struct Table(Vec<(String, BTreeSet<String>)>);

impl Table {
    /// Reads the table whose head is `room | its one job | may use`.
    fn read(text: &str) -> Self {
        let rows = text.lines().skip_while(|line| !line.contains("| may use |")).skip(2);
        let rows = rows.take_while(|line| line.starts_with('|')).map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            let names = |cell: &str| -> Vec<String> {
                cell.split('`').skip(1).step_by(2).map(|name| name.trim_start_matches("src/").to_string()).collect()
            };
            (names(cells[1]).remove(0), names(cells[3]).into_iter().collect())
        });
        Self(rows.collect())
    }

    fn may_use(&self, from: &str, to: &str) -> bool {
        self.0.iter().any(|(room, uses)| room == from && uses.contains(to))
    }

    /// Entries that run up: every room uses rooms above it in the table, so that there is no circle.
    fn upward(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (at, (room, uses)) in self.0.iter().enumerate() {
            let above: BTreeSet<&str> = self.0[..at].iter().map(|(room, _)| &**room).collect();
            let is_floor = |name: &str| FLOOR.contains(&room.as_str()) && FLOOR.contains(&name);
            let bad = uses.iter().filter(|name| !above.contains(name.as_str()) && !is_floor(name));
            found.extend(bad.map(|name| format!("{room} → {name}")));
        }
        found
    }
}

/// The text with comments, strings and characters blanked; lines stay where they are.
fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match &bytes[at..] {
            [b'/', b'/', ..] => at + text[at..].find('\n').unwrap_or(text.len() - at),
            [b'/', b'*', ..] => at + text[at..].find("*/").map_or(text.len() - at, |end| end + 2),
            [b'"', ..] => end_of_string(bytes, at),
            [b'r', b'"' | b'#', ..] if at == 0 || !is_word(bytes[at - 1]) => end_of_raw_string(text, at),
            [b'\'', ..] => end_of_char(text, at),
            _ => at,
        };
        if end > at {
            out.extend(text[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            let c = text[at..].chars().next().unwrap_or(' ');
            out.push(if c.is_ascii() { c } else { '_' });
            at += c.len_utf8();
        }
    }
    out
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The end of a raw string; `start` where there is none.
fn end_of_raw_string(text: &str, start: usize) -> usize {
    let hashes = text[start + 1..].bytes().take_while(|byte| *byte == b'#').count();
    if text.as_bytes().get(start + 1 + hashes) != Some(&b'"') {
        return start;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let inside = start + 2 + hashes;
    inside + text[inside..].find(&close).map_or(text.len() - inside, |end| end + close.len())
}

/// The end of a character; `start` where the quote begins a lifetime.
fn end_of_char(text: &str, start: usize) -> usize {
    let mut chars = text[start + 1..].char_indices();
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => {
            let rest = start + 3;
            rest + text.get(rest..).and_then(|rest| rest.find('\'')).map_or(0, |end| end + 1)
        }
        (Some(_), Some((at, '\''))) => start + 1 + at + 1,
        _ => start,
    }
}

/// Words and signs, each with its line; `::` is one sign.
fn tokens(code: &str) -> Vec<(&str, usize)> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    let bytes = code.as_bytes();
    while at < bytes.len() {
        let len = match bytes[at] {
            byte if is_word(byte) => bytes[at..].iter().take_while(|byte| is_word(**byte)).count(),
            b':' if bytes.get(at + 1) == Some(&b':') => 2,
            _ => 1,
        };
        line += usize::from(bytes[at] == b'\n');
        if !bytes[at].is_ascii_whitespace() {
            tokens.push((&code[at..at + len], line));
        }
        at += len;
    }
    tokens
}

/// The rooms that a path names which began so many modules below the crate's root: what follows it is a `::` and a name, or a
/// group in braces of paths that go on from there, up by further `super`s as well.
fn heads<'t>(below: usize, tokens: &[(&'t str, usize)]) -> Vec<(&'t str, usize)> {
    match tokens {
        [("::", _), ("{", _), rest @ ..] => {
            let mut depth = 0;
            let mut is_first = true;
            let mut found = Vec::new();
            for (at, (token, _)) in rest.iter().enumerate() {
                match *token {
                    "}" if depth == 0 => break,
                    _ if depth == 0 && is_first => {
                        found.extend(named(below, &rest[at..]));
                        is_first = false;
                        depth += usize::from(*token == "{");
                    }
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    "," if depth == 0 => is_first = true,
                    _ => {}
                }
            }
            found
        }
        [("::", _), rest @ ..] => named(below, rest),
        _ => Vec::new(),
    }
}

/// As [`heads`], of the path that begins with the first word.
fn named<'t>(below: usize, tokens: &[(&'t str, usize)]) -> Vec<(&'t str, usize)> {
    match tokens {
        [("super", _), rest @ ..] => below.checked_sub(1).map_or_else(Vec::new, |below| heads(below, rest)),
        [("self", _), rest @ ..] => heads(below, rest),
        [(name, line), ..] if below == 0 => vec![(*name, *line)],
        _ => Vec::new(),
    }
}

/// The rooms that a file uses. `path` is the file's module path; `room` whose file it is.
fn arrows(text: &str, file: &Path, path: &[String], room: &str, rooms: &BTreeSet<&str>) -> Vec<Arrow> {
    let code = code_of(text);
    let tokens = tokens(&code);
    let mut found = Vec::new();
    // Modules written inside the file: the depth of braces at which each ends.
    let (mut depth, mut inner) = (0usize, Vec::new());
    for (at, (token, line)) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |at| tokens[at].0);
        let mut add = |to: &str, line: usize| {
            if to != room && rooms.contains(to) {
                found.push(Arrow { from: room.into(), to: to.into(), file: file.into(), line });
            }
        };
        match *token {
            "{" => {
                depth += 1;
                if at >= 2 && tokens[at - 2].0 == "mod" {
                    inner.push(depth);
                }
            }
            "}" => {
                if inner.last() == Some(&depth) {
                    inner.pop();
                }
                depth = depth.saturating_sub(1);
            }
            "crate" => heads(0, &tokens[at + 1..]).into_iter().for_each(|(name, line)| add(name, line)),
            // Those within a group are followed from where its path begins.
            "super" | "self" if before != "::" => {
                let below = path.len() + inner.len();
                named(below, &tokens[at..]).into_iter().for_each(|(name, line)| add(name, line));
            }
            name if before != "::" => {
                if let Some((_, to)) = CRATES.iter().find(|(crate_name, _)| *crate_name == name) {
                    add(to, *line);
                }
            }
            _ => {}
        }
    }
    found
}

/// Every `.rs` file below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `src/exec/store.rs` is `[exec, store]`, `src/exec/mod.rs` and `src/exec.rs` are `[exec]`.
fn module_path(file: &Path, root: &Path) -> Vec<String> {
    let relative = file.strip_prefix(root).unwrap().with_extension("");
    let mut path: Vec<String> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn table() -> Table {
    Table::read(&std::fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap())
}

/// All arrows of the repository.
fn all_arrows(table: &Table) -> Vec<Arrow> {
    let rooms: BTreeSet<&str> = table.0.iter().map(|(room, _)| &**room).collect();
    let root = repository().join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut found = Vec::new();
    for file in files {
        let path = module_path(&file, &root);
        // What stands beside the rooms, `lib.rs` and `main.rs`, may use all of them.
        let Some(room) = path.first().filter(|room| rooms.contains(room.as_str())) else {
            assert!(path.len() == 1, "{} stands in a room that ARCHITECTURE.md does not name", file.display());
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap();
        found.extend(arrows(&text, file.strip_prefix(repository()).unwrap(), &path, room, &rooms));
    }
    found
}

#[test]
fn no_room_uses_what_lies_further_down_the_street() {
    let table = table();
    assert!(table.0.len() > 10, "the table of rooms in ARCHITECTURE.md was not found");
    let wrong: Vec<String> = all_arrows(&table)
        .iter()
        .filter(|arrow| !table.may_use(&arrow.from, &arrow.to))
        .map(Arrow::to_string)
        .collect();
    assert!(wrong.is_empty(), "ARCHITECTURE.md does not allow\n{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_circle_and_allows_nothing_that_nobody_needs() {
    let table = table();
    assert_eq!(table.upward(), Vec::<String>::new());
    let mut taken: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let arrows = all_arrows(&table);
    for arrow in &arrows {
        taken.entry(&arrow.from).or_default().insert(arrow.to.clone());
    }
    for (room, uses) in &table.0 {
        let taken = taken.remove(room.as_str()).unwrap_or_default();
        let idle: Vec<&String> = uses.difference(&taken).collect();
        assert!(idle.is_empty(), "`{room}` uses none of {idle:?}");
    }
}

#[test]
fn only_loops_ask_for_derivatives_among_the_ops() {
    let arrows = all_arrows(&table());
    let wrong = arrows.iter().filter(|arrow| arrow.from == "ops" && arrow.to == "autodiff");
    let wrong: Vec<String> =
        wrong.filter(|arrow| !arrow.file.starts_with("src/ops/scan")).map(Arrow::to_string).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each way of writing an arrow, planted in a file of `ops`, is seen; what only looks like one is not.
#[test]
fn a_planted_arrow_is_caught() {
    let rooms = BTreeSet::from(["diag", "ir", "ops", "passes", "exec", "train", "kernels"]);
    let lines = |text: &str, path: &[&str]| -> Vec<(String, usize)> {
        let path: Vec<String> = path.iter().map(|part| part.to_string()).collect();
        arrows(text, Path::new("src/ops/x.rs"), &path, "ops", &rooms)
            .into_iter()
            .map(|arrow| (arrow.to, arrow.line))
            .collect()
    };
    let of = |names: &[(&str, usize)]| -> Vec<(String, usize)> {
        names.iter().map(|(name, line)| (name.to_string(), *line)).collect()
    };
    let file = &["ops", "x"];
    assert_eq!(lines("use crate::passes::bind;", file), of(&[("passes", 1)]));
    assert_eq!(lines("\n\nfn f() { crate::exec::run(); }", file), of(&[("exec", 3)]));
    assert_eq!(
        lines("use crate::{diag::Span,\n train::{Trainer, exec}, ops::Add};", file),
        of(&[("diag", 1), ("train", 2)])
    );
    assert_eq!(lines("use super::super::passes::bind;", file), of(&[("passes", 1)]));
    assert_eq!(lines("use super::{super::passes::bind, Op};", file), of(&[("passes", 1)]));
    assert_eq!(lines("use super::{Op, super::{exec::Store, train}};", file), of(&[("exec", 1), ("train", 1)]));
    assert_eq!(lines("use self::super::{super::exec};", file), of(&[("exec", 1)]));
    assert_eq!(lines("fn f() { super::super::exec::run(); }", file), of(&[("exec", 1)]));
    assert_eq!(lines("mod tests {\n use super::super::super::exec::Store; }", file), of(&[("exec", 2)]));
    assert_eq!(lines("mod tests {} use super::super::exec::Store;", file), of(&[("exec", 1)]));
    assert_eq!(lines("use super::{exec, ops::Add};", &["ops"]), of(&[("exec", 1)]));
    assert_eq!(lines("use anabranch_kernels::Pool;", file), of(&[("kernels", 1)]));
    assert_eq!(lines("fn f<'a>(x: &'a str) -> char { '\"' } use crate::exec::Store;", file), of(&[("exec", 1)]));
    for innocent in [
        "// use crate::passes::bind;",
        "/// [`crate::exec::run`]",
        "const T: &str = \"crate::passes \\\" crate::exec\";",
        "const T: &str = r#\"crate::passes\"#;",
        "use super::exec::Store;",
        "use super::{exec::Store, add::{super::exec}};",
        "use self::exec::Store;",
        "use crate::ops::Add;",
        "use other_crate::passes;",
    ] {
        assert_eq!(lines(innocent, file), of(&[]), "{innocent}");
    }
}

#[test]
fn a_table_that_runs_up_is_caught() {
    let table = Table::read(
        "| room | its one job | may use |\n|---|---|---|\n\
         | `src/diag` | says | |\n| `src/ir` | holds | `diag` `ops` |\n| `src/ops` | computes | `ir` |\n\
         | `src/passes` | rewrites | `ir` `exec` |\n| `src/exec` | runs | `passes` |\n",
    );
    assert!(table.may_use("exec", "passes") && !table.may_use("diag", "ir"));
    assert_eq!(table.upward(), ["passes → exec"]);
}
