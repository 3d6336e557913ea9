//! Metrics of an epoch that are functions of sums over its rows.
//!
//! Takes the sums that each batch's program gives, adds them up in f64, and evaluates the function of them once, so the
//! value is that of all rows at once, whatever the batch size. A sum of products is given about the batch's means, and what is
//! missing of it is added here, where it costs no digits.

use crate::exec::{Clock, Executor, Store, StoreKind, Values};
use crate::ir::{DimSizes, Graph, NodeId, Role, bind};
use crate::ops::{Element, Input, InputKind, Op, Tensor, reference};
use crate::passes::Product;
use crate::pipeline::Simple;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sums so far, and the program that makes metrics of them.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    finals: Simple,
    products: Vec<Product>,
    sums: BTreeMap<Arc<str>, Vec<f64>>,
}

impl Sums {
    pub fn new(finals: Simple, products: Vec<Product>) -> Self {
        Self { finals, products, sums: BTreeMap::new() }
    }

    /// Forgets all sums.
    pub fn clear(&mut self) {
        self.sums.clear();
    }

    /// The sums so far by name.
    pub fn get(&self) -> &BTreeMap<Arc<str>, Vec<f64>> {
        &self.sums
    }

    /// Goes on from sums that [`Sums::get`] gave.
    pub fn set(&mut self, sums: BTreeMap<Arc<str>, Vec<f64>>) {
        self.sums = sums;
    }

    /// Adds the sums of the batch that an executor ran last.
    pub fn add<T: Element>(&mut self, executor: &Executor<T>) {
        for (fetch, values) in executor.results().filter(|(fetch, _)| fetch.role == Role::Sum) {
            let values = values.floats();
            match self.sums.get_mut(&fetch.name) {
                Some(sum) if sum.len() == values.len() => {
                    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value.as_f64());
                }
                // The first batch.
                _ => {
                    self.sums.insert(fetch.name.clone(), values.iter().map(|value| value.as_f64()).collect());
                }
            }
        }
        for product in &self.products {
            let values = |name: &str| executor.find(Role::Sum, name).map(Values::floats);
            let (Some(left), Some(right), Some(count), Some(sum)) = (
                values(&product.left),
                values(&product.right),
                values(&product.count),
                self.sums.get_mut(&product.sum),
            ) else {
                continue;
            };
            // One count for all elements, or one for each.
            let rows = count.iter().cycle().map(|count| count.as_f64());
            for (((sum, left), right), rows) in sum.iter_mut().zip(left).zip(right).zip(rows) {
                if rows > 0.0 {
                    *sum += left.as_f64() * right.as_f64() / rows;
                }
            }
        }
    }

    /// The metrics of the sums by name; none before the first batch.
    pub fn metrics<T: Element>(&self, store: &Store<T>, clock: Clock, sizes: &DimSizes) -> Vec<(Arc<str>, f64)> {
        if self.sums.is_empty() {
            return Vec::new();
        }
        let program = bind(&self.finals, sizes);
        if !self.fits(&program) {
            return Vec::new();
        }
        let values = reference::evaluate::<f64>(&program, |id| self.leaf(&program, id, store, clock));
        let names = program.outputs.iter().map(|output| output.name.clone());
        names.zip(values.iter().map(|value| value.float().first().copied().unwrap_or(f64::NAN))).collect()
    }

    /// Whether the sums are those of data of these sizes.
    fn fits(&self, program: &Graph) -> bool {
        program.ids().all(|id| match program.op(id) {
            Op::Input(Input { kind: InputKind::Input | InputKind::Target, ty }) => {
                let n_elements = ty.known_shape().map(|shape| shape.iter().product::<usize>());
                let sum = self.sums.get(&program.node(id).provenance.name);
                sum.is_some() && sum.map(Vec::len) == n_elements
            }
            _ => true,
        })
    }

    fn leaf<T: Element>(&self, program: &Graph, id: NodeId, store: &Store<T>, clock: Clock) -> Tensor<f64> {
        let Op::Input(Input { kind, ty }) = program.op(id) else { panic!("internal: only inputs are leaves") };
        let name = &program.node(id).provenance.name;
        let shape = ty.known_shape().expect("internal: the program is bound");
        let number = |value: i32| Tensor::full(ty, f64::from(value));
        let kind = match kind {
            InputKind::Param => StoreKind::Param,
            InputKind::State => StoreKind::State,
            InputKind::Step => return number(clock.step),
            InputKind::Epoch => return number(clock.epoch),
            InputKind::EpochEnd => return number(1),
            InputKind::Epochs => return number(clock.epochs),
            InputKind::StepsPerEpoch => return number(clock.steps_per_epoch),
            InputKind::TotalSteps => return number(clock.total_steps()),
            InputKind::Seed => return number(clock.seed),
            InputKind::Port(_) => panic!("internal: a loop's leaf stands in its body"),
            InputKind::Input | InputKind::Target => {
                let sum = self.sums.get(name).expect("internal: every batch gives every sum");
                return Values::Float(sum.clone()).to_tensor(ty.dtype, &shape);
            }
        };
        let values = match store.find(kind, name).expect("internal: the store holds every param and state") {
            Values::Float(values) => Values::Float(values.iter().map(|value| value.as_f64()).collect()),
            Values::Int(values) => Values::Int(values.clone()),
        };
        values.to_tensor(ty.dtype, &shape)
    }
}
