//! Gradient checks: every primitive op's derivative rules against central differences in f64.
//!
//! For each case and each differentiable operand: the vjp and the jvp against differences along random directions, the
//! duality `⟨c, J t⟩ = ⟨Jᵀ c, t⟩`, and the second derivative by differentiating the gradient's graph once more. For each
//! other operand: its flow is zero or stopped, and nothing is built. The tables of cases stand in `cases`; a test fails
//! when an op of the table has none.
//! `chains` has what no single op shows: constant exponents, high orders, paths that meet.

mod cases;
mod chains;
mod harness;

use anabranch::ops::{Flow, Op};
use cases::all_cases;
use std::collections::BTreeSet;

#[test]
fn every_op_has_a_case() {
    let covered: BTreeSet<&str> = all_cases().iter().map(|case| case.op.name()).collect();
    // Gradient nodes are what every other case is checked with.
    let missing: Vec<&&str> =
        Op::NAMES.iter().filter(|name| !covered.contains(**name) && **name != "gradient").collect();
    assert!(missing.is_empty(), "ops without a gradient case: {missing:?}");
}

fn check_all(check: impl Fn(&harness::Case, usize) -> Result<(), String>) {
    let mut failures = Vec::new();
    for case in all_cases() {
        for slot in case.differentiable_slots() {
            if let Err(message) = check(&case, slot) {
                failures.push(format!("{case}, operand {slot}: {message}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
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
