//! A compiled spec as text, stage by stage.

use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::export;
use crate::ir::{self, BATCH, DimSizes, Graph};
use crate::pipeline::{self, Compiled};
use crate::syntax;

/// A form of a compiled spec that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// the syntax tree
    Ast,
    /// the lowered graph, derivatives not yet written out
    Ir,
    /// the prediction program, as sliced out
    Predict,
    /// the training step, with its derivatives
    Train,
    /// the programs that run
    Simplified,
    /// how the programs run at given sizes: order, fused groups, memory
    Plan,
    /// the programs that run, as YAML that reads back
    Yaml,
    /// the programs that run, as Graphviz drawings
    Dot,
    /// all programs and their interface, as JSON that reads back
    Json,
}

/// A file name and its text.
pub(crate) type StagePart = (&'static str, String);

impl Stage {
    /// All of them, in the order of the compiler.
    pub const ALL: [Self; 9] = [
        Self::Ast,
        Self::Ir,
        Self::Predict,
        Self::Train,
        Self::Simplified,
        Self::Plan,
        Self::Yaml,
        Self::Dot,
        Self::Json,
    ];

    /// As `anabranch compile --emit` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// What it shows, in a line.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Ast => ("ast", "the syntax tree"),
            Self::Ir => ("ir", "the lowered graph, derivatives not yet written out"),
            Self::Predict => ("predict", "the prediction program, as sliced out"),
            Self::Train => ("train", "the training step, with its derivatives"),
            Self::Simplified => ("simplified", "the programs that run"),
            Self::Plan => ("plan", "how the programs run at given sizes: order, fused groups, memory"),
            Self::Yaml => ("yaml", "the programs that run, as YAML that reads back"),
            Self::Dot => ("dot", "the programs that run, as Graphviz drawings"),
            Self::Json => ("json", "all programs and their interface, as JSON that reads back"),
        }
    }

    /// The stage of a name.
    ///
    /// # Errors
    /// E0602 for another name.
    pub(super) fn named(name: &str) -> Result<Self, Diagnostic> {
        let names = || Self::ALL.iter().map(|stage| stage.name());
        Self::ALL.into_iter().find(|stage| stage.name() == name).ok_or_else(|| {
            Diagnostic::error(Code::E0602, format!("no stage of a compilation is called `{name}`"))
                .with_note(format!("expected: one of {}", names().collect::<Vec<_>>().join(", ")))
                .with_suggestion(name, names())
        })
    }

    /// The texts of it, each with a name for its file. `sizes` are those of run-time dims, which a plan needs.
    ///
    /// # Errors
    /// E0305 for a plan without the size of a dim, and those of binding.
    pub(crate) fn parts(
        self,
        compiled: &Compiled,
        spec_hash: &str,
        sizes: &[(String, usize)],
    ) -> Result<Vec<StagePart>, Diagnostics> {
        let simplified = &compiled.simplified;
        // Where the derivatives of the spec stand, their directions are said.
        let noted = |graph: &Graph, title: &str| compiled.derivative_notes() + &ir::print(graph, title);
        Ok(match self {
            Self::Ast => vec![("ast.txt", syntax::print(&compiled.tree))],
            Self::Ir => vec![("ir.txt", noted(&compiled.module.graph, "ir"))],
            Self::Predict => vec![("predict.txt", ir::print(&compiled.predict, "predict"))],
            Self::Train => vec![("train.txt", noted(&compiled.train, "train"))],
            Self::Simplified => vec![
                ("simplified-init.txt", ir::print(&simplified.init, "init")),
                ("simplified-predict.txt", ir::print(&simplified.predict, "predict")),
                ("simplified-evaluate.txt", ir::print(&simplified.evaluate, "evaluate")),
                ("simplified-train.txt", noted(&simplified.train, "train")),
            ],
            Self::Plan => vec![
                ("predict.plan.txt", plan_text(&simplified.predict, "predict", sizes)?),
                ("train.plan.txt", plan_text(&simplified.train, "train", sizes)?),
            ],
            Self::Yaml => {
                let document = |graph: &Graph, title: &str| format!("# {title}\n---\n{}", export::yaml(graph));
                vec![
                    ("predict.yaml", document(&simplified.predict, "predict")),
                    ("train.yaml", document(&simplified.train, "train")),
                ]
            }
            Self::Dot => vec![
                ("predict.dot", export::dot(&simplified.predict, "predict")),
                ("train.dot", export::dot(&simplified.train, "train")),
            ],
            Self::Json => vec![("programs.json", export::Programs::of(compiled, spec_hash).to_json())],
        })
    }
}

/// The plan of a program.
fn plan_text(graph: &Graph, title: &str, sizes: &[(String, usize)]) -> Result<String, Diagnostics> {
    let mut known = DimSizes::from([(BATCH.into(), 32)]);
    known.extend(sizes.iter().map(|(name, extent)| (name.as_str().into(), *extent)));
    let unknown = graph.ids().flat_map(|id| graph.ty(id).shape.iter().flat_map(crate::ir::Dim::symbols));
    if let Some(name) = unknown.into_iter().find(|name| !known.contains_key(name)) {
        let finding = Diagnostic::error(Code::E0305, format!("a plan needs the size of `{name}`"))
            .with_help(format!("give one: `--size {name}=16`"));
        return Err(finding.into());
    }
    let bound = pipeline::bind(graph, &known)?;
    pipeline::plan(&bound);
    Ok(bound.plan_text(title))
}
