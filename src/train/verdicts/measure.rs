//! What the data say of a run: measured on some of their rows.

use super::{Curves, Evidence};
use crate::data::{Dataset, Field, MISSING_INT, Numbers, shuffled};
use crate::diag::Diagnostics;
use crate::ir::{DType, Dim, TensorType};
use crate::lower::Module;
use crate::ops::Element;
use crate::train::evaluation::Evaluation;
use crate::train::run::RunData;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Rows that are looked at.
const ROWS: usize = 1024;
/// Times that labels are shuffled.
const SHUFFLES: u64 = 6;
/// Products of rows, columns and targets that are looked at for columns that tell a target.
const PRODUCTS: usize = 20_000_000;
/// A column that explains such a share of a target's variance tells it.
const TELLS: f64 = 0.999;
/// Inputs of fewer columns may well be what a target is a function of, and targets of more numbers are pictures.
const COLUMNS: usize = 3;
const NUMBERS: usize = 4;
/// Labels, fewer than which say nothing by being shuffled.
const LABELS: usize = 30;

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub batch_size: u32,
    /// what the first steps reported, when they were made again
    pub first_steps: Curves,
    /// of targets that may be missing
    pub missing: Vec<Missing>,
    pub telling: Vec<Telling>,
    pub shared: Option<Shared>,
    /// part, target and the share of its most frequent class
    pub frequent: Vec<(String, String, f64)>,
    pub trials: Vec<Trial>,
}

/// How many training rows lack a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    pub target: String,
    pub missing: usize,
    pub rows: usize,
}

/// A column that determines a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    pub input: String,
    /// in words
    pub column: String,
    pub target: String,
    /// of the target's variance, from 0 to 1
    pub share: f64,
    pub rows: usize,
}

/// Rows of a part whose inputs stand among the training rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    pub part: &'static str,
    pub count: usize,
    pub rows: usize,
}

/// A loss with the labels of the rows themselves, and with labels shuffled among the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    pub part: String,
    pub loss: String,
    pub paired: f64,
    pub shuffled: Vec<f64>,
}

impl Trial {
    /// With shuffled labels.
    pub fn mean(&self) -> f64 {
        self.shuffled.iter().sum::<f64>() / self.shuffled.len().max(1) as f64
    }

    /// Whether the rows' own labels do no better than shuffled ones do by chance.
    pub fn is_at_chance(&self) -> bool {
        let mean = self.mean();
        let variance = self.shuffled.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let deviation = (variance / self.shuffled.len().saturating_sub(1).max(1) as f64).sqrt();
        self.paired.is_finite() && mean.is_finite() && mean - self.paired <= 2.5 * deviation + 1e-6 * mean.abs()
    }

    /// By which part of itself the loss is lower with the rows' own labels.
    pub fn skill(&self) -> f64 {
        let mean = self.mean();
        if mean == 0.0 { 0.0 } else { (mean - self.paired) / mean.abs() }
    }
}

fn has_rows(ty: &TensorType) -> bool {
    ty.shape.first().is_some_and(Dim::is_batch)
}

fn is_missing(values: &Numbers, at: usize) -> bool {
    match values {
        Numbers::I32(values) => values[at] == MISSING_INT,
        other => other.get(at).is_nan(),
    }
}

fn row_is_missing(field: &Field, row: usize) -> bool {
    let n = field.row_len();
    (row * n..(row + 1) * n).any(|at| is_missing(&field.values, at))
}

/// A sample of a dataset's rows, drawn evenly: files are often sorted.
fn sample(data: &Dataset, module: &Module, most: usize) -> Dataset {
    let rows = shuffled(data.rows, 0, 0);
    let rows = &rows[..rows.len().min(most)];
    let fields = data.fields.iter().map(|(name, field)| (name.clone(), taken(field, rows, in_rows(module, name))));
    Dataset { fields: fields.collect(), rows: rows.len() }
}

fn in_rows(module: &Module, name: &str) -> bool {
    module.inputs.get(name).or_else(|| module.targets.get(name)).is_some_and(|info| has_rows(&info.ty))
}

fn taken(field: &Field, rows: &[u32], has_rows: bool) -> Field {
    if !has_rows {
        return field.clone();
    }
    let values = field.values.rows(rows.iter().map(|row| *row as usize), field.row_len());
    Field { shape: field.shape.clone(), values }
}

/// What needs no program, of the targets that losses are made of: labels that are missing, columns that tell a target, rows that parts share, frequent classes.
pub(super) fn of_data(module: &Module, targets: &BTreeSet<&str>, data: &RunData, batch_size: u32) -> Facts {
    let mut facts = Facts { batch_size, ..Facts::default() };
    let targets: Vec<&str> = targets.iter().copied().filter(|name| in_rows(module, name)).collect();
    for target in targets.iter().filter(|target| module.targets[**target].optional) {
        if let Some(field) = data.train.fields.get(*target) {
            let missing = (0..data.train.rows).filter(|row| row_is_missing(field, *row)).count();
            facts.missing.push(Missing { target: (*target).to_string(), missing, rows: data.train.rows });
        }
    }
    facts.telling = telling(module, &data.train, &targets);
    let parts = [("validation", &data.validation), ("test", &data.test)];
    let parts = || parts.into_iter().filter_map(|(part, data)| Some((part, data.as_ref()?)));
    facts.shared = parts().find_map(|(part, other)| shared(module, &data.train, part, other));
    for (part, data) in parts().chain([("train", &data.train)]) {
        for target in targets.iter().filter(|target| module.targets[**target].ty.dtype == DType::I32) {
            let share = data.fields.get(*target).and_then(|field| most_frequent(field, data.rows));
            facts.frequent.extend(share.map(|share| (part.to_string(), (*target).to_string(), share)));
        }
    }
    facts
}

fn most_frequent(field: &Field, rows: usize) -> Option<f64> {
    let Numbers::I32(values) = &field.values else { return None };
    let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
    values.iter().filter(|value| **value != MISSING_INT).for_each(|value| *counts.entry(*value).or_default() += 1);
    let most = counts.values().max()?;
    (field.row_len() == 1 && rows > 0).then(|| *most as f64 / counts.values().sum::<usize>() as f64)
}

/// For each target the input column that determines it, if any does.
fn telling(module: &Module, train: &Dataset, targets: &[&str]) -> Vec<Telling> {
    let inputs: Vec<(&str, &Field)> = (module.inputs.iter())
        .filter(|(_, info)| has_rows(&info.ty))
        .filter_map(|(name, _)| Some((&**name, train.fields.get(&**name)?)))
        .collect();
    let n_columns: usize = inputs.iter().map(|(_, field)| field.row_len()).sum();
    if n_columns < COLUMNS {
        return Vec::new();
    }
    let mut found = Vec::new();
    for target in targets {
        let Some(labels) = train.fields.get(*target).filter(|field| field.row_len() <= NUMBERS) else { continue };
        let most = (PRODUCTS / n_columns.max(1) / labels.row_len().max(1)).clamp(LABELS, 4 * ROWS);
        let rows: Vec<usize> = shuffled(train.rows, 0, 0).into_iter().map(|row| row as usize).collect();
        let rows = rows.into_iter().filter(|row| !row_is_missing(labels, *row)).take(most).collect::<Vec<_>>();
        if rows.len() < LABELS {
            continue;
        }
        let best = inputs.iter().find_map(|(input, field)| {
            let of = |column: usize| (0..labels.row_len()).map(move |at| (column, at));
            (0..field.row_len()).flat_map(of).find_map(|(column, at)| {
                let x: Vec<f64> = rows.iter().map(|row| field.values.get(row * field.row_len() + column)).collect();
                let y: Vec<f64> = rows.iter().map(|row| labels.values.get(row * labels.row_len() + at)).collect();
                let share =
                    if matches!(labels.values, Numbers::I32(_)) { between(&y, &x) } else { correlation(&x, &y) };
                let column = if field.row_len() == 1 { "the column".into() } else { format!("column {column}") };
                let (input, target) = ((*input).to_string(), (*target).to_string());
                (share >= TELLS).then_some(Telling { input, column, target, share, rows: rows.len() })
            })
        });
        found.extend(best);
    }
    found
}

/// The square of Pearson's correlation; 0 where one of them does not vary.
fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        xx += (x - mean_x) * (x - mean_x);
        yy += (y - mean_y) * (y - mean_y);
        xy += (x - mean_x) * (y - mean_y);
    }
    if xx > 0.0 && yy > 0.0 { xy * xy / (xx * yy) } else { 0.0 }
}

/// The share of a column's variance that lies between classes (η²): 1 where the column is a function of the class. 0 where classes are
/// too many for the rows, or two of them have one mean, so that the column does not tell them apart.
fn between(classes: &[f64], x: &[f64]) -> f64 {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let mut groups: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for (class, x) in classes.iter().zip(x) {
        let group = groups.entry(*class as i64).or_default();
        *group = (group.0 + 1.0, group.1 + x);
    }
    let total: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
    let mut means: Vec<f64> = groups.values().map(|(count, sum)| sum / count).collect();
    means.sort_by(f64::total_cmp);
    let apart = means.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    if groups.len() < 2 || 5 * groups.len() > x.len() || total <= 0.0 || apart * apart < 1e-3 * total / n {
        return 0.0;
    }
    groups.values().map(|(count, sum)| count * (sum / count - mean).powi(2)).sum::<f64>() / total
}

/// The rows of a part whose inputs also stand among the training rows; none where training rows repeat themselves.
fn shared(module: &Module, train: &Dataset, part: &'static str, other: &Dataset) -> Option<Shared> {
    let inputs: Vec<&str> =
        module.inputs.iter().filter(|(_, info)| has_rows(&info.ty)).map(|(name, _)| &**name).collect();
    let hashes = |data: &Dataset| -> Option<Vec<u64>> {
        let fields: Vec<&Field> = inputs.iter().map(|name| data.fields.get(*name)).collect::<Option<_>>()?;
        let hash = |row: usize| {
            let mut hasher = DefaultHasher::new();
            fields.iter().flat_map(|field| field.row_bits(row)).for_each(|bits| bits.hash(&mut hasher));
            hasher.finish()
        };
        Some((0..data.rows).map(hash).collect())
    };
    let seen = hashes(train)?;
    let distinct: BTreeSet<u64> = seen.iter().copied().collect();
    if inputs.is_empty() || (distinct.len() as f64) < 0.9 * seen.len() as f64 {
        return None;
    }
    let count = hashes(other)?.into_iter().filter(|hash| distinct.contains(hash)).count();
    Some(Shared { part, count, rows: other.rows })
}

/// Evaluates the losses that depend on labels with the rows' own and with shuffled ones, on some rows of each part.
///
/// # Errors
/// Those of an evaluation.
pub(super) fn trials<T: Element>(
    evidence: &Evidence,
    module: &Module,
    data: &RunData,
    evaluation: &mut Evaluation<T>,
) -> Result<Vec<Trial>, Diagnostics> {
    let targets: Vec<&str> = module.targets.keys().map(|name| &**name).filter(|name| in_rows(module, name)).collect();
    let mut found = Vec::new();
    if evidence.labelled.is_empty() {
        return Ok(found);
    }
    let parts = [("train", Some(&data.train)), ("validation", data.validation.as_ref()), ("test", data.test.as_ref())];
    for (part, data) in parts.into_iter().filter_map(|(part, data)| Some((part, data?))) {
        let mut data = sample(data, module, ROWS);
        let n_labels = |target: &&str| {
            data.fields.get(*target).map(|field| (0..data.rows).filter(|row| !row_is_missing(field, *row)).count())
        };
        if targets.iter().filter_map(n_labels).min().is_none_or(|fewest| fewest < LABELS) {
            continue;
        }
        let mut values = |data: &Dataset| -> Result<BTreeMap<String, f64>, Diagnostics> {
            evaluation.review(data)?;
            evaluation.begin();
            evaluation.add(data, ROWS as u32 / 4)?;
            let named =
                |(reported, value): (crate::train::Reported, Option<f64>)| Some((reported.name.to_string(), value?));
            Ok(evaluation.values().into_iter().filter_map(named).collect())
        };
        let paired = values(&data)?;
        let own: Vec<(String, Field)> =
            targets.iter().filter_map(|name| Some(((*name).to_string(), data.fields.get(*name)?.clone()))).collect();
        let mut at_random: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for number in 1..=SHUFFLES {
            let rows = shuffled(data.rows, 0, number);
            for (name, field) in &own {
                data.fields.insert(name.clone(), taken(field, &rows, true));
            }
            for (name, value) in values(&data)? {
                at_random.entry(name).or_default().push(value);
            }
        }
        for loss in &evidence.labelled {
            if let (Some(paired), Some(shuffled)) = (paired.get(loss), at_random.remove(loss)) {
                found.push(Trial { part: part.to_string(), loss: loss.clone(), paired: *paired, shuffled });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_is_the_class_tells_it_and_one_that_goes_along_does_not() {
        let classes: Vec<f64> = (0..300).map(|at| f64::from(at % 3)).collect();
        let same: Vec<f64> = classes.iter().map(|class| 5.0 - 2.0 * class).collect();
        assert!(between(&classes, &same) > 0.999);
        let noisy: Vec<f64> = same.iter().enumerate().map(|(at, x)| x + (at as f64).sin()).collect();
        assert!(between(&classes, &noisy) < 0.95);
        // It tells one class from the others, and those not apart.
        let one: Vec<f64> = classes.iter().map(|class| f64::from(u8::from(*class == 0.0))).collect();
        assert!(between(&classes, &one) < 0.5);
        assert_eq!(between(&same, &[1.0; 300]), 0.0);
        let each: Vec<f64> = (0..300).map(f64::from).collect();
        assert_eq!(between(&each, &each), 0.0, "a class for each row");
    }

    #[test]
    fn correlation_is_of_what_varies() {
        let x: Vec<f64> = (0..50).map(|at| f64::from(at).sin()).collect();
        let line: Vec<f64> = x.iter().map(|x| 3.0 - 7.0 * x).collect();
        assert!((correlation(&x, &line) - 1.0).abs() < 1e-12);
        assert_eq!(correlation(&x, &[2.0; 50]), 0.0);
        let other: Vec<f64> = (0..50).map(|at| f64::from(at).cos()).collect();
        assert!(correlation(&x, &other) < 0.1);
    }

    #[test]
    fn chance_is_what_shuffled_labels_do() {
        let trial = |paired| Trial {
            part: "train".into(),
            loss: "a".into(),
            paired,
            shuffled: vec![1.0, 1.02, 0.98, 1.01, 0.99],
        };
        assert!(trial(1.0).is_at_chance() && trial(1.5).is_at_chance() && trial(0.97).is_at_chance());
        assert!(!trial(0.9).is_at_chance() && !trial(f64::NAN).is_at_chance());
        let constant = Trial { shuffled: vec![0.5; 6], ..trial(0.5) };
        assert!(constant.is_at_chance() && constant.skill() == 0.0);
    }
}
