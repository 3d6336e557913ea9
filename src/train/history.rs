//! What a run did, epoch by epoch, and its CSV form.

use super::reported::Reported;
use super::trainer::LossWeight;
use std::fmt::Write as _;
use std::sync::Arc;

/// A part of the data that is reported apart: `train`, `validation`, `test`.
pub type Part = &'static str;

/// Sample-weighted means over one part of the data; none for a value that is missing in every row.
#[derive(Clone, Debug, PartialEq)]
pub struct PartRecord {
    pub part: Part,
    pub values: Vec<(Reported, Option<f64>)>,
}

impl PartRecord {
    pub fn new(part: Part, reported: &[Reported], values: &[Option<f64>]) -> Self {
        Self { part, values: reported.iter().cloned().zip(values.iter().copied()).collect() }
    }

    /// A value by its name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(reported, _)| &*reported.name == name).and_then(|(_, value)| *value)
    }
}

/// One epoch. Values of `train` are means over the steps' own batches; the other parts are evaluated after the epoch.
/// Before training there is no `train`.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochRecord {
    /// from 1; 0 is the state before training
    pub epoch: u32,
    /// training steps since the start
    pub step: u64,
    pub parts: Vec<PartRecord>,
    /// after the epoch
    pub weights: Vec<LossWeight>,
}

impl EpochRecord {
    /// A value by part and name.
    pub fn get(&self, part: &str, name: &str) -> Option<f64> {
        self.parts.iter().find(|record| record.part == part)?.get(name)
    }
}

/// All epochs of a run, from epoch 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    pub epochs: Vec<EpochRecord>,
}

impl History {
    /// The record of an epoch.
    pub fn epoch(&self, epoch: u32) -> Option<&EpochRecord> {
        self.epochs.iter().find(|record| record.epoch == epoch)
    }
}

/// The columns of a history as CSV: `epoch,step`, then `PART/NAME` of every value, then `weight/PATH` of every loss weight.
/// Numbers are written so that they read back as they were; a cell is empty where there is no value, as for `train` before the
/// first epoch and for what no row of an epoch has.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    pub parts: Vec<(Part, Vec<Reported>)>,
    /// each with its number of elements
    pub weights: Vec<(Arc<str>, usize)>,
}

impl Columns {
    /// The first line.
    pub fn header(&self) -> String {
        let mut text = String::from("epoch,step");
        for (part, reported) in self.values() {
            let _ = write!(text, ",{part}/{}", reported.name);
        }
        for (name, n_values) in &self.weights {
            for column in weight_columns(name, *n_values) {
                let _ = write!(text, ",weight/{column}");
            }
        }
        text + "\n"
    }

    /// The line of an epoch.
    pub fn row(&self, record: &EpochRecord) -> String {
        let mut text = format!("{},{}", record.epoch, record.step);
        for (part, reported) in self.values() {
            let value = record.get(part, &reported.name).map_or_else(String::new, |value| value.to_string());
            let _ = write!(text, ",{value}");
        }
        for value in record.weights.iter().flat_map(|weight| &weight.values) {
            let _ = write!(text, ",{value}");
        }
        text + "\n"
    }

    /// Reads what [`Columns::header`] and [`Columns::row`] wrote; none when it is something else.
    pub fn read(&self, text: &str) -> Option<History> {
        let rows = text.strip_prefix(&self.header())?.lines();
        // A run that goes on with another's params may begin after its epochs.
        let rows = rows.enumerate().map(|(at, row)| self.read_row(row, at == 0));
        rows.collect::<Option<_>>().map(|epochs| History { epochs })
    }

    /// `is_first`: of the state before training.
    fn read_row(&self, row: &str, is_first: bool) -> Option<EpochRecord> {
        let mut cells = row.split(',');
        let (epoch, step) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
        let mut parts = Vec::new();
        for (part, reported) in &self.parts {
            let value = |_| match cells.next()? {
                "" => Some(None),
                cell => cell.parse().ok().map(Some),
            };
            let values: Vec<Option<f64>> = reported.iter().map(value).collect::<Option<_>>()?;
            // The steps of an epoch are recorded with it, and before training there are none.
            if !is_first || *part != "train" {
                parts.push(PartRecord::new(part, reported, &values));
            }
        }
        let mut weights = Vec::new();
        for (name, n_values) in &self.weights {
            let values = (0..*n_values).map(|_| cells.next()?.parse().ok());
            weights.push(LossWeight { name: name.clone(), values: values.collect::<Option<_>>()? });
        }
        cells.next().is_none().then_some(EpochRecord { epoch, step, parts, weights })
    }

    fn values(&self) -> impl Iterator<Item = (Part, &Reported)> {
        self.parts.iter().flat_map(|(part, reported)| reported.iter().map(move |reported| (*part, reported)))
    }
}

/// `alpha`, or `weights[0]`, `weights[1]` for a param of several elements.
fn weight_columns(name: &Arc<str>, n_values: usize) -> Vec<String> {
    if n_values == 1 { vec![name.to_string()] } else { (0..n_values).map(|at| format!("{name}[{at}]")).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Role;

    #[test]
    fn a_history_reads_back_as_it_was() {
        let reported = |name: &str| Reported { role: Role::Loss, name: name.into() };
        let (a, b) = (reported("a"), reported("b"));
        let parts = vec![("train", vec![a.clone(), b.clone()]), ("test", vec![a.clone()])];
        let columns = Columns { parts, weights: vec![("w".into(), 2), ("alpha".into(), 1)] };
        let weights = |x: f64| {
            let weight = |name: &str, values| LossWeight { name: name.into(), values };
            vec![weight("w", vec![x, 1.0 / 3.0]), weight("alpha", vec![-0.0])]
        };
        let test = |value| PartRecord::new("test", std::slice::from_ref(&a), &[value]);
        let train = PartRecord::new("train", &[a.clone(), b], &[Some(1e-310), None]);
        let epochs = vec![
            EpochRecord { epoch: 0, step: 0, parts: vec![test(Some(0.1 + 0.2))], weights: weights(1.0) },
            EpochRecord { epoch: 1, step: 7, parts: vec![train, test(None)], weights: weights(f64::INFINITY) },
        ];
        let rows: String = epochs.iter().map(|record| columns.row(record)).collect();
        let text = columns.header() + &rows;
        assert!(text.starts_with("epoch,step,train/a,train/b,test/a,weight/w[0],weight/w[1],weight/alpha\n0,0,,,"));
        assert_eq!(columns.read(&text), Some(History { epochs }));
        for broken in [&text[1..], &text[..text.len() - 3], &(text.clone() + "2,8\n"), &text.replace("inf", "much")] {
            assert_eq!(columns.read(broken), None, "{broken}");
        }
    }
}
