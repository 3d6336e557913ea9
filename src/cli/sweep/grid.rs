//! The settings of a sweep: every combination of some values, or a number of random ones.

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A name and the values that it takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub name: String,
    pub values: Values,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    List(Vec<String>),
    /// drawn from, between the ends
    Range {
        from: f64,
        to: f64,
        is_integer: bool,
    },
}

/// One combination: a value for each name, in the order of the axes.
pub(super) type Setting = Vec<(String, String)>;

impl Axis {
    /// Reads `width=32,64` or `lr=1e-4..1e-1`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, values) = text.split_once('=').ok_or("expected NAME=VALUE,VALUE or NAME=FROM..TO")?;
        let (name, values) = (name.trim().to_string(), values.trim());
        if name.is_empty() || values.is_empty() {
            return Err("expected NAME=VALUE,VALUE or NAME=FROM..TO".into());
        }
        let range = values.split_once("..").and_then(|(from, to)| {
            let is_integer = from.parse::<i64>().is_ok() && to.parse::<i64>().is_ok();
            Some((from.parse::<f64>().ok()?, to.parse::<f64>().ok()?, is_integer))
        });
        let values = match range {
            Some((from, to, is_integer)) if from < to && to.is_finite() && from.is_finite() => {
                Values::Range { from, to, is_integer }
            }
            Some(_) => return Err(format!("`{values}`: the first end is not below the second")),
            None => Values::List(values.split(',').map(|value| value.trim().to_string()).collect()),
        };
        Ok(Self { name, values })
    }

    /// A value drawn: from a list, each equally likely; from a range evenly, on a logarithmic scale where its ends are positive and
    /// at least ten-fold apart.
    fn draw(&self, random: &mut ChaCha8Rng) -> String {
        match &self.values {
            Values::List(values) => values.choose(random).cloned().unwrap_or_default(),
            Values::Range { from, to, is_integer } => {
                let share: f64 = random.random_range(0.0..1.0);
                let upper = if *is_integer { to + 1.0 } else { *to };
                let value = if *from > 0.0 && to / from >= 10.0 {
                    (from.ln() + share * (upper / from).ln()).exp()
                } else {
                    from + share * (upper - from)
                };
                // Four digits say which run it is.
                if *is_integer { value.floor().min(*to).to_string() } else { digits(value) }
            }
        }
    }
}

/// A number of four digits.
fn digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    if rounded == 0.0 || (1e-3..1e5).contains(&rounded.abs()) { rounded.to_string() } else { format!("{rounded:e}") }
}

/// Every combination, the last name changing fastest.
///
/// # Errors
/// The name of an axis that is a range: of it there is no every value.
pub(super) fn grid(axes: &[Axis]) -> Result<Vec<Setting>, String> {
    let mut settings = vec![Setting::new()];
    for axis in axes {
        let Values::List(values) = &axis.values else { return Err(axis.name.clone()) };
        let with = |setting: &Setting, value: &String| {
            setting.iter().cloned().chain([(axis.name.clone(), value.clone())]).collect::<Setting>()
        };
        settings = settings.iter().flat_map(|setting| values.iter().map(move |value| with(setting, value))).collect();
    }
    Ok(settings)
}

/// So many different combinations drawn by a seed; fewer where there are no more.
pub(super) fn draw(axes: &[Axis], n: usize, seed: u64) -> Vec<Setting> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut settings: Vec<Setting> = Vec::new();
    // Draws that came before do not count; a small grid is soon exhausted.
    for _ in 0..n.saturating_mul(100) {
        if settings.len() == n {
            break;
        }
        let setting: Setting = axes.iter().map(|axis| (axis.name.clone(), axis.draw(&mut random))).collect();
        if !settings.contains(&setting) {
            settings.push(setting);
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(texts: &[&str]) -> Vec<Axis> {
        texts.iter().map(|text| Axis::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_grid_has_every_combination_once() {
        let settings = grid(&axes(&["width=32,64", "kind=a,b,c"])).unwrap();
        assert_eq!(settings.len(), 6);
        assert_eq!(settings[1], [("width".into(), "32".into()), ("kind".into(), "b".into())]);
        assert_eq!(grid(&axes(&["a=1,2", "lr=1e-4..1e-1"])).unwrap_err(), "lr");
        for wrong in ["width", "=3", "width=", "lr=2..1", "lr=1..1"] {
            assert!(Axis::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn draws_lie_within_and_differ() {
        let axes = axes(&["lr=1e-4..1e-1", "n=1..8", "kind=a,b"]);
        let settings = draw(&axes, 200, 3);
        assert_eq!(settings.len(), 200);
        assert_eq!(settings, draw(&axes, 200, 3));
        let numbers = |at: usize| settings.iter().map(move |setting| setting[at].1.parse::<f64>().unwrap());
        assert!(numbers(0).all(|lr| (1e-4..=1e-1).contains(&lr)));
        // On a logarithmic scale half of them lie below the ends' geometric mean.
        let below = numbers(0).filter(|lr| *lr < 10_f64.powf(-2.5)).count();
        assert!((60..140).contains(&below), "{below}");
        assert!(numbers(1).all(|n| n.fract() == 0.0 && (1.0..=8.0).contains(&n)));
        assert!((1..=8).all(|n| numbers(1).any(|found| found == f64::from(n))));
        assert_eq!(draw(&axes[2..], 9, 0).len(), 2);
    }
}
