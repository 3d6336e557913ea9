//! Values that are well-formed and yet not what a program can take: found by who knows the program, placed by who knows the
//! file.

use super::{Dataset, shape_text};
use crate::diag::{Code, Diagnostic};

/// How many places a message names.
const PLACES_NAMED: usize = 5;

/// Something that some values of one field have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Flaw {
    pub field: String,
    /// how many values have it
    pub count: usize,
    /// where the first of them stand among all values of the field
    pub first: Vec<usize>,
    /// what it is, but for the places
    pub finding: Diagnostic,
}

impl Flaw {
    /// No value so far.
    pub fn new(field: &str) -> Self {
        let finding = Diagnostic::error(Code::E0604, format!("wrong values in `{field}`"));
        Self { field: field.to_string(), count: 0, first: Vec::new(), finding }
    }

    /// Counts the value at a place.
    pub fn note(&mut self, at: usize) {
        self.count += 1;
        if self.first.len() < PLACES_NAMED {
            self.first.push(at);
        }
    }

    /// Says what it is, by the number of values.
    pub fn because(mut self, finding: impl FnOnce(usize) -> Diagnostic) -> Self {
        self.finding = finding(self.count);
        self
    }

    /// The finding with the places that have been given words.
    pub fn finding(self, data: &Dataset, place: impl Fn(usize) -> String) -> Diagnostic {
        let Self { field, count, first, mut finding } = self;
        let value = |at: usize| {
            let values = data.fields.get(&field).map(|field| &field.values);
            values.filter(|values| at < values.len()).map_or(f64::NAN, |values| values.get(at))
        };
        let places: Vec<String> = first.iter().map(|&at| format!("{} at {}", value(at), place(at))).collect();
        let more = if count > first.len() { format!(", and {} more", count - first.len()) } else { String::new() };
        finding.notes.insert(0, format!("found: {}{more}", places.join(", ")));
        finding
    }

    /// The finding about data that no file is known of.
    pub fn without_file(self, data: &Dataset) -> Diagnostic {
        let shape = data.fields.get(&self.field).map(|field| field.shape.clone()).unwrap_or_default();
        let row_len = shape.iter().product::<usize>().max(1);
        self.finding(data, |at| element_place(at / row_len, at % row_len, &shape))
    }
}

/// `row 5` or `row 5, element [2, 3]`.
pub(super) fn element_place(row: usize, element: usize, shape: &[usize]) -> String {
    if shape.is_empty() {
        return format!("row {row}");
    }
    format!("row {row}, element {}", shape_text(&index_of(element, shape)))
}

/// The index of an element within a shape, by its place in row-major order.
pub(crate) fn index_of(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (place, &extent) in index.iter_mut().zip(shape).rev() {
        *place = at % extent.max(1);
        at /= extent.max(1);
    }
    index
}
