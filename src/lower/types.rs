//! Written types: element type and extents.

use super::findings::Findings;
use super::scopes::UNUSED;
use super::value::{Frame, Value};
use super::{Lowered, Lowering, Reported};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{BATCH, DType, Dim, Shape, TensorType, element_count};
use crate::syntax::ast::{DimExpr, Expr, ExprKind, Ident, TypeExpr};

impl Lowering {
    /// A written type: element type and shape.
    pub(super) fn type_expr(&mut self, frame: &mut Frame, ty: &TypeExpr) -> Lowered<TensorType> {
        let dtype = self.findings.dtype(&ty.element)?;
        let mut shape: Shape = Vec::new();
        for dim in ty.dims.iter().flatten() {
            match dim {
                DimExpr::Rest(span) => {
                    return Err(self.findings.error(
                        Code::E0404,
                        *span,
                        "`...` stands in a definition's signature only",
                        "write the extents out",
                    ));
                }
                DimExpr::Expr(expr) => shape.push(self.dim_expr(frame, expr)?),
            }
        }
        if element_count(&shape).is_none() {
            return Err(self.findings.error(
                Code::E0701,
                ty.span,
                "this tensor has too many elements",
                "beyond the limits",
            ));
        }
        Ok(TensorType::new(dtype, shape))
    }

    /// An extent: a number, a `const`, or else the name of a run-time dim.
    fn dim_expr(&mut self, frame: &mut Frame, expr: &Expr) -> Lowered<Dim> {
        if let ExprKind::None = &expr.kind {
            return Err(self.findings.no_extent("none", expr.span));
        }
        if let ExprKind::Name(name) = &expr.kind {
            match self.scopes.find_extent(frame, name) {
                None if &**name == BATCH => return Ok(Dim::batch()),
                None if matches!(&**name, "None" | "null" | "nil" | UNUSED) => {
                    return Err(self.findings.no_extent(name, expr.span));
                }
                None => {
                    let span = self.findings.user_span(expr.span);
                    self.module.dims.entry(name.clone()).or_default().push(span);
                    return Ok(Dim::symbol(name));
                }
                Some(Value::Poison) => return Err(Reported),
                Some(_) => {}
            }
        }
        match self.expr(frame, expr)? {
            Value::Dim(dim) => Ok(dim),
            value => self.emit().count(&value, expr.span).map(Dim::known),
        }
    }
}

impl Findings {
    /// Other libraries write an extent that is known when the program runs so.
    fn no_extent(&mut self, found: &str, span: Span) -> Reported {
        self.report(
            Diagnostic::error(Code::E0404, format!("`{found}` is no extent"))
                .at(span, "expected a number or a name")
                .with_help(
                    "the first axis of data counts samples: `batch`; another extent that is known at run time gets a name of its own, such as `time`",
                ),
        )
    }

    /// The element type that a name stands for.
    pub(super) fn dtype(&mut self, element: &Ident) -> Lowered<DType> {
        match &*element.name {
            "f32" => Ok(DType::F32),
            "i32" => Ok(DType::I32),
            "bool" => Ok(DType::Bool),
            other => {
                let mut finding = Diagnostic::error(Code::E0302, format!("unknown element type `{other}`"))
                    .at(element.span, "expected `f32`, `i32` or `bool`");
                finding = match other {
                    "f64" | "float" | "f16" | "bf16" | "float32" | "float64" | "float16" | "bfloat16" | "double"
                    | "half" => finding
                        .with_help("write `f32`: it is the float of a spec, and `--precision f64` computes it in f64"),
                    "int" | "integer" | "long" | "short" | "byte" | "i8" | "i16" | "i64" | "u8" | "u16" | "u32"
                    | "int8" | "int16" | "int32" | "int64" | "uint8" => finding.with_help("write `i32`"),
                    "boolean" => finding.with_help("write `bool`"),
                    other => finding.with_suggestion(other, ["f32", "i32", "bool"]),
                };
                Err(self.report(finding))
            }
        }
    }
}
