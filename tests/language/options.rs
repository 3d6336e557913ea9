//! Options of the library that lie outside of their range, arithmetic that gives no number, and what is asserted of prediction:
//! each is found at the very place.

use crate::common::run::check;
use anabranch::diag::Code;
use anabranch::lower::Options;

/// The errors of a spec: code, and the text that each points at.
fn errors(text: &str) -> Vec<(Code, String)> {
    let (sources, findings) = check(text, &Options::default());
    let place = |label: &anabranch::diag::Label| sources.snippet(label.span).to_string();
    let errors = findings.iter().filter(|finding| finding.is_error());
    errors.map(|finding| (finding.code, finding.primary.as_ref().map(place).unwrap_or_default())).collect()
}

/// A model with a value `v` in it, trained by an optimizer.
fn model(value: &str, optimizer: &str) -> String {
    format!(
        "input x: f32[batch, 6]\ninput image: f32[batch, 8, 8, 3]\ninput words: i32[batch, 5]\ntarget t: f32[batch, 1]\n\
         let h = x |> dense(units=8)\nlet v = {value}\nlet rest = mean(image) + mean(f32(words))\n\
         output p = dense(h, units=1) + mean(v) + rest\nloss l = mean_squared_error(t, p)\n\
         train {{ minimize l\n optimizer {optimizer} }}\n"
    )
}

#[test]
fn an_option_out_of_range_is_found_where_it_is_given() {
    for (value, place) in [
        ("dropout(h, rate=1.5)", "1.5"),
        ("dropout(h, rate=-0.1)", "-0.1"),
        ("dropout(h, rate=1)", "1"),
        ("alpha_dropout(h, rate=1.0)", "1.0"),
        ("gaussian_noise(h, std=-1)", "-1"),
        ("dense(h, units=0)", "0"),
        ("dense(h, 0 - 3)", "0 - 3"),
        ("conv2d(image, filters=0, kernel=3)", "0"),
        ("conv2d(image, filters=2, kernel=0)", "0"),
        ("conv2d(image, filters=2, kernel=[3, 0])", "[3, 0]"),
        ("conv2d(image, filters=2, kernel=3, stride=0)", "0"),
        ("depthwise_conv2d(image, kernel=0)", "0"),
        ("embedding(words, vocabulary=0, size=4)", "0"),
        ("embedding(words, vocabulary=9, size=0)", "0"),
        ("gru(embedding(words, vocabulary=9, size=4), units=0)", "0"),
        ("multi_head_attention(reshape(h, [batch, 2, 4]), heads=0)", "0"),
        ("batch_norm(h, momentum=1.5)", "1.5"),
        ("batch_norm(h, epsilon=-1)", "-1"),
        ("layer_norm(h, epsilon=-0.1)", "-0.1"),
    ] {
        assert_eq!(errors(&model(value, "sgd()")), [(Code::E0506, place.to_string())], "{value}");
    }
    for optimizer in [
        "adam(beta1=1.0)",
        "adamw(beta2=1.5)",
        "adam(epsilon=-1)",
        "sgd(momentum=1.5)",
        "sgd(weight_decay=-0.1)",
        "averaging(adam(), decay=1.5)",
    ] {
        let found = errors(&model("h", optimizer));
        assert!(found.len() == 1 && found[0].0 == Code::E0506, "{optimizer}: {found:?}");
    }
}

#[test]
fn options_at_the_ends_of_their_ranges_are_taken() {
    for value in [
        "dropout(h, rate=0)",
        "dropout(h, rate=0.99)",
        "batch_norm(h, momentum=0, epsilon=0.001)",
        "dense(h, units=1)",
        "conv2d(image, filters=1, kernel=[1, 2], stride=[2, 1])",
        "batch_norm(h, momentum=linear(step, from=0.9, to=0.99, over=100))",
    ] {
        assert_eq!(errors(&model(value, "adam(beta1=0, epsilon=0.0)")), [], "{value}");
    }
}

#[test]
fn arithmetic_that_gives_no_number_is_an_error_there() {
    for (value, place) in [
        ("h * (1 / 0)", "(1 / 0)"),
        ("h * (0 / 0)", "(0 / 0)"),
        ("h * (0 * inf)", "(0 * inf)"),
        ("h * (10.0 ** 400)", "(10.0 ** 400)"),
        ("h * log(0)", "0"),
        ("h * exp(1000)", "1000"),
        ("h * sqrt(-1)", "-1"),
    ] {
        let found = errors(&model(value, "sgd()"));
        assert!(found.len() == 1 && found[0].1 == place, "{value}: {found:?}");
    }
    for value in ["where(h > 0, h, -inf)", "maximum(h, -inf)", "h * (1 / 3)"] {
        assert_eq!(errors(&model(value, "sgd()")), [], "{value}");
    }
}

#[test]
fn what_is_asserted_of_prediction_holds_or_is_an_error() {
    let of = |output: &str, contract: &str| {
        errors(&format!(
            "input x: f32[batch, 6]\ntarget t: f32[batch, 2]\nlet h = x |> dense(units=4)\n\
             loss a = mean_squared_error(t, dense(h, units=2))\nloss b = mean_absolute_error(t, dense(h, units=2))\n\
             loss total = balanced(a, b)\noutput p = {output}\nassert predict {contract}\n\
             train {{ minimize total\n optimizer sgd() }}\n"
        ))
    };
    let (draws, reads) = ("draws nothing", "reads no loss weight");
    for output in ["h", "dropout(h, rate=0.5)"] {
        assert_eq!(of(output, draws), [], "{output}");
        assert_eq!(of(output, reads), [], "{output}");
    }
    let broken = |contract: &str| [(Code::E0506, format!("assert predict {contract}"))];
    assert_eq!(of("h + random_normal([batch, 4])", draws), broken(draws));
    assert_eq!(of("h * total.alpha", reads), broken(reads));
    assert_eq!(of("h * total.alpha", draws), []);
}
