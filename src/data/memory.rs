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
    if dataset.rows == 0 {
        let finding = Diagnostic::error(Code::E0603, "the data has no rows")
            .with_note("expected: the samples along the first axis of every field, at least one");
        return Err(finding.into());
    }
    Ok(dataset)
}

fn missing(spec: &FieldSpec, arrays: &[NamedArray<'_>]) -> Diagnostic {
    let names = || arrays.iter().map(|(name, ..)| *name);
    Diagnostic::error(Code::E0603, format!("the data has no field `{}`", spec.name))
        .with_note(format!("found: {}", listed(names())))
        .with_suggestion(&spec.name, names())
}

/// The number of rows of an array whose rows have the shape that is asked for.
fn check_shape(spec: &FieldSpec, shape: &[usize]) -> Result<usize, Diagnostic> {
    let wanted: Vec<String> =
        spec.shape.iter().map(|extent| extent.map_or_else(|| "any".to_owned(), |extent| extent.to_string())).collect();
    let fits = |rest: &[usize]| {
        let fits = |(found, wanted): (&usize, &Option<usize>)| wanted.is_none_or(|wanted| wanted == *found);
        rest.len() == spec.shape.len() && rest.iter().zip(&spec.shape).all(fits)
    };
    match shape.split_first() {
        Some((rows, rest)) if fits(rest) && u32::try_from(*rows).is_ok() => Ok(*rows),
        _ => Err(Diagnostic::error(Code::E0603, format!("`{}` has another shape", spec.name))
            .with_note(format!("found: {}", shape_text(shape)))
            .with_note(format!("expected: [{}]", [&["rows".to_owned()], &*wanted].concat().join(", ")))),
    }
}
