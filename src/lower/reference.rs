//! What the standard library offers, as data: for `anabranch std`, docs/std.md and editors.

use super::counterparts;
use super::library::{Library, STANDARD_LIBRARY};
use super::{builtins, signature};
use crate::syntax::ast::StatementKind;
use std::cmp::Reverse;
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

/// What can be said of a combiner that does not depend on the losses.
///
/// Permutation-equivariant: the order of the losses does not matter. Scale-invariant: a loss that is multiplied leaves the way of the
/// direction as it is. Non-conflicting: no loss rises along the direction, to first order. Strongly stationary: it stands still only
/// where a sum of all gradients with positive weights is 0. Accumulation-invariant: a batch's direction is the mean of those of its parts.
pub const LAWS: [&str; 5] =
    ["permutation-equivariant", "scale-invariant", "non-conflicting", "strongly-stationary", "accumulation-invariant"];

/// The laws that a combiner's description says hold: its line `Laws: …`, which the tests hold against what it does.
pub fn laws_of(entry: &Entry) -> impl Iterator<Item = &str> {
    let line = entry.doc.lines().find_map(|line| line.strip_prefix("Laws: "));
    line.into_iter().flat_map(|line| line.trim_end_matches('.').split(", ")).filter(|law| *law != "none")
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

/// What a name of another library, of a function or of an argument, is called here; `None` where it is not known.
pub fn counterpart_help(entries: &[Entry], name: &str) -> Option<String> {
    let names: Vec<&str> = entries.iter().map(|entry| &*entry.name).collect();
    if let Some(name) = counterparts::function_named(name, &names) {
        let entry = entries.iter().find(|entry| *entry.name == *name)?;
        return Some(format!("here it is `{}`", entry.signature));
    }
    if let Some(sentence) = counterparts::sentence(name) {
        return Some(sentence.into());
    }
    let has = |entry: &&Entry, argument: &str| argument_names(&entry.signature).any(|name| name == argument);
    let argument =
        counterparts::arguments_named(name).find(|argument| entries.iter().any(|entry| has(&entry, argument)))?;
    // A function of the library's own says less than what a spec calls, and one of many of its kind more than one of a few.
    let called: Vec<&Entry> = entries.iter().filter(|entry| has(entry, argument)).collect();
    let count = |kind: &str| called.iter().filter(|entry| entry.kind == kind).count();
    let rank = |entry: &Entry| (matches!(entry.kind, "fn" | "built-in"), Reverse(count(entry.kind)));
    let entry = called.iter().min_by_key(|entry| rank(entry))?;
    Some(format!("an argument that is called `{argument}` here, as of `{}`", entry.name))
}

/// The names of the parameters in a signature.
fn argument_names(signature: &str) -> impl Iterator<Item = &str> {
    let inner = signature.split_once('(').map_or("", |(_, rest)| rest);
    inner.split(", ").map(|parameter| parameter.split([':', '=', '?', ')', '.']).next().unwrap_or_default())
}
