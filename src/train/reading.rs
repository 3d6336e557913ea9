//! What a saved program reads from data: its fields, those that have the value which the run gave them, and the range of each number.

use super::config::fed_fields;
use super::fields::Fields;
use super::outputs::Precision;
use super::ranges::Ranges;
use super::saved::{InputForm, broken};
use crate::data::{Dataset, Field, FieldSpec, Flaw};
use crate::diag::Diagnostics;
use crate::ir::DimSizes;

/// The data of a program that a run's folder holds.
#[derive(Debug)]
pub(super) struct Reading {
    fields: Fields,
    /// what the run gave fields that have one value for all rows
    fed: Vec<(String, Field)>,
    precision: Precision,
    ranges: Ranges,
}

impl Reading {
    /// `forms` are the inputs and targets as they are saved, of which `fields` are read.
    ///
    /// # Errors
    /// E0603, E0604 and E0608 when the file that holds the forms was changed.
    pub fn new<'f>(
        fields: Fields,
        forms: impl Iterator<Item = &'f InputForm>,
        precision: Precision,
        ranges: Ranges,
    ) -> Result<Self, Diagnostics> {
        let fed = fed_of(forms, &fields, precision)?;
        Ok(Self { fields, fed, precision, ranges })
    }

    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    /// The names of the fields that are read from data.
    pub fn names(&self) -> Vec<&str> {
        let is_fed = |name: &&str| self.fed.iter().any(|(fed, _)| fed == name);
        self.fields.names().into_iter().filter(|name| !is_fed(name)).collect()
    }

    /// The fields that have the value which the run gave them.
    pub fn fed(&self) -> &[(String, Field)] {
        &self.fed
    }

    /// What a data file must hold.
    pub fn specs(&self) -> Vec<FieldSpec> {
        let mut specs = self.fields.specs_within(self.precision.largest());
        specs.retain(|spec| !self.fed.iter().any(|(name, _)| *name == spec.name));
        specs
    }

    /// The run-time sizes that a dataset has; the ranges are then those of these sizes.
    ///
    /// # Errors
    /// E0603 when its fields disagree.
    pub fn sizes(&mut self, data: &Dataset) -> Result<DimSizes, Diagnostics> {
        let sizes = self.fields.sizes(data)?;
        self.ranges.set_sizes(&sizes);
        Ok(sizes)
    }

    /// What in a dataset lies outside of what the program indexes.
    ///
    /// # Errors
    /// E0603 when its fields disagree.
    pub fn review(&mut self, data: &Dataset) -> Result<Vec<Flaw>, Diagnostics> {
        self.sizes(data)?;
        Ok(self.ranges.flaws(data))
    }
}

/// The values that a run gave those of its fields that a program reads.
fn fed_of<'f>(
    forms: impl Iterator<Item = &'f InputForm>,
    fields: &Fields,
    precision: Precision,
) -> Result<Vec<(String, Field)>, Diagnostics> {
    let names = fields.names();
    let forms: Vec<&InputForm> = forms.collect();
    for (form, fed) in forms.iter().filter_map(|form| Some((form, form.fed.as_ref()?))) {
        let n_values = fed.shape.iter().fold(1_usize, |product, &extent| product.saturating_mul(extent));
        if n_values != fed.values.len() {
            return Err(broken(format!("what `{}` was fed has not the numbers of its shape", form.name)).into());
        }
    }
    let given = forms.into_iter().filter_map(|form| Some((form.name.as_str(), form.fed.as_ref()?)));
    let given = given.filter(|(name, _)| names.contains(name));
    fed_fields(given, &fields.specs_within(precision.largest()))
}
