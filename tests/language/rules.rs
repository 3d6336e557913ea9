//! The language's rules, seen through what compiled specs compute.

use crate::common::run::{self, Run, errors};
use anabranch::lower::{Options, Setting};

#[test]
fn a_named_layer_shares_its_params_and_calls_do_not() {
    let run = Run::new(
        "input x: f32[batch, 2]
        layer twin = dense(units=2)
        let a = twin(twin(x))
        let b = x |> dense(units=2) |> dense(units=2)
        output y = a + b",
    );
    assert_eq!(
        run.params(),
        ["twin.kernel", "twin.bias", "b.dense.kernel", "b.dense.bias", "b.dense_2.kernel", "b.dense_2.bias"]
    );
}

#[test]
fn repeat_makes_new_instances_and_shares_a_named_one() {
    let run =
        Run::new("input x: f32[batch, 4]\noutput y = x |> repeat(3, dense(units=4, bias=false, activation=relu))");
    assert_eq!(run.params(), ["y.dense.kernel", "y.dense_2.kernel", "y.dense_3.kernel"]);
    let run = Run::new("input x: f32[batch, 4]\nlayer f = dense(units=4, bias=false)\noutput y = x |> repeat(3, f)");
    assert_eq!(run.params(), ["f.kernel"]);
}

#[test]
fn options_alone_make_a_function_of_what_is_left() {
    let mut run = Run::new(
        "input x: f32[batch, 2]
        fn apply(x, f) { return f(x) }
        output y = apply(x, leaky_relu(slope=0.5))
        output z = apply(x, clip(low=0, high=1))",
    );
    run.feed("x", &[-2.0, 3.0]);
    let out = run.predict(1);
    assert_eq!((out["y"].as_slice(), out["z"].as_slice()), ([-1.0, 3.0].as_slice(), [0.0, 1.0].as_slice()));
}

#[test]
fn constants_of_every_kind_are_set() {
    let text = "const units = 2
        const rate = 0.5
        const bias = true
        const padding = \"valid\"
        input x: f32[batch, 4, 4, 1]
        assert units == 3
        assert rate == 0.25
        assert not bias
        assert padding == \"same\"
        output y = x |> conv2d(filters=units, kernel=3, padding=padding, bias=bias)";
    let set = |pairs: &[(&str, &str)]| {
        let parse =
            |(name, text): &(&str, &str)| (name.to_string(), text.parse::<Setting>().unwrap_or(Setting::Bool(false)));
        Options { overrides: pairs.iter().map(parse).collect(), ..Options::default() }
    };
    let all = [("units", "3"), ("rate", "0.25"), ("bias", "false"), ("padding", "same")];
    assert_eq!(errors(text, &set(&all)), Vec::<String>::new());
    let wrong = errors(text, &set(&[("units", "2.5"), ("rate", "fast"), ("bias", "false"), ("paddin", "same")]));
    assert_eq!(wrong[0], "`--set units=2.5`: `units` is an int");
    assert_eq!(wrong[1], "`--set rate=\"fast\"`: `rate` is a number");
    assert_eq!(wrong.last().map(String::as_str), Some("`--set paddin`: the spec has no `const paddin`"));
    // What `--set` gets wrong is said once.
    assert_eq!(wrong.iter().filter(|finding| finding.contains("--set")).count(), 3, "{wrong:?}");
}

#[test]
fn used_files_give_definitions_and_constants() {
    let spec = "use \"blocks.anb\"\ninput x: f32[batch, 3]\noutput y = x |> block";
    let blocks = "const width = 5\nlayer block(x: f32[batch, N]) { return x |> dense(units=width, bias=false) }";
    let files = [("blocks.anb", blocks)];
    assert_eq!(Run::with_files(spec, &files).params(), ["y.block.dense.kernel"]);
    let wrong = run::errors_with_files(spec, &[("blocks.anb", "input z: f32[batch]\nfn block(x) { return x }")]);
    assert_eq!(wrong, ["a file that is used holds definitions and constants only"]);
}

const WITH_GAPS: &str = "
    input x: f32[batch, 1]
    target age: f32[batch]?
    target kind: i32[batch]?
    param w: f32 = 2
    let p = w * x[:, 0]
    loss age_loss = age * log(age / p)
    loss kind_loss = square(f32(kind) - p)
    loss both = age_loss + kind_loss
    metric error = abs(age - p)
    loss total = mean(age_loss) + mean(kind_loss)
    train { minimize total optimizer sgd(lr=1) }";

#[test]
fn a_missing_target_leaves_its_row_out_of_values_and_gradients() {
    let mut run = Run::new(WITH_GAPS);
    run.feed("x", &[1.0, 2.0, 3.0]);
    run.feed("age", &[1.0, f64::NAN, 3.0]);
    run.feed_int("kind", &[i32::MIN, i32::MIN, 6]);
    let out = run.step(3);
    // Rows 0 and 2 have an age, row 2 has a kind; p = (2, 4, 6).
    let age_loss = ((0.5f64).ln() + 3.0 * (0.5f64).ln()) / 2.0;
    assert!((out["age_loss"] - age_loss).abs() < 1e-12);
    assert_eq!((out["kind_loss"], out["error"]), (0.0, 2.0));
    assert_eq!(
        (out["weight age_loss"], out["weight kind_loss"], out["weight both"], out["weight error"]),
        (2.0, 1.0, 1.0, 2.0)
    );
    // d/dw of -age ln p over rows 0 and 2, with w = 2: -(1 + 3) / (2 * 2); the other loss is at its minimum.
    assert!((run.param("w")[0] - 3.0).abs() < 1e-12);
}

#[test]
fn a_missing_label_leaves_its_row_out_of_what_it_picks() {
    let mut run = Run::new(
        "input x: f32[batch, 2]
        target kind: i32[batch]?
        param w: f32[2] = 0
        let scores = log_softmax(x + broadcast(w, [batch, 2]))
        output picked = scores
        loss class_loss = sparse_categorical_crossentropy(kind, scores)
        train { minimize class_loss optimizer sgd(lr=1) }",
    );
    run.feed("x", &[0.0, 0.0, 5.0, -5.0, 0.0, 0.0]);
    run.feed_int("kind", &[1, i32::MIN, 1]);
    let out = run.step(3);
    assert!((out["class_loss"] - 2.0f64.ln()).abs() < 1e-12, "{out:?}");
    assert_eq!(out["weight class_loss"], 2.0);
    assert_eq!(run.param("w"), [-0.5, 0.5]);
}

#[test]
fn a_batch_without_any_contributes_nothing() {
    let mut run = Run::new(WITH_GAPS);
    run.feed("x", &[1.0, 2.0]);
    run.feed("age", &[f64::NAN, f64::NAN]);
    run.feed_int("kind", &[i32::MIN, i32::MIN]);
    let out = run.step(2);
    assert!(out.iter().all(|(_, value)| *value == 0.0), "{out:?}");
    assert_eq!(run.param("w"), [2.0]);
}

#[test]
fn a_sample_is_missing_when_any_element_is_and_can_be_filled() {
    let mut run = Run::new(
        "target box: f32[batch, 2]?
        loss size = sum(box, axes=1)
        metric filled = fill_missing(size, 10)
        metric there = f32(present(box))",
    );
    run.feed("box", &[1.0, 2.0, 3.0, f64::NAN]);
    let out = run.evaluate(2);
    assert_eq!((out["size"], out["filled"], out["there"]), (3.0, 6.5, 0.5));
}

#[test]
fn updates_every_epoch_wait_for_its_end() {
    let mut run = Run::new(
        "target t: f32[batch]
        param w: f32 = 0
        state last: f32 = -1
        update last = mean(t) every epoch
        loss l = square(w - last * t)
        train { minimize l optimizer sgd(lr=0) }",
    );
    run.feed("t", &[3.0]);
    run.step(1);
    assert_eq!(run.state("last"), [-1.0]);
    run.clock.epoch_end = true;
    run.step(1);
    assert_eq!(run.state("last"), [3.0]);
}

#[test]
fn gram_is_over_the_params_that_losses_share() {
    let mut run = Run::new(
        "input x: f32[batch]
        param w: f32[2] = [1, 2]
        param head: f32 = 3
        loss first = w[0] * x + w[1]
        loss second = head * w[1] * x
        let g = gram([first, second])
        loss weighted = mean(first) * g[0, 1]
        metric g00 = g[0, 0]
        metric g01 = g[0, 1]
        metric g11 = g[1, 1]
        train { minimize weighted optimizer sgd(lr=1) }",
    );
    run.feed("x", &[2.0]);
    // ∇first = (2, 1), ∇second = (0, 6) by w; head belongs to one loss only.
    let out = run.step(1);
    assert_eq!((out["g00"], out["g01"], out["g11"]), (5.0, 6.0, 36.0));
    assert_eq!(run.param("w"), [1.0 - 12.0, 2.0 - 6.0], "the matrix is a constant for gradients");
    assert_eq!(run.param("head"), [3.0]);
}

#[test]
fn constraints_by_function_hold_after_every_update() {
    let mut run = Run::new(
        "input x: f32[batch]
        param a: f32[2] = [0.5, -0.5] in non_negative
        param b: f32[2] = [3, 4] in unit_norm
        param c: f32[2] = [3, 4] in max_norm(limit=2.5)
        param d: f32[3] = [0.9, 0.6, -0.2] in simplex
        loss l = x * (sum(a) + sum(b) + sum(c) + sum(d))
        train { minimize l optimizer sgd(lr=0) }",
    );
    run.feed("x", &[1.0]);
    run.step(1);
    let near = |found: Vec<f64>, expected: &[f64]| {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} is not {expected:?}");
    };
    near(run.param("a"), &[0.5, 0.0]);
    near(run.param("b"), &[0.6, 0.8]);
    near(run.param("c"), &[1.5, 2.0]);
    near(run.param("d"), &[0.65, 0.35, 0.0]);
}

#[test]
fn labels_become_rows() {
    let mut run = Run::new("input label: i32[batch]\noutput rows = one_hot(label, 3)");
    run.feed_int("label", &[2, 0]);
    assert_eq!(run.predict(2)["rows"], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
}

#[test]
fn what_only_a_call_can_tell_is_not_held_against_a_definition_that_nothing_calls() {
    let text = "input x: f32[batch, 4]
        fn branches(x, flag) {
            if flag { let y = x } else { let y = 2 * x }
            let z = if flag { x } else { y }
            return y + z + later
        }
        fn early(x, n) {
            if n > 1 { let y = 1 return y }
            let y = 2
            return y * step + pi
        }
        layer shapes(x: f32[batch, ..., N], units: int, activation=leaky_relu(slope=0.1)) {
            layer inner = dense(units=units)
            param bias: f32[N] = zeros() in max_norm(limit=2)
            state seen: f32[N] = zeros()
            update seen = seen + N every epoch
            assert x: f32[batch, T, N]
            return activation(inner(x) + inner.kernel)
        }
        combiner blend(losses...: f32) {
            param w: f32[K] = ones() in simplex
            return sum(w * losses) + inner(losses...)
        }
        fn inner(a, b) { return a + b }
        initializer tilted(shape, by=0.5) { return by * ones() }
        optimizer still(param, grad, lr, decay=0.9) { return param - lr * grad }
        let later = x
        output y = later";
    assert_eq!(errors(text, &Options::default()), Vec::<String>::new());
}

#[test]
fn a_mistake_in_a_definition_is_reported_once() {
    let text = "input x: f32[batch, 4]
        fn broken(x) { return x + missing }
        fn outer(x) { return broken(x) + broken(2 * x) }
        output a = broken(x)
        output b = outer(x)
        output c = broken(a) + outer(b)";
    assert_eq!(errors(text, &Options::default()), ["unknown name `missing`"]);
}

#[test]
fn what_keeps_samples_apart_takes_missing_ones() {
    let found = |expression: &str| {
        let text = format!(
            "input x: f32[batch, 4]\ntarget t: f32[batch, 4]?\nparam k: f32[4, 2] = 1\nparam w: f32 = 1\noutput y = w * x
            let u = {expression}\nloss l = mean((u - w) ** 2, axes=[1])\ntrain {{ minimize l optimizer sgd }}"
        );
        errors(&text, &Options::default())
    };
    let apart = [
        "t + 1",
        "pad(t, [[0, 0], [1, 1]])",
        "softmax(t)",
        "cumulative_sum(t, axis=1)",
        "t[:, 1:3]",
        "t @ k",
        "concat([t, t], axis=1)",
        "t[:, ::2]",
    ];
    for expression in apart {
        assert_eq!(found(expression), Vec::<String>::new(), "{expression}");
    }
    for expression in ["pad(t, [[1, 0], [0, 0]])", "softmax(t, axis=0)", "cumulative_sum(t, axis=0)", "t[1:, :]"] {
        let headlines = found(expression);
        assert!(headlines.iter().any(|headline| headline.contains("mixes samples")), "{expression}: {headlines:?}");
    }
}

#[test]
fn choices_chain() {
    let text = "const size = 2
        input x: f32[batch]
        fn by_statement(x) {
            if size == 1 { return x } else if size == 2 { return 2 * x } else if size == 3 { return 3 * x } else { return 0 * x }
        }
        output a = by_statement(x)
        output b = if size == 1 { x } else if size == 2 { 2 * x } else { 0 * x }";
    for (size, wanted) in [("1", [1.0, 1.0]), ("2", [2.0, 2.0]), ("3", [3.0, 0.0]), ("4", [0.0, 0.0])] {
        let mut run = Run::new(&text.replace("size = 2", &format!("size = {size}")));
        run.feed("x", &[1.0]);
        let out = run.predict(1);
        assert_eq!([out["a"][0], out["b"][0]], wanted, "size {size}");
    }
    // A chain is as high as it has cases.
    let cases = "else if size == 2 { x } ".repeat(600);
    let long = format!("input x: f32[batch]\nconst size = 1\noutput y = if size == 1 {{ x }} {cases} else {{ x }}");
    assert_eq!(errors(&long, &Options::default()), ["text nested too deeply"]);
    let cases = "else if size == 2 { return x } ".repeat(600);
    let long = format!("const size = 1\nfn f(x) {{ if size == 1 {{ return x }} {cases} else {{ return x }} }}");
    assert_eq!(errors(&long, &Options::default()), ["text nested too deeply"]);
}

#[test]
fn quotients_and_remainders_round_down() {
    let pairs: Vec<(i32, i32)> = [7, -7, 0, 6, i32::MIN, i32::MAX]
        .into_iter()
        .flat_map(|a| [2, -2, 3, -3, 1, i32::MAX, i32::MIN].map(|b| (a, b)))
        .collect();
    let mut run = Run::new(
        "input a: i32[batch]
        input b: i32[batch]
        output quotient = f32(a // b)
        output rest = f32(a % b)
        output whole = f32(floor(a) + ceil(b) - round(b))
        output of_floats = f32(a) // f32(b)",
    );
    let (left, right): (Vec<i32>, Vec<i32>) = pairs.iter().copied().unzip();
    run.feed_int("a", &left);
    run.feed_int("b", &right);
    let out = run.predict(pairs.len());
    for (row, (a, b)) in pairs.iter().map(|(a, b)| (i64::from(*a), i64::from(*b))).enumerate() {
        let rest = a.rem_euclid(b.abs()) + if b < 0 && a.rem_euclid(b.abs()) != 0 { b } else { 0 };
        assert_eq!(out["quotient"][row], ((a - rest) / b) as f64, "{a} // {b}");
        assert_eq!(out["rest"][row], rest as f64, "{a} % {b}");
        assert_eq!(out["whole"][row], a as f64);
    }
    let known = "input x: f32[batch, T]
        assert 7 // 2 == 3
        assert -7 // 2 == -4
        assert -7 % 3 == 2
        assert 7 % -3 == -2
        assert 7.5 // 2 == 3
        assert 2 ** 3 % 5 == 3
        assert (4 * shape(x)[1]) // 2 == 2 * shape(x)[1]
        assert (4 * shape(x)[1]) % 2 == 0
        output y = x";
    assert_eq!(errors(known, &Options::default()), Vec::<String>::new());
}

#[test]
fn a_one_aligns_with_any_extent() {
    let mut run = Run::new(
        "input x: f32[batch, 2]
        output centred = x - mean(x, axes=[0], keep=true)
        output apart = x[:, :, none] - [0.5, 1.0, 1.5]
        output pairs = x[:, none, 0] - unsqueeze(x[:, 1], 0)
        output squeezed = squeeze(x[:, none, :, none]) + squeeze(x[:, none], axes=1)",
    );
    run.feed("x", &[1.0, 2.0, 3.0, 6.0]);
    let out = run.predict(2);
    assert_eq!(out["centred"], [-1.0, -2.0, 1.0, 2.0]);
    assert_eq!(out["apart"], [0.5, 0.0, -0.5, 1.5, 1.0, 0.5, 2.5, 2.0, 1.5, 5.5, 5.0, 4.5]);
    assert_eq!(out["pairs"], [-1.0, -5.0, 1.0, -3.0]);
    assert_eq!(out["squeezed"], [2.0, 4.0, 6.0, 12.0]);
    let left_over = "input x: f32[batch, 1]\ninput y: f32[batch]\noutput z = x - y";
    assert_eq!(errors(left_over, &Options::default()), ["cannot subtract [batch, 1] and [batch]"]);
    let wide = "input x: f32[batch, 3]\noutput z = squeeze(x, axes=1)";
    assert_eq!(errors(wide, &Options::default()), ["axis 1 of f32[batch, 3] has more than one element"]);
}

#[test]
fn a_list_of_ints_is_a_tensor_of_ints_where_one_is_wanted() {
    let mut run = Run::new(
        "input x: f32[batch, 3]
        input i: i32[batch]
        output hot = one_hot([2, 0], 3) + 0 * x[0:2]
        output rows = gather(x, [1, 0])
        output last = x[0:2] |> pick([2, 1])
        output sum = f32(i[:, none] + [10, 20])
        output float = x * [1, 2, 3]",
    );
    run.feed("x", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    run.feed_int("i", &[1, 2]);
    let out = run.predict(2);
    assert_eq!(out["hot"], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    assert_eq!(out["rows"], [4.0, 5.0, 6.0, 1.0, 2.0, 3.0]);
    assert_eq!(out["last"], [3.0, 5.0]);
    assert_eq!(out["sum"], [11.0, 21.0, 12.0, 22.0]);
    assert_eq!(out["float"], [1.0, 4.0, 9.0, 4.0, 10.0, 18.0]);
}

#[test]
fn what_is_not_used_is_called_by_an_underscore() {
    let mut run = Run::new(
        "input x: f32[batch, 2, 3]
        fn first(x: f32[batch, _, _], _, _) { return x[:, 0, 0] }
        let _ = x * 2
        let _ = x * 3
        output y = first(x, 1, 2)",
    );
    run.feed("x", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(run.predict(1)["y"], [1.0]);
    let read = "input x: f32[batch]\nlet _ = x\noutput y = _";
    assert_eq!(errors(read, &Options::default()), ["`_` is the name of what is not used"]);
    let extent = "input x: f32[batch, _]\noutput y = x";
    assert_eq!(errors(extent, &Options::default()), ["`_` is no extent"]);
}

#[test]
fn numbers_that_are_no_int_or_too_large_a_one_are_told_apart() {
    let refused =
        |count: &str| errors(&format!("input x: f32[batch]\noutput y = full([{count}], 0)"), &Options::default());
    assert_eq!(refused("0.5"), ["expected an int, found 0.5"]);
    assert_eq!(refused("9000000000000000000"), ["expected an int below 1e15, found 9e18"]);
    assert_eq!(refused("0 - 1e300 // 1"), ["expected an int below 1e15, found -1e300"]);
}
