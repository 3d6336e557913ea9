//! The fields of a program: its inputs and targets, as data files must hold them, and the run-time sizes that data fixes.

use crate::data::{Dataset, FieldKind, FieldSpec, shape_text};
use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use crate::ir::{BATCH, DType, Dim, DimSizes, Graph, NodeId, TensorType};
use crate::lower::Module;
use crate::ops::{InputKind, Op};
use std::sync::Arc;

/// One input or target.
#[derive(Clone, Debug, PartialEq)]
struct DataField {
    kind: InputKind,
    name: Arc<str>,
    ty: TensorType,
    optional: bool,
    /// Whether the program says what stands for values that are missing.
    fills: bool,
    span: Option<Span>,
}

impl DataField {
    /// Whether there is a value for each row.
    fn has_rows(&self) -> bool {
        self.ty.shape.first().is_some_and(Dim::is_batch)
    }

    /// The shape of one value.
    fn value_shape(&self) -> &[Dim] {
        if self.has_rows() { self.ty.shape.get(1..).unwrap_or_default() } else { &self.ty.shape }
    }
}

/// The inputs and targets of a program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<DataField>);

impl Fields {
    /// The inputs and targets of a spec.
    pub fn of(module: &Module) -> Self {
        let mut fields = Self::default();
        for (kind, infos) in [(InputKind::Input, &module.inputs), (InputKind::Target, &module.targets)] {
            for (name, info) in infos {
                let (name, ty, span) = (name.clone(), info.ty.clone(), Some(info.span));
                fields.0.push(DataField { kind, name, ty, optional: info.optional, fills: info.fills, span });
            }
        }
        fields
    }

    /// Adds an input that no spec declares.
    pub fn add_input(&mut self, name: &str, ty: TensorType, fills: bool) {
        self.0.push(DataField { kind: InputKind::Input, name: name.into(), ty, optional: false, fills, span: None });
    }

    /// Adds a target that no spec declares.
    pub fn add_target(&mut self, name: &str, ty: TensorType, optional: bool) {
        self.0.push(DataField { kind: InputKind::Target, name: name.into(), ty, optional, fills: false, span: None });
    }

    /// Those that a program reads, or that alone bring a run-time size that it has.
    pub fn read_by(&self, graph: &Graph) -> Self {
        let symbols = |ty: &TensorType| ty.shape.iter().flat_map(Dim::symbols).collect::<Vec<_>>();
        let is_leaf = |field: &DataField, id: NodeId| {
            let is_of_kind = matches!(graph.op(id), Op::Input(leaf) if leaf.kind == field.kind);
            is_of_kind && graph.node(id).provenance.name == field.name
        };
        let mut is_read: Vec<bool> = self.0.iter().map(|field| graph.ids().any(|id| is_leaf(field, id))).collect();
        let sizes = graph.ids().flat_map(|id| symbols(graph.ty(id))).filter(|size| &**size != BATCH);
        for size in sizes {
            let brings = |at: &usize| symbols(&self.0[*at].ty).contains(&size);
            let bringing: Vec<usize> = (0..self.0.len()).filter(brings).collect();
            if let Some(first) = bringing.first().filter(|_| !bringing.iter().any(|at| is_read[*at])) {
                is_read[*first] = true;
            }
        }
        let read = self.0.iter().zip(is_read).filter(|(_, is_read)| *is_read);
        Self(read.map(|(field, _)| field.clone()).collect())
    }

    /// The inputs alone.
    pub fn inputs(&self) -> Self {
        Self(self.0.iter().filter(|field| field.kind == InputKind::Input).cloned().collect())
    }

    /// The names, in order.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|field| &*field.name).collect()
    }

    /// The fields whose values may be missing.
    pub fn optional(&self) -> impl Iterator<Item = Arc<str>> {
        self.0.iter().filter(|field| field.optional).map(|field| field.name.clone())
    }

    /// What a data file must hold for a run in a precision whose largest number is this.
    pub fn specs_within(&self, largest: f64) -> Vec<FieldSpec> {
        let mut specs = self.specs();
        specs.iter_mut().for_each(|spec| spec.largest = largest);
        specs
    }

    /// What a data file must hold for a run in f64.
    pub fn specs(&self) -> Vec<FieldSpec> {
        let spec = |field: &DataField| {
            let kind = match field.ty.dtype {
                DType::F32 => FieldKind::Float,
                DType::I32 => FieldKind::Int,
                DType::Bool => FieldKind::Bool,
            };
            let shape = field.value_shape().iter().map(Dim::as_known).collect();
            let (name, span, whole) = (field.name.to_string(), field.span, !field.has_rows());
            let optional = field.optional || field.fills;
            FieldSpec { name, shape, kind, optional, whole, largest: f64::MAX, span }
        };
        self.0.iter().map(spec).collect()
    }

    /// The sizes of the run-time dims other than `batch`, as the data fixes them. Fields that the data lacks are skipped.
    ///
    /// # Errors
    /// E0603 when two fields, or two places in one, ask for different sizes of one dim.
    pub fn sizes(&self, data: &Dataset) -> Result<DimSizes, Diagnostics> {
        let mut sizes = DimSizes::new();
        for field in &self.0 {
            let Some(values) = data.fields.get(&*field.name) else { continue };
            let shape = field.value_shape();
            for (dim, extent) in shape.iter().zip(&values.shape) {
                if let Some(symbol) = dim.as_symbol() {
                    sizes.entry(symbol.into()).or_insert(*extent);
                }
            }
        }
        for field in &self.0 {
            let Some(values) = data.fields.get(&*field.name) else { continue };
            let shape = field.value_shape();
            let asked: Vec<Option<usize>> = shape.iter().map(|dim| dim.evaluate(&sizes)).collect();
            if asked.len() != values.shape.len() || asked.iter().zip(&values.shape).any(|(a, b)| *a != Some(*b)) {
                return Err(disagreement(field, &values.shape, &sizes).into());
            }
        }
        Ok(sizes)
    }
}

fn placed(finding: Diagnostic, field: &DataField, label: &str) -> Diagnostic {
    match field.span {
        Some(span) => finding.at(span, label),
        None => finding,
    }
}

fn disagreement(field: &DataField, shape: &[usize], sizes: &DimSizes) -> Diagnostic {
    let known: Vec<String> = sizes.iter().map(|(name, extent)| format!("{name} = {extent}")).collect();
    let finding = Diagnostic::error(Code::E0603, format!("a row of `{}` does not fit {}", field.name, field.ty))
        .with_note(format!("found: {}", shape_text(shape)))
        .with_note(format!("expected: the sizes that the fields before it have, {}", known.join(", ")));
    placed(finding, field, "declared here")
}
