//! From a spec to a model.

use super::error::{Error, Finding};
#[cfg(feature = "files")]
use super::files;
use super::flow::Flow;
use super::session::{Session, SessionOptions};
use super::stage::Stage;
use super::summary::{json_text, summary_of, table_text};
use crate::analyse::model_svg;
use crate::diag::{Diagnostics, SourceId, SourceMap};
use crate::ir::{self, Graph, Role, TensorType};
use crate::lower::{Options, Setting};
use crate::pipeline::{Compiled, compile_with};
use indexmap::IndexMap;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a spec is compiled: constants that are set, lints that are errors, files that it uses.
///
/// ```
/// use anabranch::Compiler;
///
/// let spec = "
///     const width = 4
///     input x: f32[batch, 2]
///     output y = x |> dense(units=width)";
/// let model = Compiler::new().set("width", 8).compile(spec)?;
/// assert_eq!(model.outputs()[0].to_string(), "y: f32[batch, 8]");
/// # Ok::<(), anabranch::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Compiler {
    options: Options,
    files: IndexMap<String, String>,
    name: Option<String>,
}

impl Compiler {
    /// Compiles as [`Model::compile`] does.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a `const` of the spec.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<Setting>) -> Self {
        self.options.overrides.insert(name.into(), value.into());
        self
    }

    /// Makes a lint an error, by its name or code.
    #[must_use]
    pub fn deny(mut self, lint: impl Into<String>) -> Self {
        self.options.deny.push(lint.into());
        self
    }

    /// Gives a text that the spec may name by `use "PATH"`.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>, text: impl Into<String>) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }

    /// The name that messages give the spec's text; `spec.anb` unless said.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Compiles the text of a spec.
    ///
    /// # Errors
    /// What is wrong with the spec.
    pub fn compile(&self, text: &str) -> Result<Model, Error> {
        let mut sources = SourceMap::default();
        let name = self.name.as_deref().unwrap_or("spec.anb");
        let spec = sources.add(name, text);
        let given = |path: &str| self.files.get(path).cloned();
        let read = |path: &str| {
            given(path).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such text was given to the compiler"))
        };
        self.finish(sources, (spec, name.as_ref()), &read)
    }

    /// Compiles a spec from a file. What it uses is read from files beside it, where no text was given.
    ///
    /// # Errors
    /// E0601 when the file cannot be read; what is wrong with the spec.
    #[cfg(feature = "files")]
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Model, Error> {
        let mut sources = SourceMap::default();
        let spec = match files::read_text(&mut sources, path.as_ref(), None) {
            Ok(spec) => spec,
            Err(findings) => return Err(Error::new(findings, &Arc::new(sources))),
        };
        let read = |path: &str| self.files.get(path).cloned().map_or_else(|| files::read_used(path), Ok);
        self.finish(sources, (spec, path.as_ref()), &read)
    }

    /// A compiler by options that a run config gives.
    #[cfg(feature = "files")]
    pub(super) fn of(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// Compiles a text that was read; the spec has a place by which the files that it uses are known.
    pub(super) fn finish(
        &self,
        mut sources: SourceMap,
        (spec, path): (SourceId, &Path),
        read: &dyn Fn(&str) -> io::Result<String>,
    ) -> Result<Model, Error> {
        let texts = RefCell::new(vec![(path.to_path_buf(), Arc::clone(&sources.file(spec).text))]);
        let read = |path: &str| {
            let text = read(path)?;
            texts.borrow_mut().push((path.into(), text.as_str().into()));
            Ok(text)
        };
        let compiled = compile_with(&mut sources, spec, &self.options, &read);
        let (sources, texts) = (Arc::new(sources), texts.into_inner());
        match compiled {
            Ok(compiled) => Ok(Model {
                compiled: Arc::new(compiled),
                sources,
                spec,
                texts: texts.into(),
                options: self.options.clone(),
            }),
            Err(findings) => Err(Error::new(findings, &sources)),
        }
    }
}

/// A compiled spec: which part predicts and which part only trains, every shape, every derivative.
///
/// Cheap to clone, and never changed: what is trained is a [`Session`].
#[derive(Clone)]
pub struct Model {
    pub(super) compiled: Arc<Compiled>,
    pub(super) sources: Arc<SourceMap>,
    pub(super) spec: SourceId,
    /// of the spec and of what it uses, by the paths that these were read by
    pub(super) texts: Arc<[(PathBuf, Arc<str>)]>,
    pub(super) options: Options,
}

/// An input, target, output or param by its name and type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Signature {
    /// as the spec says it
    pub name: String,
    /// the element type and shape, such as `f32[batch, 3]`
    pub ty: String,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.ty)
    }
}

fn signature(name: &str, ty: &TensorType, is_optional: bool) -> Signature {
    Signature { name: name.to_string(), ty: format!("{ty}{}", if is_optional { "?" } else { "" }) }
}

impl Model {
    /// Compiles the text of a spec that uses no other files. [`Compiler`] does so in other ways.
    ///
    /// # Errors
    /// What is wrong with the spec.
    pub fn compile(text: &str) -> Result<Self, Error> {
        Compiler::new().compile(text)
    }

    /// Compiles a spec from a file, and the files that it uses.
    ///
    /// # Errors
    /// E0601 when the file cannot be read; what is wrong with the spec.
    #[cfg(feature = "files")]
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Compiler::new().open(path)
    }

    /// A session in f32 with the model's first params.
    ///
    /// # Errors
    /// E0702 when they do not fit in memory.
    pub fn session(&self) -> Result<Session, Error> {
        Session::new(self, &SessionOptions::default())
    }

    /// A session with other options: precision, seed, threads.
    ///
    /// # Errors
    /// E0702 when the params do not fit in memory, E0701 when there are far more threads than cores.
    pub fn session_with(&self, options: &SessionOptions) -> Result<Session, Error> {
        Session::new(self, options)
    }

    /// Warnings and notes about the spec.
    pub fn warnings(&self) -> impl ExactSizeIterator<Item = Finding<'_>> {
        self.compiled.findings.iter().map(|diagnostic| Finding { diagnostic, sources: &self.sources })
    }

    /// The inputs, which a prediction needs.
    #[must_use]
    pub fn inputs(&self) -> Vec<Signature> {
        let inputs = &self.compiled.module.inputs;
        inputs.iter().map(|(name, info)| signature(name, &info.ty, info.optional)).collect()
    }

    /// The targets, which training needs beside the inputs. A type that ends in `?` may be missing in some samples.
    #[must_use]
    pub fn targets(&self) -> Vec<Signature> {
        let targets = &self.compiled.module.targets;
        targets.iter().map(|(name, info)| signature(name, &info.ty, info.optional)).collect()
    }

    /// What a prediction gives.
    #[must_use]
    pub fn outputs(&self) -> Vec<Signature> {
        let predict = &self.compiled.predict;
        predict.outputs.iter().map(|output| signature(&output.name, predict.ty(output.node), false)).collect()
    }

    /// The trained params.
    #[must_use]
    pub fn params(&self) -> Vec<Signature> {
        self.compiled.module.params.iter().map(|(name, info)| signature(name, &info.ty, false)).collect()
    }

    /// The names of the losses.
    #[must_use]
    pub fn losses(&self) -> Vec<String> {
        self.of_role(Role::Loss)
    }

    /// The names of the metrics.
    #[must_use]
    pub fn metrics(&self) -> Vec<String> {
        self.of_role(Role::Metric)
    }

    fn of_role(&self, role: Role) -> Vec<String> {
        let outputs = self.compiled.module.graph.outputs.iter().filter(|output| output.role == role);
        outputs.map(|output| output.name.to_string()).collect()
    }

    /// The prediction program as text.
    #[must_use]
    pub fn predict_text(&self) -> String {
        self.text(&self.compiled.simplified.predict, "predict")
    }

    /// The training step as text, its derivatives written out.
    #[must_use]
    pub fn train_text(&self) -> String {
        self.text(&self.compiled.simplified.train, "train")
    }

    /// A stage of the compilation as text, by the name that `anabranch compile --emit` has for it: see [`Stage`]. `sizes` are those
    /// of run-time dims, for a plan; `batch` is 32 unless given.
    ///
    /// ```
    /// let model = anabranch::Model::compile("input x: f32[batch, 2]\noutput y = 2 * x")?;
    /// assert!(model.stage("ir", &[])?.contains("input x"));
    /// let error = model.stage("trian", &[]).unwrap_err();
    /// assert!(error.to_string().contains("did you mean `train`?"));
    /// # Ok::<(), anabranch::Error>(())
    /// ```
    ///
    /// # Errors
    /// E0602 for another name, E0305 for a plan without the size of a dim, E0702 for one that fits in no memory.
    pub fn stage(&self, name: &str, sizes: &[(String, usize)]) -> Result<String, Error> {
        let parts = Stage::named(name).map_err(Diagnostics::from);
        let parts = parts.and_then(|stage| stage.parts(&self.compiled, &self.spec_hash(), sizes));
        let texts = parts.map_err(|findings| self.error(findings))?.into_iter().map(|(_, text)| text);
        Ok(texts.collect::<Vec<_>>().join("\n"))
    }

    #[cfg(feature = "files")]
    fn spec_hash(&self) -> String {
        self.spec_texts().hash()
    }

    /// Without the means to write files there are none to hash.
    #[cfg(not(feature = "files"))]
    fn spec_hash(&self) -> String {
        String::new()
    }

    /// Which loss trains which param, as a table.
    #[must_use]
    pub fn flow(&self) -> Flow {
        Flow::of(&self.compiled.module)
    }

    /// What the spec declares, its layers and what its losses train: a table for people.
    #[must_use]
    pub fn summary(&self) -> String {
        table_text(&self.compiled, &summary_of(&self.compiled, usize::MAX))
    }

    /// The summary as JSON.
    #[must_use]
    pub fn summary_json(&self) -> String {
        json_text(&summary_of(&self.compiled, usize::MAX))
    }

    /// The model as a drawing: layers, losses, the ways of gradients and where they stop.
    #[must_use]
    pub fn to_svg(&self) -> String {
        model_svg(&self.compiled.module)
    }

    fn text(&self, graph: &Graph, title: &str) -> String {
        self.compiled.derivative_notes() + &ir::print(graph, title)
    }

    /// The text of the spec.
    #[must_use]
    pub fn spec(&self) -> &str {
        &self.sources.file(self.spec).text
    }

    /// The constants that were set.
    pub fn settings(&self) -> impl ExactSizeIterator<Item = (&str, &Setting)> {
        self.options.overrides.iter().map(|(name, setting)| (name.as_str(), setting))
    }

    /// The texts that it was compiled from, by the paths that they were read by: the spec's own, then those that it uses.
    pub fn texts(&self) -> impl ExactSizeIterator<Item = (&Path, &str)> {
        self.texts.iter().map(|(path, text)| (&**path, &**text))
    }

    pub(super) fn error(&self, findings: impl Into<Diagnostics>) -> Error {
        Error::new(findings, &self.sources)
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("spec", &self.sources.file(self.spec).name).finish_non_exhaustive()
    }
}

/// A `const` is set to numbers, truth values and texts.
macro_rules! settings {
    ($($type:ty: |$value:ident| $setting:expr;)*) => {$(
        impl From<$type> for Setting {
            fn from($value: $type) -> Self {
                $setting
            }
        }
    )*};
}

settings! {
    i32: |value| Self::Number(value.into());
    u32: |value| Self::Number(value.into());
    usize: |value| Self::Number(value as f64);
    bool: |value| Self::Bool(value);
    &str: |value| Self::Text(value.to_string());
    String: |value| Self::Text(value);
}
