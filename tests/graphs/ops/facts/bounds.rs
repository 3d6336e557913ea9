//! Elements of the operands within some bounds, so those of the result within what the op says.

use super::{Draws, Interval, evaluate, named, numbers, pick, result_type, subjects, tensor};
use crate::gradcheck::harness::Case;
use anabranch::ir::{DType, TensorType};
use anabranch::ops::*;

const INF: f64 = f64::INFINITY;
const ROUNDS: usize = 60;

type Claim = fn(&Ranges<'_>) -> Interval;

fn some_bounds(draws: &mut Draws, dtype: DType) -> Interval {
    let (low, high) = match dtype {
        DType::F32 => pick(
            draws,
            &[
                (-INF, INF),
                (0.0, INF),
                (-INF, 0.0),
                (-3.0, 2.0),
                (0.0, 1.0),
                (-1.0, 1.0),
                (0.0, 0.0),
                (2.0, 2.0),
                (-2.0, -2.0),
                (-2.0, -0.5),
                (0.25, 4.0),
                (3.0, INF),
                (-INF, -1.0),
                (1e-3, 1e3),
                (1.0, 2.0),
                (3.0, 3.0),
            ],
        ),
        DType::I32 => pick(
            draws,
            &[
                (f64::from(i32::MIN), f64::from(i32::MAX)),
                (0.0, f64::from(i32::MAX)),
                (-2.0, 5.0),
                (0.0, 2.0),
                (0.0, 0.0),
                (1.0, 1.0),
                (-7.0, -3.0),
                (-1.0, 1.0),
                (2.0, 9.0),
                (0.0, 1.0),
                (3.0, 3.0),
            ],
        ),
        DType::Bool => pick(draws, &[(0.0, 1.0), (0.0, 0.0), (1.0, 1.0)]),
    };
    Interval::new(low, high)
}

/// A number within bounds, the bounds themselves now and then.
fn within(draws: &mut Draws, bounds: Interval, dtype: DType) -> f64 {
    let large = pick(draws, &[1.5, 40.0, 1e5, 1e30]);
    let (low, high) = (bounds.low.max(-large).min(bounds.high), bounds.high.min(large).max(bounds.low));
    let number = match pick(draws, &[0, 1, 2, 2, 2, 2]) {
        0 => bounds.low,
        1 => bounds.high,
        _ => low + (high - low) * draws.uniform(),
    };
    let number = if dtype == DType::F32 { f64::from(number as f32) } else { number.round() };
    // No interval knows of a negative zero.
    if number == 0.0 { 0.0 } else { number.clamp(bounds.low, bounds.high) }
}

/// Whether a computed number lies within, up to the rounding of its precision.
fn holds(bounds: Interval, number: f64, epsilon: f64, largest: f64) -> bool {
    let size = [bounds.low, bounds.high].into_iter().map(f64::abs).filter(|x| x.is_finite()).fold(0.0, f64::max);
    let slack = 256.0 * epsilon * size + 1e-36;
    let (low, high) = (bounds.low - slack, bounds.high + slack);
    number.is_nan()
        || (low <= number && number <= high)
        // What lies beyond the precision is infinite.
        || (number == INF && bounds.high >= largest * 0.99)
        || (number == -INF && bounds.low <= -largest * 0.99)
}

/// The first element that leaves the bounds which `claim` gives.
fn broken<T: Element>(
    case: &Case,
    claim: &dyn Fn(&Ranges<'_>) -> Interval,
    draws: &mut Draws,
    (epsilon, largest): (f64, f64),
) -> Option<String> {
    let types: Vec<&TensorType> = case.operands.iter().map(|operand| &operand.ty).collect();
    let result = result_type(case);
    let can_be_twins = types.len() >= 2 && types[0] == types[1];
    for round in 0..ROUNDS {
        let mut bounds: Vec<Interval> = types.iter().map(|ty| some_bounds(draws, ty.dtype)).collect();
        let mut operands: Vec<Tensor<f64>> =
            types.iter().zip(&bounds).map(|(ty, bounds)| tensor(ty, || within(draws, *bounds, ty.dtype))).collect();
        let are_twins = can_be_twins && round % 4 == 0;
        if are_twins {
            (bounds[1], operands[1]) = (bounds[0], operands[0].clone());
        }
        let types = Types { operands: &types, result: &result };
        let claimed = claim(&Ranges { operands: &bounds, types, are_twins, nominal: 8 });
        for number in numbers(&evaluate::<T>(case, &operands)) {
            if !holds(claimed, number, epsilon, largest) {
                return Some(format!("{case}: {number} of {operands:?} within {bounds:?} leaves {claimed:?}"));
            }
        }
    }
    None
}

fn broken_at_all(case: &Case, claim: &dyn Fn(&Ranges<'_>) -> Interval) -> Option<String> {
    let mut draws = Draws::new(7);
    broken::<f64>(case, claim, &mut draws, (f64::EPSILON, f64::MAX))
        .or_else(|| broken::<f32>(case, claim, &mut draws, (f64::from(f32::EPSILON), f64::from(f32::MAX))))
}

#[test]
fn bounds_hold_for_every_op() {
    let broken: Vec<String> =
        subjects().iter().filter_map(|case| broken_at_all(case, &|ranges| case.op.bounds(ranges))).collect();
    assert!(broken.is_empty(), "{} ops break their bounds:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn bounds_that_are_too_narrow_are_caught() {
    let narrow: [(&str, Claim); 6] = [
        ("exp", |_| Interval::new(0.0, 1e3)),
        ("add", |ranges| ranges.hull()),
        ("sub", |ranges| ranges.of(0)),
        ("pad", |ranges| ranges.of(0)),
        ("sum", |ranges| ranges.of(0).sum(1)),
        ("log_sum_exp", |ranges| ranges.of(0)),
    ];
    for (name, claim) in narrow {
        let is_caught = named(name).iter().any(|case| broken_at_all(case, &claim).is_some());
        assert!(is_caught, "{name} keeps to bounds that are too narrow");
    }
    // What an inclusive sum keeps to, an exclusive one does not; nor do picked elements beside a value for the others.
    let case = |wanted: fn(&Op) -> bool| subjects().into_iter().find(|case| wanted(&case.op)).expect("a case");
    let exclusive = case(|op| matches!(op, Op::CumulativeSum(sum) if sum.exclusive));
    assert!(broken_at_all(&exclusive, &|ranges| ranges.of(0).sums_from(1)).is_some());
    let gather = case(|op| matches!(op, Op::Gather(gather) if gather.fill.0 == -3.5));
    assert!(broken_at_all(&gather, &|ranges| ranges.of(0)).is_some());
}

#[test]
fn bounds_say_something() {
    // Where an op could say that anything is possible, and does not.
    let ty = TensorType::f32(vec![anabranch::ir::Dim::known(3)]);
    let bounds = |op: Op, operands: &[Interval]| {
        let types: Vec<&TensorType> = operands.iter().map(|_| &ty).collect();
        let result = op.infer(&types).expect("fits");
        let types = Types { operands: &types, result: &result };
        op.bounds(&Ranges { operands, types, are_twins: false, nominal: 8 })
    };
    let some = Interval::new(-1.0, 2.0);
    assert_eq!(bounds(Tanh.into(), &[Interval::ALL]), Interval::SIGNED_UNIT);
    assert_eq!(bounds(Cosh.into(), &[some]), Interval::new(1.0, 2f64.cosh()));
    assert_eq!(bounds(Acosh.into(), &[some]), Interval::new(0.0, 2f64.acosh()));
    assert_eq!(bounds(Sum { axes: vec![0] }.into(), &[some]), Interval::new(-3.0, 6.0));
    let exclusive = CumulativeSum { axis: 0, reverse: false, exclusive: true };
    assert_eq!(bounds(exclusive.into(), &[Interval::new(1.0, 2.0)]), Interval::new(0.0, 4.0));
    let inclusive = CumulativeSum { axis: 0, reverse: false, exclusive: false };
    assert_eq!(bounds(inclusive.into(), &[Interval::new(1.0, 2.0)]), Interval::new(1.0, 6.0));
    assert_eq!(bounds(Rem.into(), &[Interval::ALL, Interval::new(1.0, 2.0)]), Interval::new(0.0, 2.0));
}

#[test]
fn a_loop_is_bounded_by_what_its_step_keeps() {
    let step = |x: &str, next: &str| -> Interval {
        let spec = format!(
            "input x: f32[batch, 5]\nfn step(x, carry) {{\n    let h = carry[0]\n    return [{next}]\n}}\n\
             output y = scan(step, {x}, [full([batch], 0.5)])[0][0]\n"
        );
        let mut sources = anabranch::diag::SourceMap::default();
        let id = sources.add("test.anb", &*spec);
        let compiled = anabranch::pipeline::compile(&mut sources, id, &Default::default())
            .unwrap_or_else(|findings| panic!("{}", anabranch::diag::render_plain(&findings.0, &sources)));
        let graph = &compiled.module.graph;
        let y = graph.outputs.iter().find(|output| &*output.name == "y").expect("an output").node;
        anabranch::analyse::interval::intervals(graph, &Default::default())[y.index()]
    };
    // A carry that a step keeps within bounds, one that grows, one that shrinks towards 0, one that may be anything.
    assert_eq!(step("x", "0.5 * h + 0.5 * sigmoid(x)"), Interval::UNIT);
    assert_eq!(step("abs(x)", "h + x"), Interval::new(0.5, INF));
    assert_eq!(step("x", "h * sigmoid(x)"), Interval::new(0.0, 0.5));
    assert_eq!(step("x", "h + x"), Interval::ALL);
}
