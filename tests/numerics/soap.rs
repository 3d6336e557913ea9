//! SOAP against NumPy in float64: `tests/oracle/soap.json`.

use crate::common::run::Run;
use serde_json::Value;

const SPEC: &str = "\
input a: f32[batch, 3]
input b: f32[batch, 2]
param w: f32[3, 2] = zeros()
loss total = 0.5 * sum(square(a @ w - b))
train {
    minimize total
    optimizer soap(lr=0.05, beta1=0.9, beta2=0.95, shampoo_beta=0.8, every=3, weight_decay=0.1)
}
";

#[test]
fn soap_takes_the_steps_of_its_paper() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/soap.json")).unwrap();
    let oracle: Value = serde_json::from_str(&text).unwrap();
    let numbers = |value: &Value| -> Vec<f64> { value.as_array().unwrap().iter().filter_map(Value::as_f64).collect() };
    let mut run = Run::new(SPEC);
    run.set_param("w", &numbers(&oracle["W"]));
    run.feed("a", &numbers(&oracle["A"]));
    run.feed("b", &numbers(&oracle["B"]));
    let path = oracle["path"].as_array().unwrap();
    assert_eq!(path.len(), 12);
    for (step, wanted) in path.iter().enumerate() {
        run.step(4);
        for (found, wanted) in run.param("w").into_iter().zip(numbers(wanted)) {
            assert!((found - wanted).abs() < 1e-8, "step {step}: {found} for {wanted}");
        }
    }
}

#[test]
fn soap_takes_adam_where_there_is_no_matrix() {
    let spec = |optimizer: &str| {
        format!(
            "input x: f32[batch, 3]\ntarget y: f32[batch]\nparam w: f32[3] = 0.5\nloss l = square(x @ w - y)\n\
             train {{ minimize l optimizer {optimizer} }}\n"
        )
    };
    let path = |optimizer: &str| {
        let mut run = Run::new(&spec(optimizer));
        run.feed("x", &[1.0, 2.0, -1.0, 0.5, 0.0, 2.0]);
        run.feed("y", &[1.0, -1.0]);
        (0..5).map(|_| (run.step(2), run.param("w")).1).collect::<Vec<_>>()
    };
    assert_eq!(path("soap(lr=0.1)"), path("adam(lr=0.1, beta1=0.95, beta2=0.95)"));
}
