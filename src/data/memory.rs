//! Arrays from memory, checked as those of a file are.

use super::check::{convert, place_of};
use super::{DataSource, Dataset, Field, FieldSpec, Numbers, counted, listed, shape_text};
use crate::diag::{Code, Diagnostic, Diagnostics};

/// An array with its name and shape.
pub type NamedArray<'a> = (&'a str, &'a [usize], &'a Numbers);

/// Holds arrays against what a program asks for. Those that it does not ask for are left out.
///
/// # Errors
/// E0603 when a field is missing, has another shape or another number of rows, or there is no row; E0604 when values are not
/// what the field's kind allows.
pub fn from_memory(arrays: &[NamedArray<'_>], fields: &[FieldSpec]) -> Result<Dataset, Diagnostics> {
    let source = DataSource::new("data");
    let mut dataset = Dataset::default();
    let mut findings = Vec::new();
    let mut first: Option<(&str, usize)> = None;
    for spec in fields {
        let found = arrays.iter().find(|(name, ..)| *name == spec.name);
        let found = found.ok_or_else(|| missing(spec, arrays)).and_then(|(_, shape, values)| {
            if spec.whole && spec.is_one_value(shape) {
                dataset.fields.insert(spec.name.clone(), whole_field(spec, shape, values, &source)?);
                return Ok(());
            }
            let rows = check_shape(spec, shape)?;
            let (of, expected) = *first.get_or_insert((&spec.name, rows));
            if rows != expected {
                return Err(Diagnostic::error(Code::E0603, format!("`{}` has {}", spec.name, counted(rows, "row")))
                    .with_note(format!("expected: {}, as `{of}` has", counted(expected, "row"))));
            }
            let row_len = shape[1..].iter().product::<usize>().max(1);
            let place = |at: usize| format!("row {}", at / row_len);
            let values = convert((*values).clone(), spec, &source, &place)?;
            dataset.rows = rows;
            dataset.fields.insert(spec.name.clone(), Field { shape: shape[1..].to_vec(), values });
            Ok(())
        });
        findings.extend(found.err().map(|finding| match finding.primary {
            Some(_) => finding,
            None => place_of(finding, &source, Some(spec)),
        }));
    }
    if !findings.is_empty() {
        return Err(Diagnostics(findings));
    }
    if dataset.rows == 0 && fields.iter().any(|spec| !spec.whole) {
        let finding = Diagnostic::error(Code::E0603, "the data has no rows")
            .with_note("expected: the samples along the first axis of every field, at least one");
        return Err(finding.into());
    }
    Ok(dataset)
}

/// Values that stand for all rows, held against what a program asks for.
///
/// # Errors
/// E0603 for another shape, E0604 when values are not what the field's kind allows.
pub fn whole_fields(arrays: &[NamedArray<'_>], fields: &[FieldSpec]) -> Result<Vec<(String, Field)>, Diagnostics> {
    let source = DataSource::new("feed");
    let mut whole = Vec::new();
    for (name, shape, values) in arrays {
        let Some(spec) = fields.iter().find(|spec| spec.whole && spec.name == *name) else {
            let known = fields.iter().filter(|spec| spec.whole).map(|spec| spec.name.as_str());
            return Err(Diagnostic::error(Code::E0603, format!("no input without rows is called `{name}`"))
                .with_note(format!("expected: one of {}", listed(known.clone())))
                .with_suggestion(name, known)
                .into());
        };
        if !spec.is_one_value(shape) {
            return Err(place_of(other_shape(spec, shape), &source, Some(spec)).into());
        }
        whole.push((spec.name.clone(), whole_field(spec, shape, values, &source)?));
    }
    Ok(whole)
}

fn whole_field(spec: &FieldSpec, shape: &[usize], values: &Numbers, source: &DataSource) -> Result<Field, Diagnostic> {
    let values = convert(values.clone(), spec, source, &|at| format!("element {at}"))?;
    Ok(Field { shape: shape.to_vec(), values })
}

fn missing(spec: &FieldSpec, arrays: &[NamedArray<'_>]) -> Diagnostic {
    let names = || arrays.iter().map(|(name, ..)| *name);
    Diagnostic::error(Code::E0603, format!("the data has no field `{}`", spec.name))
        .with_note(format!("found: {}", listed(names())))
        .with_suggestion(&spec.name, names())
}

/// The number of rows of an array whose rows have the shape that is asked for.
fn check_shape(spec: &FieldSpec, shape: &[usize]) -> Result<usize, Diagnostic> {
    match shape.split_first() {
        Some((rows, rest)) if spec.is_one_value(rest) && u32::try_from(*rows).is_ok() => Ok(*rows),
        _ => Err(other_shape(spec, shape)),
    }
}

fn other_shape(spec: &FieldSpec, shape: &[usize]) -> Diagnostic {
    let wanted: Vec<String> =
        spec.shape.iter().map(|extent| extent.map_or_else(|| "any".to_owned(), |extent| extent.to_string())).collect();
    let rows: &[String] = if spec.whole { &[] } else { &["rows".to_owned()] };
    Diagnostic::error(Code::E0603, format!("`{}` has another shape", spec.name))
        .with_note(format!("found: {}", shape_text(shape)))
        .with_note(format!("expected: [{}]", [rows, &*wanted].concat().join(", ")))
}
