//! Fields that a run encodes: what data holds of them is scaled, filled and made one-hot by nodes of the graph.
//!
//! What was fitted to the training rows are states, `FIELD.shift`, `FIELD.scale` and `FIELD.fill`, which no step changes. So a
//! checkpoint, a prediction and an exported program have them, and the leaf of the program is the field as files hold it. A number
//! `x` becomes `(x - shift) / scale`, or that of `log(1 + x)`.

use super::builtins::math;
use super::value::{Frame, TensorValue, Value, Which};
use super::{Lowered, Lowering};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{DType, Dim, TensorType};
use crate::ops::{self, InputKind, Op};
use crate::syntax::ast::Ident;
use std::sync::Arc;

/// How a row of a field is made of the numbers that data has of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoding {
    /// for each number in a row of the data
    pub codings: Vec<Coding>,
}

/// What becomes of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Coding {
    Number(Fitted),
    /// as many numbers, 0 but for a 1 at the place of the id
    OneHot(usize),
}

/// What was fitted to a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fitted {
    /// whether `log(1 + x)` is taken first
    pub log1p: bool,
    pub shift: f64,
    pub scale: f64,
    /// what stands for a missing value
    pub fill: Option<f64>,
    /// whether a second number says if the value was missing, as 1
    pub indicator: bool,
}

impl Default for Fitted {
    fn default() -> Self {
        Self { log1p: false, shift: 0.0, scale: 1.0, fill: None, indicator: false }
    }
}

impl Coding {
    /// How many numbers it makes of one.
    pub fn width(self) -> usize {
        match self {
            Self::Number(fitted) => 1 + usize::from(fitted.indicator),
            Self::OneHot(n_ids) => n_ids,
        }
    }
}

impl Encoding {
    /// The numbers in a row of the spec.
    pub fn width(&self) -> usize {
        self.codings.iter().map(|coding| coding.width()).sum()
    }

    /// Whether the data's numbers are those of the spec.
    pub fn is_plain(&self) -> bool {
        self.codings.iter().all(|coding| *coding == Coding::Number(Fitted::default()))
    }

    /// Whether missing numbers are filled.
    pub fn fills(&self) -> bool {
        self.numbers().any(|fitted| fitted.fill.is_some())
    }

    /// Whether a row of the data has the shape of one of the spec.
    fn keeps_shape(&self) -> bool {
        self.codings.iter().all(|coding| matches!(coding, Coding::Number(fitted) if !fitted.indicator))
    }

    fn numbers(&self) -> impl Iterator<Item = Fitted> {
        self.codings.iter().filter_map(|coding| match coding {
            Coding::Number(fitted) => Some(*fitted),
            Coding::OneHot(_) => None,
        })
    }

    /// A number of each column, and of those that are none what leaves them as they are.
    fn each(&self, of: impl Fn(Fitted) -> f64) -> Vec<f64> {
        let fitted = |coding: &Coding| match coding {
            Coding::Number(fitted) => *fitted,
            Coding::OneHot(_) => Fitted::default(),
        };
        self.codings.iter().map(|coding| of(fitted(coding))).collect()
    }

    fn has(&self, is: impl Fn(Fitted) -> bool) -> bool {
        self.numbers().any(is)
    }
}

/// What a field becomes that is encoded.
pub(super) struct Encoded {
    /// the type of what data holds
    pub raw: TensorType,
    pub leaf: TensorValue,
    pub value: TensorValue,
}

impl Lowering {
    /// The leaf of a field as data holds it, and the value that the spec knows by its name.
    pub(super) fn encoded(
        &mut self,
        kind: InputKind,
        name: &Ident,
        ty: &TensorType,
        is_optional: bool,
        encoding: &Encoding,
    ) -> Lowered<Encoded> {
        let row: Option<Vec<usize>> = ty.shape.iter().skip(1).map(Dim::as_known).collect();
        let fits = row.as_ref().is_some_and(|row| row.iter().product::<usize>() == encoding.width())
            && (encoding.keeps_shape() || ty.rank() == 2)
            && ty.is_float();
        if !fits {
            return Err(self.findings.report(
                Diagnostic::error(Code::E0603, format!("the columns of `{}` do not make up its shape", name.name))
                    .at(name.span, format!("declared as {ty}"))
                    .with_note(format!("found: {} numbers in a row, as its columns are encoded", encoding.width())),
            ));
        }
        let n_columns = Dim::known(encoding.codings.len());
        let raw = match (encoding.keeps_shape(), encoding.codings.len()) {
            (true, _) => ty.clone(),
            (false, 1) => TensorType::new(DType::F32, vec![ty.shape[0].clone()]),
            (false, _) => TensorType::new(DType::F32, vec![ty.shape[0].clone(), n_columns]),
        };
        let span = name.span;
        let own = Frame { path: name.name.clone(), value_path: name.name.clone(), ..Frame::file() };
        let leaf = self.emit().leaf(kind, &name.name, &raw, span);
        // A target's own mask goes before: what is missing in it is filled by what no loss counts.
        let read = if is_optional { self.emit().fill_leaf(&own, leaf, span) } else { leaf };
        let value = self.encode(&own, read, encoding, span)?;
        Ok(Encoded { raw, leaf, value })
    }

    fn encode(&mut self, own: &Frame, raw: TensorValue, encoding: &Encoding, span: Span) -> Lowered<TensorValue> {
        let mut value = raw;
        let is_missing = match encoding.fills() {
            true => Some(self.emit().add(own, span, math::is_missing(), &[raw])?),
            false => None,
        };
        if let Some(is_missing) = is_missing {
            let fill = self.fitted(own, "fill", encoding.each(|fitted| fitted.fill.unwrap_or(0.0)), raw, span)?;
            value = self.emit().add(own, span, ops::Select, &[is_missing, fill, value])?;
        }
        if encoding.has(|fitted| fitted.log1p) {
            value = self.log1p(own, value, encoding, span)?;
        }
        if encoding.has(|fitted| fitted.shift != 0.0 || fitted.scale != 1.0) {
            let shift = self.fitted(own, "shift", encoding.each(|fitted| fitted.shift), raw, span)?;
            let scale = self.fitted(own, "scale", encoding.each(|fitted| fitted.scale), raw, span)?;
            value = self.emit().add(own, span, ops::Sub, &[value, shift])?;
            value = self.emit().add(own, span, ops::Div, &[value, scale])?;
        }
        if encoding.keeps_shape() { Ok(value) } else { self.spread(own, value, is_missing, encoding, span) }
    }

    /// `log(1 + x)` in the columns that are taken so. Others pass by: what a logarithm would make of them is not looked at.
    fn log1p(&mut self, own: &Frame, value: TensorValue, encoding: &Encoding, span: Span) -> Lowered<TensorValue> {
        let is_log = encoding.each(|fitted| f64::from(u8::from(fitted.log1p)));
        if is_log.iter().all(|is_log| *is_log == 1.0) {
            return self.emit().add(own, span, ops::Log1p, &[value]);
        }
        let is_log = self.fitted(own, "is_log", is_log, value, span)?;
        let taken = self.emit().add(own, span, ops::Mul, &[value, is_log])?;
        let log = self.emit().add(own, span, ops::Log1p, &[taken])?;
        let rest = self.emit().add(own, span, ops::Sub, &[value, taken])?;
        self.emit().add(own, span, ops::Add, &[log, rest])
    }

    /// The numbers of a row one after another, with those that are made one-hot or said to be missing.
    fn spread(
        &mut self,
        own: &Frame,
        value: TensorValue,
        is_missing: Option<TensorValue>,
        encoding: &Encoding,
        span: Span,
    ) -> Lowered<TensorValue> {
        let batch = self.graphs.ty(value).shape[0].clone();
        let n_columns = encoding.codings.len();
        let as_rows = |this: &mut Self, value: TensorValue| {
            let shape = vec![batch.clone(), Dim::known(n_columns)];
            this.emit().add(own, span, ops::Reshape { shape }, &[value])
        };
        let value = as_rows(self, value)?;
        let is_missing = is_missing.map(|is_missing| as_rows(self, is_missing)).transpose()?;
        let part = |this: &mut Self, of: TensorValue, start: usize, extent: usize| {
            let starts = vec![Dim::known(0), Dim::known(start)];
            let extents = vec![batch.clone(), Dim::known(extent)];
            this.emit().add(own, span, ops::Slice { starts, extents, strides: vec![1, 1] }, &[of])
        };
        let mut parts = Vec::new();
        let mut start = 0;
        while start < n_columns {
            if let Coding::OneHot(n_ids) = encoding.codings[start] {
                let ty = TensorType::new(DType::F32, vec![batch.clone(), Dim::known(n_ids)]);
                let id = part(self, value, start, 1)?;
                let id = self.emit().add(own, span, ops::Reshape { shape: vec![batch.clone()] }, &[id])?;
                let shape = ty.shape.clone();
                let id = self.emit().add(own, span, ops::Broadcast { shape, axes: vec![0] }, &[id])?;
                let places = self.emit().add(own, span, ops::Iota { axis: 1, ty }, &[])?;
                let is_it = self.emit().add(own, span, ops::Equal, &[id, places])?;
                parts.push(self.emit().add(own, span, ops::Cast { to: DType::F32 }, &[is_it])?);
                start += 1;
                continue;
            }
            // Numbers that follow each other are one part, up to one that is said to be missing.
            let rest = &encoding.codings[start..];
            let is_number = |coding: &Coding| matches!(coding, Coding::Number(_));
            let says = |coding: &Coding| coding.width() == 2;
            let n_numbers = rest.iter().take_while(|coding| is_number(coding)).count();
            let n = rest[..n_numbers].iter().position(says).map_or(n_numbers, |at| at + 1);
            parts.push(part(self, value, start, n)?);
            if let Some(is_missing) = is_missing.filter(|_| says(&rest[n - 1])) {
                let said = part(self, is_missing, start + n - 1, 1)?;
                parts.push(self.emit().add(own, span, ops::Cast { to: DType::F32 }, &[said])?);
            }
            start += n;
        }
        match &parts[..] {
            [one] => Ok(*one),
            _ => self.emit().add(own, span, ops::Concat { axis: 1 }, &parts),
        }
    }

    /// A state that holds a number for each column, repeated for each row of `like`. It is one number where all are the same.
    fn fitted(
        &mut self,
        own: &Frame,
        what: &str,
        values: Vec<f64>,
        like: TensorValue,
        span: Span,
    ) -> Lowered<TensorValue> {
        let path: Arc<str> = format!("{}.{what}", own.path).into();
        let shape = self.graphs.ty(like).shape.clone();
        let is_one = values.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits());
        let row = if is_one { Vec::new() } else { shape[1..].to_vec() };
        let axes: Vec<usize> = if is_one { Vec::new() } else { (1..shape.len()).collect() };
        let initial = self.initial(own, &values, &TensorType::new(DType::F32, row), span)?;
        let state = self.state_from(own, &path, initial, span)?;
        self.emit().add(own, span, ops::Broadcast { shape, axes }, &[state])
    }

    /// The numbers as a value of the initial program: one number where it is to be a scalar.
    fn initial(&mut self, own: &Frame, values: &[f64], ty: &TensorType, span: Span) -> Lowered<TensorValue> {
        let outer = std::mem::replace(&mut self.graphs.which, Which::Init);
        let initial = if ty.is_scalar() {
            Ok(self.emit().constant(own, span, values.first().copied().unwrap_or(0.0), ty))
        } else {
            let numbers = Value::List(values.iter().map(|value| Value::number(*value)).collect());
            let list = self.emit().to_tensor(own, numbers, span);
            list.and_then(|list| self.emit().add(own, span, ops::Reshape { shape: ty.shape.clone() }, &[list]))
        };
        self.graphs.which = outer;
        initial
    }

    /// What an output is written as that is told in the units of a target: the encoding of the target taken back.
    pub(super) fn decoded(
        &mut self,
        own: &Frame,
        output: TensorValue,
        target: &str,
        span: Span,
    ) -> Lowered<TensorValue> {
        let Some(encoding) = self.encodings.get(target).cloned() else { return Ok(output) };
        let declared = self.module.targets.get(target).map(|info| info.declared.clone());
        let found = self.graphs.ty(output).clone();
        if declared.as_ref() != Some(&found) || !encoding.keeps_shape() {
            let declared = declared.map_or_else(|| "nothing".to_string(), |ty| ty.to_string());
            return Err(self.findings.report(
                Diagnostic::error(Code::E0603, format!("the output cannot be told in the units of `{target}`"))
                    .at(span, format!("this is {found}"))
                    .with_note(format!(
                        "expected: {declared}, as the target is declared, with numbers that are scaled"
                    )),
            ));
        }
        let mut value = output;
        let broadcast = |this: &mut Self, what: &str| -> Lowered<Option<TensorValue>> {
            let Some(state) = this.module.states.get(format!("{target}.{what}").as_str()) else { return Ok(None) };
            let node = TensorValue { node: state.node, which: Which::Step };
            let axes = (found.rank() - state.ty.rank()..found.rank()).collect();
            this.emit().add(own, span, ops::Broadcast { shape: found.shape.clone(), axes }, &[node]).map(Some)
        };
        if let (Some(shift), Some(scale)) = (broadcast(self, "shift")?, broadcast(self, "scale")?) {
            value = self.emit().add(own, span, ops::Mul, &[value, scale])?;
            value = self.emit().add(own, span, ops::Add, &[value, shift])?;
        }
        if encoding.has(|fitted| fitted.log1p) {
            let undone = self.emit().add(own, span, ops::Expm1, &[value])?;
            value = match broadcast(self, "is_log")? {
                None => undone,
                Some(is_log) => {
                    let half = self.emit().constant(own, span, 0.5, &found);
                    let is_log = self.emit().add(own, span, ops::Less, &[half, is_log])?;
                    self.emit().add(own, span, Op::from(ops::Select), &[is_log, undone, value])?
                }
            };
        }
        Ok(value)
    }
}
