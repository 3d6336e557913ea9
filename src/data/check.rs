//! Values held against what a program asks for: finite, integral, 0 or 1, missing only where that is allowed.
//!
//! Takes the values of one field as a reader gave them; gives them in the type that the field's kind is kept in (integers
//! and bools as i32), or one diagnostic that counts the wrong values and names the first few places.

use crate::diag::{Code, Diagnostic};

use super::{DataSource, FieldKind, FieldSpec, MISSING_INT, Numbers};

/// How many wrong values a message names.
const PLACES_NAMED: usize = 5;

/// Checks and converts. `place` says in words where the value of an index stands.
pub(super) fn convert(
    values: Numbers,
    spec: &FieldSpec,
    source: &DataSource,
    place: &dyn Fn(usize) -> String,
) -> Result<Numbers, Diagnostic> {
    match spec.kind {
        FieldKind::Float => {
            let allowed = |value: f64| value.abs() <= spec.largest || (spec.optional && value.is_nan());
            match &values {
                Numbers::F32(all) => report(wrong(all.iter().map(|&v| f64::from(v)), allowed), spec, source, place)?,
                Numbers::F64(all) => report(wrong(all.iter().copied(), allowed), spec, source, place)?,
                Numbers::I32(_) => {}
            }
            Ok(values)
        }
        FieldKind::Int | FieldKind::Bool => {
            let allowed = |value: f64| is_integer_of(spec, value);
            let len = values.len();
            report(wrong((0..len).map(|at| values.get(at)), allowed), spec, source, place)?;
            Ok(Numbers::I32(match values {
                Numbers::I32(all) => all,
                other => (0..len).map(|at| integer(other.get(at))).collect(),
            }))
        }
    }
}

fn is_integer_of(spec: &FieldSpec, value: f64) -> bool {
    if value.is_nan() {
        return spec.optional;
    }
    match spec.kind {
        FieldKind::Bool => value == 0.0 || value == 1.0,
        _ => {
            let least = if spec.optional { f64::from(MISSING_INT) + 1.0 } else { f64::from(i32::MIN) };
            value.fract() == 0.0 && value >= least && value <= f64::from(i32::MAX)
        }
    }
}

/// Of a value that [`is_integer_of`] accepts.
fn integer(value: f64) -> i32 {
    if value.is_nan() { MISSING_INT } else { value as i32 }
}

/// The wrong values: how many, and the first few with their index.
struct Wrong {
    count: usize,
    first: Vec<(usize, f64)>,
}

fn wrong(values: impl Iterator<Item = f64>, allowed: impl Fn(f64) -> bool) -> Wrong {
    let mut found = Wrong { count: 0, first: Vec::new() };
    for (at, value) in values.enumerate() {
        if !allowed(value) {
            found.count += 1;
            if found.first.len() < PLACES_NAMED {
                found.first.push((at, value));
            }
        }
    }
    found
}

fn report(
    found: Wrong,
    spec: &FieldSpec,
    source: &DataSource,
    place: &dyn Fn(usize) -> String,
) -> Result<(), Diagnostic> {
    if found.count == 0 {
        return Ok(());
    }
    let places: Vec<String> =
        found.first.iter().map(|&(at, value)| format!("{} at {}", value_text(value), place(at))).collect();
    let places_text = places.join(", ");
    let finding = wrong_values(found.count, &places_text, places.len(), spec, source);
    let is_beyond = spec.kind == FieldKind::Float && found.first.iter().any(|(_, value)| value.is_finite());
    Err(if is_beyond {
        finding.with_note(format!("the precision of the run holds numbers up to {:e}", spec.largest))
    } else {
        finding
    })
}

/// The diagnostic for wrong values of a field, from their count and the places that are named.
pub(super) fn wrong_values(
    count: usize,
    places: &str,
    named: usize,
    spec: &FieldSpec,
    source: &DataSource,
) -> Diagnostic {
    let (noun, expected) = match spec.kind {
        FieldKind::Float => ("finite numbers", "finite numbers"),
        FieldKind::Int => ("integers", "ints in the range of i32"),
        FieldKind::Bool => ("bools", "0 or 1"),
    };
    let values = if count == 1 { "value that is no".to_owned() } else { "values that are no".to_owned() };
    let noun = if count == 1 { noun.trim_end_matches('s') } else { noun };
    let more = if count > named { format!(", and {} more", count - named) } else { String::new() };
    let missing = if spec.optional { "; an empty cell or NaN is a missing value" } else { "" };
    let mut diagnostic = Diagnostic::error(
        Code::E0604,
        format!("field `{}` of `{}` has {count} {values} {noun}", spec.name, source.path.display()),
    )
    .with_note(format!("found: {places}{more}"))
    .with_note(format!("expected: {expected}{missing}"));
    if !spec.optional && places.contains("missing value") {
        diagnostic = diagnostic.with_help("a target that may be missing is declared with `?`, as in `f32[batch]?`");
    }
    place_of(diagnostic, source, Some(spec))
}

fn value_text(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN (a missing value)".to_owned(),
        value if value.abs() >= 1e16 => format!("{value:e}"),
        value => format!("{value}"),
    }
}

/// Points a diagnostic at the field's declaration and at the file's name in the run config, as far as they are known.
pub(super) fn place_of(diagnostic: Diagnostic, source: &DataSource, spec: Option<&FieldSpec>) -> Diagnostic {
    let declared = spec.and_then(|spec| spec.span);
    match (declared, source.span) {
        (Some(declared), Some(named)) => {
            diagnostic.at(declared, "the field is declared here").with_label(named, "and read from this file")
        }
        (Some(declared), None) => diagnostic.at(declared, "the field is declared here"),
        (None, Some(named)) => diagnostic.at(named, "this file"),
        (None, None) => diagnostic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: Numbers, kind: FieldKind, optional: bool) -> Result<Numbers, Diagnostic> {
        let spec = FieldSpec { optional, ..FieldSpec::new("y", &[], kind) };
        convert(values, &spec, &DataSource::new("d.npz"), &|at| format!("row {at}"))
    }

    #[test]
    fn missing_values_pass_only_in_optional_fields() {
        let values = || Numbers::F32(vec![1.0, f32::NAN]);
        assert!(check(values(), FieldKind::Float, true).is_ok());
        let error = check(values(), FieldKind::Float, false).unwrap_err();
        assert_eq!(error.code, Code::E0604);
        assert_eq!(error.headline, "field `y` of `d.npz` has 1 value that is no finite number");
        assert_eq!(error.notes[0], "found: NaN (a missing value) at row 1");
        assert_eq!(error.helps.len(), 1);
        let infinite = check(Numbers::F64(vec![f64::INFINITY]), FieldKind::Float, true).unwrap_err();
        assert_eq!(infinite.notes[0], "found: inf at row 0");
        assert_eq!(check(values(), FieldKind::Int, true), Ok(Numbers::I32(vec![1, MISSING_INT])));
    }

    #[test]
    fn floats_are_finite_in_the_precision_of_the_run() {
        let spec = FieldSpec { largest: f64::from(f32::MAX), ..FieldSpec::new("y", &[], FieldKind::Float) };
        let check = |value| convert(Numbers::F64(vec![value]), &spec, &DataSource::new("d.npz"), &|_| "row 0".into());
        assert!(check(3.4e38).is_ok() && check(-3.4e38).is_ok());
        let error = check(1e39).unwrap_err();
        assert_eq!(error.notes[0], "found: 1e39 at row 0");
        assert!(error.notes[2].ends_with("numbers up to 3.4028234663852886e38"), "{error:?}");
        for value in [f64::INFINITY, f64::NAN] {
            assert_eq!(check(value).unwrap_err().code, Code::E0604, "{value}");
        }
    }

    #[test]
    fn integers_are_whole_and_in_range() {
        let int = |value: f64| check(Numbers::F64(vec![value]), FieldKind::Int, false);
        assert_eq!(int(-2_147_483_648.0), Ok(Numbers::I32(vec![i32::MIN])));
        assert_eq!(int(2_147_483_647.0), Ok(Numbers::I32(vec![i32::MAX])));
        for value in [1.5, 2_147_483_648.0] {
            assert_eq!(int(value).unwrap_err().notes[1], "expected: ints in the range of i32");
        }
        let mark = check(Numbers::I32(vec![i32::MIN]), FieldKind::Int, true).unwrap_err();
        assert_eq!(mark.notes[0], "found: -2147483648 at row 0");
        assert_eq!(check(Numbers::I32(vec![2]), FieldKind::Bool, false).unwrap_err().notes[1], "expected: 0 or 1");
        let many = check(Numbers::F64(vec![0.5; 9]), FieldKind::Int, false).unwrap_err();
        assert!(many.notes[0].ends_with("0.5 at row 4, and 4 more"), "{}", many.notes[0]);
    }
}
