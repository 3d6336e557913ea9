//! A condition on a step: on what it reported, or on params and states after it.
//!
//! `error > 10`, `norm(dense.kernel) >= 5`, `max(total.weights) < 0.1`, `nan(total)`: a value and a bound, or whether a value is not
//! finite.

use super::replay::StepValues;
use crate::diag::{Code, Diagnostic};
use crate::exec::{Store, StoreKind};
use crate::ops::Element;
use std::str::FromStr;

/// A condition on a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    measure: Measure,
    name: String,
    test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Itself,
    /// the root of the sum of squares
    Norm,
    /// the largest magnitude
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Test {
    NotFinite,
    Above(f64),
    AtLeast(f64),
    Below(f64),
    AtMost(f64),
}

impl Test {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::NotFinite => !value.is_finite(),
            Self::Above(bound) => value > bound,
            Self::AtLeast(bound) => value >= bound,
            Self::Below(bound) => value < bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected `NAME > NUMBER`, also with <, >= and <=, `norm(NAME)` or `max(NAME)` for the name, or `nan(NAME)`";
        let inner = |text: &str, word: &str| -> Option<String> {
            let inner = text.trim().strip_prefix(word)?.trim_start().strip_prefix('(')?.strip_suffix(')')?.trim();
            (!inner.is_empty()).then(|| inner.to_string())
        };
        if let Some(name) = inner(text, "nan") {
            return Ok(Self { measure: Measure::Itself, name, test: Test::NotFinite });
        }
        let at = text.find(['<', '>']).ok_or(expected)?;
        let (value, rest) = text.split_at(at);
        let is_equal = rest[1..].starts_with('=');
        let bound = rest[1 + usize::from(is_equal)..].trim().parse::<f64>().map_err(|_| expected)?;
        let test = match (rest.starts_with('>'), is_equal) {
            (true, false) => Test::Above(bound),
            (true, true) => Test::AtLeast(bound),
            (false, false) => Test::Below(bound),
            (false, true) => Test::AtMost(bound),
        };
        let (measure, name) = match (inner(value, "norm"), inner(value, "max")) {
            (Some(name), _) => (Measure::Norm, name),
            (_, Some(name)) => (Measure::Max, name),
            _ => (Measure::Itself, value.trim().to_string()),
        };
        if name.is_empty() || name.contains(['(', ')', ' ']) || !bound.is_finite() {
            return Err(expected.to_string());
        }
        Ok(Self { measure, name, test })
    }
}

impl Condition {
    /// The value that satisfies it, if one does.
    ///
    /// # Errors
    /// E0201 when nothing has the name; E0302 when several values have it and none of them is said.
    pub fn evaluate<T: Element>(&self, step: &StepValues, store: &Store<T>) -> Result<Option<f64>, Diagnostic> {
        let reported =
            step.values.iter().find(|(reported, _)| *reported.name == *self.name).map(|(_, value)| vec![*value]);
        let stored = || {
            let kinds = [StoreKind::Param, StoreKind::State];
            let found = kinds.iter().find_map(|kind| store.find(*kind, &self.name));
            found.map(|values| match values {
                crate::exec::Values::Float(values) => values.iter().map(|value| value.as_f64()).collect(),
                crate::exec::Values::Int(values) => values.iter().map(|value| f64::from(*value)).collect(),
            })
        };
        let Some(values): Option<Vec<f64>> = reported.or_else(stored) else { return Err(self.unknown(step, store)) };
        let value = match (self.measure, values.as_slice()) {
            (Measure::Norm, values) => values.iter().map(|value| value * value).sum::<f64>().sqrt(),
            (Measure::Max, values) => {
                values.iter().fold(0.0, |most, value| if value.is_nan() { *value } else { value.abs().max(most) })
            }
            (Measure::Itself, [value]) => *value,
            // One that is not finite speaks for all.
            (Measure::Itself, values) if self.test == Test::NotFinite => {
                values.iter().copied().find(|value| !value.is_finite()).unwrap_or(0.0)
            }
            (Measure::Itself, values) => {
                return Err(Diagnostic::error(Code::E0302, format!("`{}` has {} elements", self.name, values.len()))
                    .with_help(format!("ask for `norm({0})` or `max({0})`", self.name)));
            }
        };
        Ok(self.test.holds(value).then_some(value))
    }

    fn unknown<T: Element>(&self, step: &StepValues, store: &Store<T>) -> Diagnostic {
        let reported = step.values.iter().map(|(reported, _)| &*reported.name);
        let stored = store.entries().map(|entry| &**entry.name());
        let known: Vec<&str> = reported.chain(stored).collect();
        Diagnostic::error(Code::E0201, format!("no loss, metric, param or state is named `{}`", self.name))
            .with_suggestion(&self.name, known.iter().copied())
            .with_note("expected: what a step reports, or the path of a param or state")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read() {
        let read = |text: &str| text.parse::<Condition>().map(|found| (found.measure, found.name, found.test));
        assert_eq!(read("error > 10"), Ok((Measure::Itself, "error".into(), Test::Above(10.0))));
        assert_eq!(read("norm( dense.kernel )>=5e-1"), Ok((Measure::Norm, "dense.kernel".into(), Test::AtLeast(0.5))));
        assert_eq!(read("max(w)<-1"), Ok((Measure::Max, "w".into(), Test::Below(-1.0))));
        assert_eq!(read("total.alpha <= 0"), Ok((Measure::Itself, "total.alpha".into(), Test::AtMost(0.0))));
        assert_eq!(read("nan(total)"), Ok((Measure::Itself, "total".into(), Test::NotFinite)));
        for wrong in
            ["", "error", "> 1", "error > much", "error == 1", "sum(w) > 1", "nan()", "a b > 1", "x > inf", "x >"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
