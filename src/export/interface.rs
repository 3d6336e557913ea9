//! What a program reads and gives, as plain data: fields, params, states, losses, sums.

use crate::analyse::ranges::Demand;
use crate::ir::TensorType;
use crate::passes::Product;
use serde::{Deserialize, Serialize};

/// An input or target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldForm {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: TensorType,
    /// whether values may be missing
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// the columns of a table, or the array, that a run config reads it from
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// the whole numbers that it may hold, where the graph shows it
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepts: Vec<AcceptForm>,
}

/// The whole numbers that some elements of a row may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptForm {
    /// by the axes of a row: start, extent and stride, or none for all of it
    pub elements: Vec<Option<(usize, usize, usize)>>,
    /// closed intervals
    pub intervals: Vec<(i64, i64)>,
    pub role: String,
}

impl From<&Demand> for AcceptForm {
    fn from(demand: &Demand) -> Self {
        Self {
            elements: demand.region.clone(),
            intervals: demand.accepted.intervals().to_vec(),
            role: demand.role.clone(),
        }
    }
}

/// A param.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParamForm {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: TensorType,
    /// whether an objective moves it
    pub trained: bool,
    /// whether a combiner owns it: a weight of losses
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_combiner: bool,
}

/// A state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateForm {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: TensorType,
}

/// A loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossForm {
    pub name: String,
    /// Whether some samples may be missing: an output of role `weight` and the same name says of how many the value is the mean.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub weighted: bool,
}

/// A sum of products that batches give without `left * right / count`, all four of them names of sums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductForm {
    pub sum: String,
    pub left: String,
    pub right: String,
    pub count: String,
}

impl From<&Product> for ProductForm {
    fn from(product: &Product) -> Self {
        let [sum, left, right, count] =
            [&product.sum, &product.left, &product.right, &product.count].map(ToString::to_string);
        Self { sum, left, right, count }
    }
}

impl From<&ProductForm> for Product {
    fn from(form: &ProductForm) -> Self {
        let [sum, left, right, count] =
            [&form.sum, &form.left, &form.right, &form.count].map(|name| name.as_str().into());
        Self { sum, left, right, count }
    }
}
