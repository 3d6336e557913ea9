//! Derivatives of small programs, by order, against what calculus says.

use anabranch::diag::{SourceId, Span};
use anabranch::ir::{Builder, DType, Graph, NodeId, Provenance, Role, TensorType, verify};
use anabranch::ops::reference::evaluate;
use anabranch::ops::*;
use anabranch::passes::differentiate;
use ndarray::{ArrayD, IxDyn};

/// The value of `f` and its first derivatives at a scalar `x`, up to `order`, each by differentiating the last.
fn derivatives(f: impl Fn(&mut Builder<'_>, NodeId) -> NodeId, x: f64, order: usize) -> Vec<f64> {
    let mut graph = Graph::new();
    let provenance = Provenance { name: "x".into(), span: Span::new(SourceId::NOWHERE, 0, 0) };
    let mut b = Builder::new(&mut graph, provenance);
    let leaf = b.emit(Input { kind: InputKind::Param, ty: TensorType::scalar(DType::F32) }, &[]);
    let mut results = vec![f(&mut b, leaf)];
    for _ in 0..order {
        let last = results[results.len() - 1];
        results.push(b.emit(Gradient, &[last, leaf]));
    }
    for (order, result) in results.into_iter().enumerate() {
        graph.add_output(Role::Gradient, format!("d{order}"), result);
    }
    let graph = differentiate(&graph);
    verify(&graph).expect("the differentiated graph is lawful");
    let values = evaluate::<f64>(&graph, |_| Tensor::Float(ArrayD::from_elem(IxDyn(&[]), x)));
    values.iter().map(|value| value.float().sum()).collect()
}

fn check(f: impl Fn(&mut Builder<'_>, NodeId) -> NodeId, x: f64, expected: &[f64]) {
    let found = derivatives(f, x, expected.len() - 1);
    for (order, (found, expected)) in found.iter().zip(expected).enumerate() {
        let close = found == expected || (found - expected).abs() <= 1e-12 * (1.0 + expected.abs());
        assert!(close, "order {order} at {x}: {found}, expected {expected}");
    }
}

#[test]
fn whole_powers_end() {
    for exponent in [0.0, 1.0, 2.0, 3.0] {
        let power = move |b: &mut Builder<'_>, x: NodeId| {
            let exponent = b.constant_like(exponent, x);
            b.emit(Pow, &[x, exponent])
        };
        for x in [0.0, -1.5, 2.0] {
            let mut expected = Vec::new();
            let (mut factor, mut rest) = (1.0, exponent);
            for _ in 0..6 {
                expected.push(if factor == 0.0 { 0.0 } else { factor * f64::powf(x, rest) });
                factor *= rest;
                rest -= 1.0;
            }
            check(power, x, &expected);
        }
    }
}

#[test]
fn a_power_whose_exponent_is_computed_is_finite_at_zero() {
    // x^y at y = 0 and x = 0, where y is no constant to the compiler.
    let power = |b: &mut Builder<'_>, x: NodeId| {
        let zero = b.zeros_like(x);
        let exponent = b.emit(StopGradient, &[zero]);
        b.emit(Pow, &[x, exponent])
    };
    check(power, 0.0, &[1.0, 0.0, 0.0]);
}

#[test]
fn high_orders_follow() {
    let x = 0.7f64;
    check(|b, x| b.emit(Exp, &[x]), x, &[x.exp(); 6]);
    check(|b, x| b.emit(Sin, &[x]), x, &[x.sin(), x.cos(), -x.sin(), -x.cos(), x.sin()]);
    check(|b, x| b.emit(Log, &[x]), x, &[x.ln(), x.recip(), -x.powi(-2), 2.0 * x.powi(-3), -6.0 * x.powi(-4)]);
    let t = x.tanh();
    let slope = 1.0 - t * t;
    check(|b, x| b.emit(Tanh, &[x]), x, &[t, slope, -2.0 * t * slope, slope * (6.0 * t * t - 2.0)]);
}

#[test]
fn products_of_one_value_with_itself_are_powers() {
    // x⁴ as the product of four copies: right at zero in every order.
    let product = |b: &mut Builder<'_>, x: NodeId| {
        let copies = b.splat(x, &[anabranch::ir::Dim::known(4)]);
        b.emit(Product { axes: vec![0] }, &[copies])
    };
    check(product, 0.0, &[0.0, 0.0, 0.0, 0.0, 24.0, 0.0]);
    check(product, 2.0, &[16.0, 32.0, 48.0, 48.0, 24.0, 0.0]);
}

#[test]
fn impossible_paths_pass_no_gradient() {
    // ln(e^-∞ + e^-∞), with x added to both: a dynamic programme's cell that nothing reaches.
    let cell = |b: &mut Builder<'_>, x: NodeId| {
        let copies = b.splat(x, &[anabranch::ir::Dim::known(2)]);
        let never = b.constant_like(f64::NEG_INFINITY, copies);
        let scores = b.add2(copies, never);
        b.emit(LogSumExp { axes: vec![0] }, &[scores])
    };
    check(cell, 0.5, &[f64::NEG_INFINITY, 0.0, 0.0]);
}

#[test]
fn a_cast_between_floats_keeps_the_gradient() {
    let cast = |b: &mut Builder<'_>, x: NodeId| {
        let same = b.emit(Cast { to: DType::F32 }, &[x]);
        b.mul(same, x)
    };
    check(cast, 3.0, &[9.0, 6.0, 2.0, 0.0]);
}
