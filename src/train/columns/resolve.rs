//! One field: its columns with all that was worked out, and how its numbers are encoded.

use super::form::{ColumnPart, Encode, FieldColumns, Impute, Scale};
use crate::data::{ColumnSpec, DateUnit, FieldKind, FieldSpec, Figures, Kind, Profile};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::lower::{Coding, Encoding, Fitted};

/// How much closer together than far from 0 numbers may lie that f32 tells apart: it has 24 bits.
const APART_IN_F32: f64 = 1_048_576.0;

/// A field and what the training rows hold in its columns.
pub(super) struct Field<'f> {
    pub spec: &'f FieldSpec,
    pub is_target: bool,
    pub columns: &'f FieldColumns,
    pub profiles: &'f [Profile],
    /// whether the run computes in single precision
    pub is_f32: bool,
}

/// A column of a field.
struct Column<'f> {
    part: &'f ColumnPart,
    name: String,
    unit: DateUnit,
    profile: &'f Profile,
    kind: Kind,
}

/// Resolves a field. Warnings go to `findings`.
///
/// # Errors
/// E0602 for what a column of this kind, or this field, cannot be; E0603 when the columns do not make up its shape; E0604 for
/// values that cannot be fitted to.
pub(super) fn resolve(
    field: &Field<'_>,
    findings: &mut Vec<Diagnostic>,
) -> Result<(FieldColumns, Encoding), Diagnostics> {
    let mut profiles = field.profiles.iter();
    let (mut parts, mut codings, mut found, mut wrong) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for part in &field.columns.parts {
        let mut resolved = Vec::new();
        let columns: Vec<(String, DateUnit)> = part.columns().collect();
        // An array has one mapping and a profile for each number of a row.
        let is_array = field.columns.parts.len() == 1 && columns.len() == 1 && field.profiles.len() > 1;
        let n_columns = if is_array { field.profiles.len() } else { columns.len() };
        for at in 0..n_columns {
            let Some(profile) = profiles.next() else { continue };
            let (name, unit) = columns[if is_array { 0 } else { at }].clone();
            // Whole numbers that nobody asked for may be followed by others.
            let worked_out = match profile.kind() {
                Kind::Whole => Kind::Number,
                kind => kind,
            };
            let column = Column { part, name, unit, profile, kind: part.kind.unwrap_or(worked_out) };
            match column.coded(field, findings) {
                Ok((part, coding)) => {
                    found.push(match coding.width() {
                        1 => column.name.clone(),
                        width => format!("{} ({width})", column.name),
                    });
                    codings.push(coding);
                    resolved.push(part);
                }
                Err(finding) => wrong.push(match field.columns.span {
                    Some(span) if finding.primary.is_none() => finding.at(span, "encoded here"),
                    _ => finding,
                }),
            }
        }
        parts.extend(together(part, resolved));
    }
    if !wrong.is_empty() {
        return Err(Diagnostics(wrong));
    }
    let encoding = Encoding { codings };
    check_width(field, &encoding, &found)?;
    Ok((FieldColumns { parts, span: field.columns.span }, encoding))
}

/// The columns of a part as one part again, where they came to be of one kind.
fn together(part: &ColumnPart, resolved: Vec<ColumnPart>) -> Vec<ColumnPart> {
    let same = |a: &ColumnPart, b: &ColumnPart| {
        ColumnPart { from: Vec::new(), units: Vec::new(), ..a.clone() }
            == ColumnPart { from: Vec::new(), units: Vec::new(), ..b.clone() }
    };
    match resolved.first() {
        Some(first) if resolved.iter().all(|other| same(first, other)) => {
            vec![ColumnPart { from: part.from.clone(), units: part.units.clone(), ..first.clone() }]
        }
        _ => resolved,
    }
}

impl Column<'_> {
    fn wrong(&self, code: Code, headline: String) -> Diagnostic {
        Diagnostic::error(code, headline)
    }

    /// The column with what was worked out, and what becomes of its number.
    fn coded(&self, field: &Field<'_>, findings: &mut Vec<Diagnostic>) -> Result<(ColumnPart, Coding), Diagnostic> {
        let Self { part, name, kind, .. } = self;
        if field.is_target && (part.impute.is_some() || part.indicator) {
            return Err(self
                .wrong(Code::E0602, format!("the target `{}` is imputed", field.spec.name))
                .with_help("a target that may be missing is declared with `?`, as in `f32[batch]?`: its losses leave such rows out"));
        }
        let is_number = matches!(kind, Kind::Number | Kind::Whole | Kind::Date);
        let is_scaled = part.scale != Scale::None || part.log1p;
        if is_scaled && (!is_number || field.spec.kind != FieldKind::Float) {
            let why = match is_number {
                true => format!("`{}` is not f32", field.spec.name),
                false => format!("it is a {}", kind.as_str()),
            };
            return Err(self.wrong(Code::E0602, format!("column `{name}` cannot be scaled: {why}")));
        }
        let mut resolved = ColumnPart {
            from: vec![ColumnSpec::One(name.clone())],
            kind: Some(*kind),
            units: if *kind == Kind::Date { vec![self.unit] } else { Vec::new() },
            ..(*part).clone()
        };
        let is_figure = matches!(part.impute, Some(Impute::Mean | Impute::Median));
        if is_figure && !(is_number && field.spec.kind == FieldKind::Float) {
            return Err(self
                .wrong(Code::E0602, format!("column `{name}` has no mean or median that could stand for a value"))
                .with_help("take `impute: most-frequent` or `impute: { value: … }`"));
        }
        // Texts are the reader's: what stands for one is a text.
        if part.impute == Some(Impute::MostFrequent) && (!is_number || field.spec.kind != FieldKind::Float) {
            resolved.impute = Some(Impute::Value(self.most_frequent()?));
        }
        if *kind == Kind::Category {
            return self.category(field, resolved, findings);
        }
        if part.encode == Some(Encode::OneHot) {
            return Err(self
                .wrong(Code::E0602, format!("column `{name}` is no category, so it is not made one-hot"))
                .with_help("say `kind: category`"));
        }
        let coding =
            if field.spec.kind == FieldKind::Float { self.number(field, findings)? } else { Fitted::default() };
        Ok((resolved, Coding::Number(coding)))
    }

    fn most_frequent(&self) -> Result<String, Diagnostic> {
        self.profile
            .most_frequent()
            .ok_or_else(|| self.wrong(Code::E0604, format!("column `{}` has no most frequent value", self.name)))
    }

    /// A category: its vocabulary, and one-hot or ids by what the field is.
    fn category(
        &self,
        field: &Field<'_>,
        mut resolved: ColumnPart,
        findings: &mut Vec<Diagnostic>,
    ) -> Result<(ColumnPart, Coding), Diagnostic> {
        let name = &self.name;
        if resolved.values.is_empty() {
            resolved.values = self.profile.vocabulary().ok_or_else(|| {
                self.wrong(Code::E0604, format!("column `{name}` has too many values for a category"))
                    .with_help("name those that count with `values: [ … ]` and give the others `unknown: own-id`")
            })?;
            let mark = resolved.values.iter().find(|value| crate::data::is_missing_mark(value));
            if let Some(mark) = mark {
                let finding =
                    Diagnostic::warning(Code::E0604, format!("`{mark}` is one of the categories of column `{name}`"))
                        .with_help(format!("if it means that the value is missing, say `missing: {mark}`"))
                        .with_help("else name the categories with `values: [ … ]`");
                findings.push(match field.columns.span {
                    Some(span) => finding.at(span, "read here"),
                    None => finding,
                });
            }
        }
        if resolved.values.is_empty() {
            return Err(self.wrong(Code::E0604, format!("column `{name}` has no values in the training rows")));
        }
        if let Some(Impute::Value(value)) = &resolved.impute
            && !resolved.values.contains(value)
        {
            return Err(self
                .wrong(Code::E0602, format!("`{value}` is no category of column `{name}`"))
                .with_note(format!("expected: one of {}", resolved.values.join(", "))));
        }
        self.weigh(&mut resolved)?;
        let n_ids = resolved.form(DateUnit::default()).n_ids();
        let is_scalar = field.spec.shape.is_empty();
        let is_one_hot = match (resolved.encode, field.spec.kind) {
            (Some(Encode::OneHot), FieldKind::Int | FieldKind::Bool) => {
                return Err(self
                    .wrong(
                        Code::E0602,
                        format!("column `{name}` is not made one-hot: `{}` is not f32", field.spec.name),
                    )
                    .with_help(format!("declare it as f32[batch, {n_ids}], or leave `encode` out for ids")));
            }
            (Some(Encode::Balanced), FieldKind::Int | FieldKind::Bool) => {
                return Err(self.wrong(Code::E0602, format!("`{}` is not f32, as weights are", field.spec.name)));
            }
            (_, FieldKind::Int | FieldKind::Bool) | (Some(Encode::Ids | Encode::Balanced), _) => false,
            (None, FieldKind::Float) if !resolved.weights.is_empty() => false,
            (Some(Encode::OneHot), FieldKind::Float) => true,
            (None, FieldKind::Float) if is_scalar && n_ids == 2 => false,
            (None, FieldKind::Float) => true,
        };
        let coding = if is_one_hot { Coding::OneHot(n_ids) } else { Coding::Number(Fitted::default()) };
        Ok((resolved, coding))
    }

    /// The weight of each value: the rows that are there, over the values and over the rows of the value.
    fn weigh(&self, part: &mut ColumnPart) -> Result<(), Diagnostic> {
        let n_values = part.values.len();
        if part.encode == Some(Encode::Balanced) && part.weights.is_empty() {
            let counts = self.profile.values.clone().unwrap_or_default();
            let count = |value: &String| counts.get(value).copied().unwrap_or(0) as f64;
            let all: f64 = part.values.iter().map(count).sum();
            let n_seen = part.values.iter().filter(|value| count(value) > 0.0).count();
            let weight = |count: f64| if count > 0.0 { all / (n_seen as f64 * count) } else { 1.0 };
            part.weights = part.values.iter().map(|value| weight(count(value))).collect();
        }
        if !part.weights.is_empty() && part.weights.len() != n_values {
            return Err(self
                .wrong(Code::E0602, format!("column `{}` has not a weight for each of its values", self.name))
                .with_note(format!("found: {} weights", part.weights.len()))
                .with_note(format!("expected: {n_values}, for {}", part.values.join(", "))));
        }
        Ok(())
    }

    /// What numbers are scaled and filled by.
    fn number(&self, field: &Field<'_>, findings: &mut Vec<Diagnostic>) -> Result<Fitted, Diagnostic> {
        let Self { part, name, profile, kind, .. } = self;
        let figures = profile.figures;
        if figures.count == 0 && (part.scale != Scale::None || part.impute.is_some()) {
            return Err(self.wrong(Code::E0604, format!("column `{name}` has no number in the training rows")));
        }
        if part.log1p && figures.least <= -1.0 {
            return Err(self
                .wrong(Code::E0604, format!("column `{name}` has no `log1p`"))
                .with_note(format!("found: {}", figures.least))
                .with_note("expected: numbers above -1"));
        }
        let fill = match &part.impute {
            Some(Impute::Mean) => Some(figures.mean),
            Some(Impute::Median) => Some(profile.quantile(0.5)),
            Some(Impute::MostFrequent) => Some(self.read(&self.most_frequent()?)?),
            Some(Impute::Value(text)) => Some(self.read(text)?),
            None if part.indicator => Some(figures.mean),
            None => None,
        };
        let mut fitted = Fitted { log1p: part.log1p, fill, indicator: part.indicator, ..Fitted::default() };
        (fitted.shift, fitted.scale) = self.scaled();
        if *kind == Kind::Boolean && !part.indicator {
            // The reader fills it.
            fitted.fill = None;
        }
        let is_far = fitted.shift.abs() > fitted.scale * APART_IN_F32;
        if field.is_f32 && is_far {
            findings.push(
                Diagnostic::warning(
                    Code::E0604,
                    format!("the numbers of column `{name}` are hardly told apart in f32"),
                )
                .with_note(format!("found: numbers about {:.6e}, apart by {:.1e}", fitted.shift, fitted.scale))
                .with_help("take `precision: f64`, or numbers that are counted from a nearer beginning"),
            );
        }
        Ok(fitted)
    }

    fn read(&self, text: &str) -> Result<f64, Diagnostic> {
        let value = self.part.form(self.unit);
        crate::data::read_cell(&crate::data::CellForm { kind: self.kind, unit: self.unit, fill: None, ..value }, text)
            .filter(|value| value.is_finite())
            .ok_or_else(|| {
                let headline = format!("`{text}` cannot stand for a value of column `{}`", self.name);
                self.wrong(Code::E0602, headline).with_note(format!("expected: a {}", self.kind.as_str()))
            })
    }

    /// What is taken away of a number, and what it is divided by then.
    fn scaled(&self) -> (f64, f64) {
        let logs;
        let profile = if self.part.log1p {
            logs = Profile::of_sorted(self.profile.sorted.iter().map(|value| value.ln_1p()).collect());
            &logs
        } else {
            self.profile
        };
        let or_one = |scale: f64| if scale > 0.0 && scale.is_finite() { scale } else { 1.0 };
        let Figures { mean, least, most, .. } = profile.figures;
        match self.part.scale {
            Scale::None => (0.0, 1.0),
            Scale::Standard => (mean, or_one(profile.figures.deviation())),
            Scale::MinMax => (least, or_one(most - least)),
            Scale::Robust => (profile.quantile(0.5), or_one(profile.quantile(0.75) - profile.quantile(0.25))),
        }
    }
}

/// Holds what the columns come to against the shape of the field.
fn check_width(field: &Field<'_>, encoding: &Encoding, found: &[String]) -> Result<(), Diagnostic> {
    let spec = field.spec;
    let known: Option<Vec<usize>> = spec.shape.iter().copied().collect();
    let dims: Vec<String> = spec.shape.iter().map(|dim| dim.map_or("_".into(), |dim| dim.to_string())).collect();
    let dtype = match spec.kind {
        FieldKind::Float => "f32",
        FieldKind::Int => "i32",
        FieldKind::Bool => "bool",
    };
    let declared = format!("{dtype}[{}]", [&["batch".to_string()], &dims[..]].concat().join(", "));
    let width = encoding.width();
    let fits = match &known {
        Some(row) => row.iter().product::<usize>() == width && (row.len() == 1 || encoding.codings.len() == width),
        // Columns that are numbers already fill an open extent as they do without a mapping.
        None => encoding.is_plain(),
    };
    if fits {
        return Ok(());
    }
    let finding = Diagnostic::error(Code::E0603, format!("the columns of `{}` do not make up its shape", spec.name))
        .with_note(format!("found: {width} numbers in a row: {}", found.join(", ")))
        .with_note(format!("expected: {declared}"));
    let finding = match known {
        None => finding.with_help("columns that are encoded need an extent that the spec names: a number or a `const`"),
        Some(_) => finding
            .with_help(format!("declare it as f32[batch, {width}], or as i32[batch] for the ids of one category")),
    };
    Err(match (spec.span, field.columns.span) {
        (Some(declared), Some(said)) => {
            finding.at(declared, "declared here").with_label(said, "and made of these columns")
        }
        (Some(declared), None) => finding.at(declared, "declared here"),
        _ => finding,
    })
}
