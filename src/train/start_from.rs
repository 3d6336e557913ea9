//! Params and states of another run or of a file, under the names that a program has.
//!
//! Each tensor is named anew (prefix, map, the names of another framework) and its axes are put in the order that the program
//! has. A tensor of another shape is an error; one that the program does not have is left out, and told of.
//!
//! A file that a run wrote tells params and states apart by `param/` and `state/`. Of its states those are taken that the model is
//! used with, such as the moving means of a batch norm; those of optimizers fit the step that they were saved at, so they come
//! with that step and only when they are asked for.

use super::folder::params_of;
use super::layout::{Layout, turned, turned_shape};
use super::start::Start;
use crate::data::params::{self, NamedTensors, ParamsSource, Tensor};
use crate::data::{Numbers, listed, shape_text};
use crate::diag::{Diagnostic, Diagnostics};
use crate::exec::{Entry, Store, StoreKind, Values};
use crate::ir::DType;
use crate::lower::glob;
use crate::ops::Element;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What a run begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartSource {
    /// A file of tensors or the folder of a run. `names` may name what lies below a path: `{ encoder: trunk }`.
    pub file: ParamsSource,
    /// Whether that is said to be the folder of a run.
    pub is_run: bool,
    /// Patterns of what is taken, by the program's names; all when there are none.
    pub only: Vec<String>,
    /// Whether to take all states and the step, or no state. Those that the model is used with are taken unless said.
    pub states: Option<bool>,
    pub layout: Layout,
}

impl From<ParamsSource> for StartSource {
    fn from(file: ParamsSource) -> Self {
        Self { file, ..Self::default() }
    }
}

/// A store that begins as a file says.
pub(super) struct Started<T> {
    pub store: Store<T>,
    /// training steps and epochs that led to it, where all states were taken
    pub clock: Option<(u64, u32)>,
    pub start: Start,
}

/// Where a tensor goes.
enum Goes<'s, T> {
    To(&'s Entry<T>),
    Out(&'static str),
}

impl StartSource {
    /// The file that is read.
    pub fn path(&self) -> PathBuf {
        if self.is_run || self.file.path.is_dir() { params_of(&self.file.path) } else { self.file.path.clone() }
    }

    /// Puts the tensors of the file in the place of a store's values. `of_model` are the states that the model is used with.
    ///
    /// # Errors
    /// E0601 when the file cannot be read; E0606 for shapes that differ, values that are not finite, names of the map that the program
    /// does not have, and when nothing of the file fits.
    pub(super) fn read<T: Element>(
        &self,
        store: &Store<T>,
        of_model: &BTreeSet<Arc<str>>,
    ) -> Result<Started<T>, Diagnostics> {
        let plain = ParamsSource { path: self.path(), span: self.file.span, ..ParamsSource::default() };
        let NamedTensors { tensors, metadata } = params::read(&plain)?;
        let naming = Naming::of(self, &tensors);
        let mut findings = naming.unknown_names(store);
        let mut start = Start { source: format!("`{}`", plain.path.display()), ..Start::default() };
        let mut next = store.clone();
        for (key, tensor) in &tensors {
            let entry = match self.goes(&naming, key, store, of_model) {
                Goes::To(entry) => entry,
                Goes::Out(reason) => {
                    start.left_out.push((key.clone(), reason));
                    continue;
                }
            };
            let path = path_of(entry);
            if start.loaded.contains(&path) {
                findings.push(plain.mistake(format!("two tensors of `{}` are for `{path}`", plain.path.display())));
                continue;
            }
            match self.values(&plain, key, tensor, entry) {
                Ok(values) => next.set(entry.kind(), entry.name(), values)?,
                Err(finding) => findings.push(finding),
            }
            start.loaded.push(path);
        }
        let wanted = |entry: &&Entry<T>| entry.kind() == StoreKind::Param || of_model.contains(entry.name());
        let is_new = |path: &String| !start.loaded.contains(path);
        start.new = store.entries().filter(wanted).map(path_of).filter(is_new).collect();
        if start.loaded.is_empty() && findings.is_empty() {
            findings.push(nothing_fits(&plain, &tensors, store));
        }
        if !findings.is_empty() {
            return Err(Diagnostics(findings));
        }
        let count = |key: &str| metadata.get(key).and_then(|text| text.parse().ok()).unwrap_or(0);
        let clock = || (count("steps"), u32::try_from(count("epochs")).unwrap_or(u32::MAX));
        Ok(Started { store: next, clock: (self.states == Some(true)).then(clock), start })
    }

    fn goes<'s, T: Element>(
        &self,
        naming: &Naming<'_>,
        key: &str,
        store: &'s Store<T>,
        of_model: &BTreeSet<Arc<str>>,
    ) -> Goes<'s, T> {
        let Some((kind, name)) = naming.name(key) else { return Goes::Out("not under the prefix") };
        let of_kind = |entry: &&Entry<T>| kind.is_none_or(|kind| entry.kind() == kind);
        let candidates = self.layout.candidates(&name);
        let mut entries =
            candidates.iter().flat_map(|name| store.entries().filter(move |entry| **entry.name() == **name));
        let Some(entry) = entries.find(of_kind) else {
            return Goes::Out(match kind {
                Some(StoreKind::State) => "states that the spec does not have",
                _ => "not in the spec",
            });
        };
        if !self.only.is_empty() && !self.only.iter().any(|pattern| glob(pattern, entry.name())) {
            return Goes::Out("not named by `only`");
        }
        let is_taken = match (entry.kind(), self.states) {
            (StoreKind::Param, _) => true,
            (StoreKind::State, states) => states.unwrap_or_else(|| of_model.contains(entry.name())),
        };
        if is_taken { Goes::To(entry) } else { Goes::Out("states of the training, which `states: true` takes") }
    }

    /// The values of a tensor as the store has them.
    fn values<T: Element>(
        &self,
        source: &ParamsSource,
        key: &str,
        tensor: &Tensor,
        entry: &Entry<T>,
    ) -> Result<Values<T>, Diagnostic> {
        let turned = self.layout.turns(entry.name()).then(|| turned(tensor, entry.shape())).flatten();
        let tensor = turned.as_ref().unwrap_or(tensor);
        if tensor.shape != entry.shape() {
            let finding = source
                .mistake(format!("`{key}` in `{}` has another shape than `{}`", source.path.display(), entry.name()))
                .with_note(format!("found: {}", shape_text(&tensor.shape)))
                .with_note(format!("expected: {}", shape_text(entry.shape())));
            let is_turned = || self.layout == Layout::Own && turned_shape(&tensor.shape) == entry.shape();
            return Err(match is_turned() {
                true => finding.with_help("weights of PyTorch have other axes first: say `layout: pytorch`"),
                false => finding.with_help("leave it out: `only: PATTERN` says what is taken"),
            });
        }
        let values = match (entry.dtype(), &tensor.values) {
            (DType::I32 | DType::Bool, Numbers::I32(given)) => Values::Int(given.clone()),
            (DType::F32, given) => Values::Float((0..given.len()).map(|at| T::of(given.get(at))).collect()),
            (DType::I32 | DType::Bool, given) => {
                return Err(source
                    .mistake(format!("`{key}` in `{}` is of another type", source.path.display()))
                    .with_note(format!("found: {}", given.type_name()))
                    .with_note("expected: i32"));
            }
        };
        // A state may begin at infinity, as the least value so far does.
        let is_fine = |value: &T| value.is_finite() || (entry.kind() == StoreKind::State && !value.is_nan());
        let floats = values.floats();
        let wrong: Vec<usize> = (0..floats.len()).filter(|at| !is_fine(&floats[*at])).collect();
        match source.not_finite(key, tensor, &wrong) {
            None => Ok(values),
            Some(finding) => Err(finding),
        }
    }
}

fn path_of<T>(entry: &Entry<T>) -> String {
    match entry.kind() {
        StoreKind::Param => entry.name().to_string(),
        StoreKind::State => format!("{} (a state)", entry.name()),
    }
}

fn nothing_fits<T: Element>(
    source: &ParamsSource,
    tensors: &indexmap::IndexMap<String, Tensor>,
    store: &Store<T>,
) -> Diagnostic {
    let params = store.entries().filter(|entry| entry.kind() == StoreKind::Param);
    source
        .mistake(format!("nothing in `{}` has the name of a param of the spec", source.path.display()))
        .with_note(format!("found: {}", listed(tensors.keys())))
        .with_note(format!("expected: one of {}", listed(params.map(|entry| entry.name().to_string()))))
        .with_help("say what is what: `map: { name_in_file: name.in.program }`, or `prefix`")
}

/// How the names of a file become those of a program.
struct Naming<'n> {
    source: &'n StartSource,
    /// whether names say `param/` or `state/`
    is_of_run: bool,
}

impl<'n> Naming<'n> {
    fn of(source: &'n StartSource, tensors: &indexmap::IndexMap<String, Tensor>) -> Self {
        let prefix = source.file.prefix.as_deref().unwrap_or("param/");
        Self { source, is_of_run: prefix == "param/" && tensors.keys().any(|key| key.starts_with("param/")) }
    }

    /// The name in the program, and what kind of value it is where the file says so; none for what is not under the prefix.
    fn name(&self, key: &str) -> Option<(Option<StoreKind>, String)> {
        let (kind, name) = if self.is_of_run {
            match (key.strip_prefix("param/"), key.strip_prefix("state/")) {
                (Some(name), _) => (Some(StoreKind::Param), name),
                (_, Some(name)) => (Some(StoreKind::State), name),
                (None, None) => return None,
            }
        } else {
            (None, key.strip_prefix(self.source.file.prefix.as_deref().unwrap_or_default())?)
        };
        Some((kind, self.mapped(self.source.layout.path(name))))
    }

    /// What the map makes of a name: by the longest path that is it or above it.
    fn mapped(&self, name: String) -> String {
        let above = |from: &str| name.strip_prefix(from).filter(|rest| rest.is_empty() || rest.starts_with('.'));
        let fitting = self.source.file.names.iter().filter_map(|(from, to)| Some((from, to, above(from)?)));
        match fitting.max_by_key(|(from, ..)| from.len()) {
            Some((_, to, rest)) => format!("{to}{rest}"),
            None => name,
        }
    }

    /// What the map names and the program does not have.
    fn unknown_names<T: Element>(&self, store: &Store<T>) -> Vec<Diagnostic> {
        let file = &self.source.file;
        let known = || store.entries().map(|entry| &**entry.name());
        let is_known = |to: &str| self.source.layout.candidates(to).iter().any(|to| known().any(|name| glob(to, name)));
        let unknown = file.names.iter().filter(|(_, to)| !is_known(to));
        unknown
            .map(|(from, to)| {
                file.mistake(format!("`{from}` is to be `{to}`, which the spec does not have"))
                    .with_note(format!("expected: a param of the spec, or a path above some: {}", listed(known())))
                    .with_suggestion(to, known())
            })
            .collect()
    }
}
