//! A spec with the files it names by `use`: all their trees, each once.
//!
//! Takes a source and a reader of files, since nothing below the command line opens one; gives the spec's tree and those of
//! the used files, files before their users. A path is relative to the file that names it. Each `use` that cannot be
//! followed is an E0407 at its path.

use super::{MAXIMUM_ERRORS, MAXIMUM_TEXT, ast, parse};
use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, SourceMap, Span};

/// Reads a file of definitions by its path.
pub type Reader<'r> = &'r dyn Fn(&str) -> std::io::Result<String>;

/// More files than a person keeps track of.
const MAX_FILES: usize = 200;

/// A spec and the files it uses.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub spec: ast::File,
    /// in an order in which no file stands before one that it uses
    pub used: Vec<ast::File>,
}

/// Reads a spec and what it uses.
///
/// # Errors
/// The syntax errors of any of the texts; E0407 for a file that cannot be read or that uses itself.
pub fn load(sources: &mut SourceMap, spec: SourceId, read: Reader<'_>) -> Result<Loaded, Diagnostics> {
    let n_bytes = sources.file(spec).text.len();
    let mut loader =
        Loader { sources, read, used: Vec::new(), done: Vec::new(), chain: Vec::new(), n_bytes, findings: Vec::new() };
    let tree = loader.file(spec);
    match tree {
        Some(spec) if loader.findings.is_empty() => Ok(Loaded { spec, used: loader.used }),
        _ => Err(Diagnostics(loader.findings)),
    }
}

struct Loader<'s> {
    sources: &'s mut SourceMap,
    read: Reader<'s>,
    used: Vec<ast::File>,
    /// paths that were read
    done: Vec<String>,
    /// paths being read, outermost first
    chain: Vec<String>,
    /// bytes read, the spec's own included
    n_bytes: usize,
    findings: Vec<Diagnostic>,
}

impl Loader<'_> {
    /// Parses a text and follows its `use`s; `None` when the text is broken.
    fn file(&mut self, source: SourceId) -> Option<ast::File> {
        let name = normalize(&self.sources.file(source).name);
        let (tree, findings) = parse(self.sources, source);
        let broken = findings.iter().any(Diagnostic::is_error);
        self.findings.extend(findings.into_iter().filter(Diagnostic::is_error));
        if broken {
            return None;
        }
        self.chain.push(name.clone());
        for statement in &tree.statements {
            if let ast::StatementKind::Use { path, path_span } = &statement.kind
                && self.findings.len() < MAXIMUM_ERRORS
            {
                self.follow(&name, path, *path_span);
            }
        }
        self.chain.pop();
        Some(tree)
    }

    fn follow(&mut self, user: &str, path: &str, span: Span) {
        let path = beside(user, path);
        if let Some(at) = self.chain.iter().position(|name| *name == path) {
            let circle: Vec<&str> = self.chain[at..].iter().chain([&path]).map(String::as_str).collect();
            self.findings.push(
                Diagnostic::error(Code::E0407, format!("`{path}` uses itself"))
                    .at(span, "this closes the circle")
                    .with_note(circle.join(" → "))
                    .with_help("move what both files need into a third"),
            );
            return;
        }
        if self.done.contains(&path) {
            return;
        }
        if self.done.len() >= MAX_FILES {
            self.findings.push(
                Diagnostic::error(Code::E0701, format!("more than {MAX_FILES} files are used"))
                    .at(span, "one too many"),
            );
            return;
        }
        self.done.push(path.clone());
        match (self.read)(&path) {
            Ok(text) if self.n_bytes + text.len() > MAXIMUM_TEXT => {
                self.findings.push(
                    Diagnostic::error(Code::E0103, "source text too large")
                        .at(span, "with this file")
                        .with_note(format!("a spec and what it uses are at most {MAXIMUM_TEXT} bytes together")),
                );
            }
            Ok(text) => {
                self.n_bytes += text.len();
                let source = self.sources.add(path, text);
                let tree = self.file(source);
                self.used.extend(tree);
            }
            Err(error) => self.findings.push(
                Diagnostic::error(Code::E0407, format!("cannot read `{path}`"))
                    .at(span, error.to_string())
                    .with_help("a path is relative to the file that names it"),
            ),
        }
    }
}

/// A path that stands in the file `user`, relative to that file's folder.
fn beside(user: &str, path: &str) -> String {
    let folder = user.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_absolute = path.starts_with('/') || folder.is_empty();
    normalize(&if is_absolute { path.to_string() } else { format!("{folder}/{path}") })
}

/// The path without `.` and, where a folder stands before it, `..`: two ways to name one file become one name.
fn normalize(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." if parts.last().is_some_and(|last| !last.is_empty() && *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn loaded(files: &[(&str, &str)]) -> Result<Vec<usize>, Vec<String>> {
        let files: BTreeMap<&str, &str> = files.iter().copied().collect();
        let mut sources = SourceMap::default();
        let spec = sources.add("specs/model.anb", files["specs/model.anb"]);
        let read = |path: &str| {
            let text = files.get(path).map(ToString::to_string);
            text.ok_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, "no such file"))
        };
        load(&mut sources, spec, &read)
            .map(|loaded| loaded.used.iter().map(|file| file.statements.len()).collect())
            .map_err(|errors| errors.0.into_iter().map(|error| error.headline).collect())
    }

    #[test]
    fn files_are_read_once_and_before_their_users() {
        let files = [
            ("specs/model.anb", "use \"blocks/a.anb\"\nuse \"blocks/../blocks/b.anb\""),
            ("specs/blocks/a.anb", "use \"./b.anb\"\nuse \"../../shared.anb\"\nconst a = 1"),
            ("specs/blocks/b.anb", "const b = 1"),
            ("shared.anb", "const c = 1\nconst d = 1"),
        ];
        assert_eq!(loaded(&files), Ok(vec![1, 2, 3]));
    }

    #[test]
    fn circles_and_missing_files_are_errors() {
        let circle = [("specs/model.anb", "use \"a.anb\""), ("specs/a.anb", "use \"model.anb\"\nuse \"b.anb\"")];
        let expected = ["`specs/model.anb` uses itself", "cannot read `specs/b.anb`"];
        assert_eq!(loaded(&circle), Err(expected.map(str::to_string).to_vec()));
    }
}
