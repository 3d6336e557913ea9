//! Gradient checks: every primitive op's derivative rules against central differences in f64.
//!
//! For each case and each differentiable operand: the vjp and the jvp against differences along random directions, the
//! duality `⟨c, J t⟩ = ⟨Jᵀ c, t⟩`, and the second derivative by differentiating the gradient's graph once more. For each
//! other operand: its flow is zero or stopped, and nothing is built. The tables of cases stand in `cases`; a test fails
//! when an op of the table has none.
//! `chains` has what no single op shows: constant exponents, high orders, paths that meet.

pub(crate) mod cases;
mod chains;
pub(crate) mod harness;

use anabranch::ops::{Flow, Op};
use cases::all_cases;
use harness::{Bent, Case};
use std::collections::BTreeSet;

#[test]
fn every_op_has_a_case() {
    let covered: BTreeSet<&str> = all_cases().iter().map(|case| case.op.name()).collect();
    // Gradient nodes are what every other case is checked with.
    let missing: Vec<&&str> =
        Op::NAMES.iter().filter(|name| !covered.contains(**name) && **name != "gradient").collect();
    assert!(missing.is_empty(), "ops without a gradient case: {missing:?}");
}

type Check = fn(&Case, usize, Bent) -> Result<(), String>;

/// The operands for which a check fails, and the number of all that were checked.
fn failures(check: Check, bent: Bent) -> (Vec<String>, usize) {
    let (mut failures, mut count) = (Vec::new(), 0);
    for case in all_cases() {
        for slot in case.differentiable_slots() {
            count += 1;
            if let Err(message) = check(&case, slot, bent) {
                failures.push(format!("{case}, operand {slot}: {message}"));
            }
        }
    }
    (failures, count)
}

fn check_all(check: Check) {
    let (failures, _) = failures(check, harness::STRAIGHT);
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// A derivative that is off by a thousandth is seen, except where it is zero: in so many of 100 cases at most.
fn sees_wrong_ones(check: Check, zero_in_100: usize) {
    let (seen, count) = failures(check, Bent(1.001));
    let unseen = count - seen.len();
    assert!(100 * unseen <= zero_in_100 * count, "{unseen} of {count} wrong derivatives are not seen");
}

#[test]
fn wrong_derivatives_are_seen() {
    sees_wrong_ones(harness::check_vjp, 30);
    sees_wrong_ones(harness::check_jvp, 30);
    // Many ops are linear.
    sees_wrong_ones(harness::check_second, 80);
}

#[test]
fn a_zero_for_a_derivative_is_seen() {
    // By design nothing passes, and differences do not know that.
    let case = all_cases().into_iter().find(|case| case.op.name() == "stop" && !case.operands[0].ty.is_scalar());
    let case = case.expect("it has a case");
    let vjp = harness::check_vjp(&case, 0, harness::STRAIGHT).expect_err("zero is wrong");
    assert!(vjp.starts_with("the vjp is 0,"), "{vjp}");
    let jvp = harness::check_jvp(&case, 0, harness::STRAIGHT).expect_err("zero is wrong");
    assert!(jvp.starts_with("an element of the jvp is 0,"), "{jvp}");
}

#[test]
fn vjp_agrees_with_differences() {
    check_all(harness::check_vjp);
}

#[test]
fn jvp_agrees_with_differences_and_is_dual_to_vjp() {
    check_all(harness::check_jvp);
}

#[test]
fn second_derivatives_agree_with_differences_of_the_first() {
    check_all(harness::check_second);
}

#[test]
fn closed_operands_have_nothing_built() {
    for case in all_cases() {
        let open: BTreeSet<usize> = case.differentiable_slots().into_iter().collect();
        for slot in (0..case.operands.len()).filter(|slot| !open.contains(slot)) {
            if case.operands[slot].ty.is_float() {
                assert_ne!(case.op.flow(slot), Flow::Differentiable, "{case}, operand {slot}");
                harness::check_closed(&case, slot);
            }
        }
        if case.operands.is_empty() {
            assert_eq!(case.op.flow(0), Flow::Zero, "{case} is a leaf");
        }
    }
}
