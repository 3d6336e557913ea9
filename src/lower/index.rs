//! `x[…]` on tensors and lists.

use super::value::{Frame, TensorValue, Value};
use super::{Lowered, Lowering};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Dim, Shape};
use crate::ops::{Reshape, Slice};
use crate::syntax::ast::{ExprKind, IndexItem};

/// What one index item does with an axis.
struct Part {
    start: Dim,
    extent: Dim,
    stride: usize,
    drop: bool,
}

impl Lowering {
    pub(super) fn index(
        &mut self,
        frame: &mut Frame,
        base: Value,
        base_span: Span,
        items: &[IndexItem],
        span: Span,
    ) -> Lowered<Value> {
        match base {
            Value::List(values) => self.index_list(frame, values, items, span),
            Value::Group(group) => self.index_list(frame, group.values(), items, span),
            Value::Text(_) | Value::Number { .. } | Value::Bool(_) | Value::None => {
                let found = self.graphs.describe(&base);
                Err(self.findings.error(
                    Code::E0306,
                    base_span,
                    format!("cannot take a part of {found}"),
                    "not a tensor or list",
                ))
            }
            value => {
                let tensor = self.emit().to_tensor(frame, value, base_span)?;
                self.index_tensor(frame, tensor, items, span).map(Value::Tensor)
            }
        }
    }

    fn index_list(&mut self, frame: &mut Frame, values: Vec<Value>, items: &[IndexItem], span: Span) -> Lowered<Value> {
        let [item] = items else {
            return Err(self.findings.error(Code::E0303, span, "a list has one axis", "one index or range"));
        };
        let length = values.len() as i64;
        let resolve = |at: i64| if at < 0 { at + length } else { at };
        match item {
            IndexItem::Single(index) => {
                let at = self.integer_expr(frame, index)?;
                match usize::try_from(resolve(at)).ok().and_then(|at| values.get(at)) {
                    Some(value) => Ok(value.clone()),
                    None => Err(self.findings.error(
                        Code::E0303,
                        index.span,
                        format!("index {at} of a list of {length}"),
                        "out of range",
                    )),
                }
            }
            IndexItem::Range { start, stop, step: None, .. } => {
                let mut bound = |expr: &Option<crate::syntax::ast::Expr>, default: i64| match expr {
                    Some(expr) => self.integer_expr(frame, expr).map(|at| resolve(at).clamp(0, length)),
                    None => Ok(default),
                };
                let (start, stop) = (bound(start, 0)? as usize, bound(stop, length)? as usize);
                Ok(Value::List(values.get(start..stop.max(start)).unwrap_or(&[]).to_vec()))
            }
            _ => Err(self.findings.error(Code::E0303, span, "a list takes an index or a range without a step", "here")),
        }
    }

    fn index_tensor(
        &mut self,
        frame: &mut Frame,
        tensor: TensorValue,
        items: &[IndexItem],
        span: Span,
    ) -> Lowered<TensorValue> {
        let shape = self.graphs.ty(tensor).shape.clone();
        let is_new_axis = |item: &IndexItem| matches!(item, IndexItem::Single(e) if matches!(e.kind, ExprKind::None));
        let rests = items.iter().filter(|item| matches!(item, IndexItem::Rest(_))).count();
        let used = items.iter().filter(|item| !matches!(item, IndexItem::Rest(_)) && !is_new_axis(item)).count();
        if used > shape.len() || rests > 1 {
            return Err(self.findings.report(
                Diagnostic::error(Code::E0303, format!("{used} indices for a value with {} axes", shape.len()))
                    .at(span, format!("the value is {}", self.graphs.ty(tensor)))
                    .with_help("at most one index or range an axis, and at most one `...`"),
            ));
        }
        let (mut parts, mut result): (Vec<Part>, Shape) = (Vec::new(), Vec::new());
        let whole = |dim: &Dim| Part { start: Dim::known(0), extent: dim.clone(), stride: 1, drop: false };
        for item in items {
            if is_new_axis(item) {
                result.push(Dim::known(1));
                continue;
            }
            if let IndexItem::Rest(_) = item {
                for _ in 0..shape.len() - used {
                    let dim = &shape[parts.len()];
                    result.push(dim.clone());
                    parts.push(whole(dim));
                }
                continue;
            }
            let part = self.index_part(frame, item, &shape[parts.len()], span)?;
            if !part.drop {
                result.push(part.extent.clone());
            }
            parts.push(part);
        }
        for dim in &shape[parts.len()..] {
            result.push(dim.clone());
            parts.push(whole(dim));
        }
        let slice = Slice {
            starts: parts.iter().map(|part| part.start.clone()).collect(),
            extents: parts.iter().map(|part| part.extent.clone()).collect(),
            strides: parts.iter().map(|part| part.stride).collect(),
        };
        let sliced = if slice.extents == shape { tensor } else { self.emit().add(frame, span, slice, &[tensor])? };
        if self.graphs.ty(sliced).shape == result {
            return Ok(sliced);
        }
        self.emit().add(frame, span, Reshape { shape: result }, &[sliced])
    }

    fn index_part(&mut self, frame: &mut Frame, item: &IndexItem, dim: &Dim, span: Span) -> Lowered<Part> {
        let from_end = |at: i64| if at < 0 { dim.offset(at) } else { Dim::known(0).offset(at) };
        let too_large =
            |this: &mut Self| this.findings.error(Code::E0701, span, "this index is beyond the limits", "too large");
        match item {
            IndexItem::Single(index) => {
                let at = self.integer_expr(frame, index)?;
                let start = from_end(at).ok_or_else(|| too_large(self))?;
                let outside = start.is_negative()
                    || matches!((start.as_known(), dim.as_known()), (Some(at), Some(extent)) if at >= extent);
                if outside {
                    return Err(self.findings.error(
                        Code::E0303,
                        index.span,
                        format!("index {at} of an axis of {dim}"),
                        "out of range",
                    ));
                }
                Ok(Part { start, extent: Dim::known(1), stride: 1, drop: true })
            }
            IndexItem::Range { start, stop, step, .. } => {
                let stride = match step {
                    Some(step) => match self.integer_expr(frame, step)? {
                        stride if stride > 0 => stride as usize,
                        other => {
                            return Err(self.findings.error(
                                Code::E0303,
                                step.span,
                                format!("a step of {other}"),
                                "must be at least 1",
                            ));
                        }
                    },
                    None => 1,
                };
                let start = match start {
                    Some(start) => self.bound(frame, start, dim)?,
                    None => Dim::known(0),
                };
                let stop = match stop {
                    Some(stop) => self.bound(frame, stop, dim)?,
                    None => dim.clone(),
                };
                let length = stop.sub(&start).filter(|length| !length.is_negative());
                let Some(length) = length else {
                    return Err(self.findings.error(
                        Code::E0303,
                        span,
                        format!("the range {start}:{stop} runs backwards"),
                        "here",
                    ));
                };
                let extent = length.offset(stride as i64 - 1).and_then(|sum| sum.div_floor(stride));
                let extent = extent.ok_or_else(|| too_large(self))?;
                Ok(Part { start, extent, stride, drop: false })
            }
            IndexItem::Rest(_) => Err(self.findings.error(Code::E0303, span, "`...` stands for whole axes", "here")),
        }
    }

    /// A bound of a range: a number (counted from the end when negative) or a run-time dim.
    fn bound(&mut self, frame: &mut Frame, expr: &crate::syntax::ast::Expr, dim: &Dim) -> Lowered<Dim> {
        if let Value::Dim(bound) = self.expr(frame, expr)? {
            return Ok(bound);
        }
        let at = self.integer_expr(frame, expr)?;
        let bound = if at < 0 { dim.offset(at) } else { Dim::known(0).offset(at) };
        let inside = bound.filter(|bound| {
            !bound.is_negative() && !matches!((bound.as_known(), dim.as_known()), (Some(at), Some(n)) if at > n)
        });
        match inside {
            Some(bound) => Ok(bound),
            None => Err(self.findings.error(
                Code::E0303,
                expr.span,
                format!("bound {at} of an axis of {dim}"),
                "out of range",
            )),
        }
    }
}
