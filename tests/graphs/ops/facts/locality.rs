//! Positions that are called apart are apart: others stay bit for bit when one changes. Those that are called added are
//! added.

use super::{Draws, evaluate, extents, named, numbers, result_type, subjects, tensor};
use crate::gradcheck::harness::Case;
use anabranch::ir::TensorType;
use anabranch::ops::*;
use ndarray::{ArrayD, Axis, IxDyn};

fn locality(case: &Case) -> Locality {
    let operands: Vec<&TensorType> = case.operands.iter().map(|operand| &operand.ty).collect();
    let result = result_type(case);
    case.op.locality(Types { operands: &operands, result: &result })
}

fn set(x: &mut Tensor<f64>, axis: usize, at: usize, from: &Tensor<f64>) {
    fn assign<E: Clone>(x: &mut ArrayD<E>, axis: usize, at: usize, from: &ArrayD<E>) {
        x.index_axis_mut(Axis(axis), at).assign(&from.index_axis(Axis(axis), at));
    }
    match (x, from) {
        (Tensor::Float(x), Tensor::Float(from)) => assign(x, axis, at, from),
        (Tensor::Int(x), Tensor::Int(from)) => assign(x, axis, at, from),
        (Tensor::Bool(x), Tensor::Bool(from)) => assign(x, axis, at, from),
        _ => panic!("of one type"),
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// What a claim of a locality gets wrong, if anything.
fn broken(case: &Case, locality: &Locality) -> Option<String> {
    let mut draws = Draws::new(11);
    let result = result_type(case);
    if *locality == Locality::Pointwise && case.operands.iter().any(|operand| operand.ty.shape != result.shape) {
        return Some(format!("{case}: pointwise with operands of other shapes"));
    }
    let draw = |draws: &mut Draws, slot: usize| {
        let is_index = !case.operands[slot].ty.is_float();
        tensor(
            &case.operands[slot].ty,
            || if is_index { (4.0 * draws.uniform()).floor() } else { draws.uniform() + 0.25 },
        )
    };
    for slot in 0..case.operands.len() {
        for axis in 0..case.operands[slot].ty.rank() {
            let base: Vec<Tensor<f64>> = (0..case.operands.len()).map(|slot| draw(&mut draws, slot)).collect();
            let extent = extents(&case.operands[slot].ty)[axis];
            match locality.along(slot, axis) {
                Along::Mixed => {}
                Along::Added => {
                    let others = added_beside(case, locality, slot, axis).expect("an axis that is added");
                    if let Some(found) = not_added(case, &base, &others, extent) {
                        return Some(found);
                    }
                }
                Along::Apart(to) => {
                    if to >= result.rank() {
                        return Some(format!("{case}: axis {to} of {result}"));
                    }
                    let other = draw(&mut draws, slot);
                    let parts = greatest_common_divisor(extent, extents(&result)[to]);
                    let before = numbers(&evaluate::<f64>(case, &base));
                    for at in 0..extent {
                        let mut changed = base.clone();
                        set(&mut changed[slot], axis, at, &other);
                        let after = numbers(&evaluate::<f64>(case, &changed));
                        let own = at * parts / extent;
                        let stays =
                            |index: &IxDyn| ndarray::Dimension::slice(index)[to] * parts / extents(&result)[to] != own;
                        let moved = before
                            .indexed_iter()
                            .find(|(index, x)| stays(index) && x.to_bits() != after[index].to_bits());
                        if let Some((index, _)) = moved {
                            return Some(format!(
                                "{case}: operand {slot}, axis {axis}, position {at} reaches {index:?}"
                            ));
                        }
                    }
                }
            }
        }
    }
    None
}

/// The axes that are added up together with one: the same in number on each operand that has any.
fn added_beside(case: &Case, locality: &Locality, slot: usize, axis: usize) -> Option<Vec<(usize, usize)>> {
    let added = |slot: usize| -> Vec<usize> {
        (0..case.operands[slot].ty.rank()).filter(|axis| locality.along(slot, *axis) == Along::Added).collect()
    };
    let rank = added(slot).iter().position(|other| *other == axis)?;
    Some((0..case.operands.len()).filter_map(|slot| Some((slot, *added(slot).get(rank)?))).collect())
}

/// Whether the values of one position each do not add up to that of all, with zeros in place of what is left out.
fn not_added(case: &Case, base: &[Tensor<f64>], axes: &[(usize, usize)], extent: usize) -> Option<String> {
    let whole = numbers(&evaluate::<f64>(case, base));
    let mut sum = ArrayD::<f64>::zeros(whole.raw_dim());
    for at in 0..extent {
        let mut only = base.to_vec();
        for &(slot, axis) in axes {
            let zeros = tensor(&case.operands[slot].ty, || 0.0);
            only[slot] = zeros;
            set(&mut only[slot], axis, at, &base[slot]);
        }
        sum += &numbers(&evaluate::<f64>(case, &only));
    }
    let differs = whole.iter().zip(&sum).any(|(a, b)| (a - b).abs() > 1e-9 * (1.0 + a.abs()));
    differs.then(|| format!("{case}: {whole} is not the sum {sum} along {axes:?}"))
}

#[test]
fn what_is_called_apart_is_apart() {
    let broken: Vec<String> = subjects().iter().filter_map(|case| broken(case, &locality(case))).collect();
    assert!(broken.is_empty(), "{} ops break their locality:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn a_wrong_locality_is_caught() {
    let apart = |case: &Case| {
        Locality::Axes(case.operands.iter().map(|operand| (0..operand.ty.rank()).map(Along::Apart).collect()).collect())
    };
    let mut n_mixing = 0;
    for case in subjects() {
        // Every op that mixes or adds along some axis of several positions, claimed to keep all axes apart.
        let (found, result) = (locality(&case), result_type(&case));
        let is_mixing = |slot: usize, axis: usize| {
            let ty = &case.operands[slot].ty;
            extents(ty)[axis] > 1 && found.along(slot, axis) != Along::Apart(axis)
        };
        let mixes =
            (0..case.operands.len()).any(|slot| (0..case.operands[slot].ty.rank()).any(|axis| is_mixing(slot, axis)));
        let is_known = ["softmax", "sort", "reverse", "cumulative_sum", "log_softmax", "linear_recurrence"]
            .contains(&case.op.name());
        if mixes && is_known && result.shape.iter().all(|dim| !dim.is_zero()) {
            n_mixing += 1;
            assert!(broken(&case, &apart(&case)).is_some(), "{case} passes as keeping all its axes apart");
        }
    }
    assert!(n_mixing >= 6, "{n_mixing} cases");
    let passes_as_sum = |case: &Case| {
        let Op::Product(product) = &case.op else { panic!("a product") };
        let types: Vec<&TensorType> = case.operands.iter().map(|operand| &operand.ty).collect();
        let types = Types { operands: &types, result: &result_type(case) };
        broken(case, &Locality::reduced(types, &product.axes, Along::Added)).is_none()
    };
    assert!(!named("product").iter().all(passes_as_sum), "products pass as sums");
}
