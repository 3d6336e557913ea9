//! What the standard library offers, as data: for `anabranch std`, docs/std.md and editors.

use super::library::{Library, STANDARD_LIBRARY};
use super::{builtins, signature};
use crate::syntax::ast::StatementKind;
use std::sync::Arc;

/// One definition of the library, or one built-in function.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub name: Arc<str>,
    /// `fn`, `layer`, `combiner`, `optimizer`, `initializer` or `built-in`
    pub kind: &'static str,
    /// `dense(x: f32[batch, ..., N], units: int, activation=identity)`
    pub signature: String,
    /// The comment above the definition, a line each.
    pub doc: String,
    /// The library's file, `std/layers.anb`; empty for what is built in.
    pub file: &'static str,
}

/// Everything a spec can call: the definitions of `library`, then the built-in functions.
pub fn library_index(library: &Library) -> Vec<Entry> {
    let files = library.files.iter().zip(STANDARD_LIBRARY);
    let definitions = files.flat_map(|(file, source)| {
        file.statements.iter().filter_map(|statement| match &statement.kind {
            StatementKind::Definition(definition) => Some(Entry {
                name: definition.name.name.clone(),
                kind: definition.kind.keyword(),
                signature: signature::call_text(definition),
                doc: statement.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n"),
                file: source.name,
            }),
            _ => None,
        })
    });
    let builtins = builtins::TABLE.iter().flat_map(|rows| rows.iter()).map(|builtin| Entry {
        name: builtin.name.into(),
        kind: "built-in",
        signature: format!("{}({})", builtin.name, builtin.parameters.join(", ")),
        doc: builtin.doc.to_string(),
        file: "",
    });
    definitions.chain(builtins).collect()
}
