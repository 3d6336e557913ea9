//! One bad spec a code (`errors/E0xxx.anb`, `errors/L00xx.anb`, further ones as `E0xxx-what.anb`), and what its author is
//! told.

use anabranch::diag::{Code, Diagnostic, SourceMap, render_plain};
use anabranch::lower::{BUILTINS, Builtin, Options, Watched};
use anabranch::pipeline::compile;
use std::collections::BTreeSet;
use std::path::Path;

/// Codes that no text of a spec can cause, and the file that tests them.
const EXEMPT: &[(&str, &str)] = &[
    ("E0103", "tests/runs/hostile.rs: a text of many megabytes"),
    ("E0601", "tests/runs/cli.rs: a file that is not there"),
    ("E0602", "src/train/config/tests.rs: run configs"),
    ("E0603", "tests/runs/data.rs: data files"),
    ("E0604", "tests/runs/data.rs: data files"),
    ("E0605", "tests/runs/cli.rs: a folder that cannot be written"),
    ("E0606", "tests/runs/data.rs: files of params"),
    ("E0607", "tests/runs/cli.rs: a run that diverges"),
    ("E0608", "tests/runs/cli.rs: saved programs changed by hand"),
    ("E0609", "tests/runs/cli.rs: a spec that is not formatted"),
    ("E0702", "tests/graphs/exec.rs: programs too large for memory"),
    ("E0703", "tests/runs/export.rs: values without a form in ONNX"),
    ("E0610", "tests/runs/ranges.rs: ids outside of what they index"),
    ("L0012", "tests/runs/watch.rs: a weight that overshoots in a run"),
    ("L0013", "tests/runs/ranges.rs: targets that are no probabilities"),
    ("L0025", "tests/runs/statistics.rs: running values after few steps"),
    ("L0026", "tests/runs/statistics.rs: a batch of one row"),
];

fn findings(path: &Path) -> (SourceMap, Vec<Diagnostic>) {
    let text = std::fs::read_to_string(path).expect("the case is readable");
    let mut sources = SourceMap::default();
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    // What a run config would say.
    let watched = text.lines().find_map(|line| line.strip_prefix("# watch: "));
    let watched = watched.map(|name| Watched { name: name.to_string(), span: None });
    let spec = sources.add(name, text);
    let findings = match compile(&mut sources, spec, &Options { watched, ..Options::default() }) {
        Ok(compiled) => compiled.findings,
        Err(errors) => errors.0,
    };
    (sources, findings)
}

/// Whether a case draws the code it is named after and no other.
fn has_only_its_code(name: &str, findings: &[Diagnostic]) -> bool {
    let code = name.split('-').next().unwrap_or_default();
    !findings.is_empty() && findings.iter().all(|finding| finding.code.as_str() == code)
}

#[test]
fn a_case_with_another_code_fails() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors/E0201.anb");
    let (_, found) = findings(&path);
    assert!(has_only_its_code("E0201-path", &found));
    assert!(!has_only_its_code("E0202", &found) && !has_only_its_code("E0201", &[]));
    let mut two = found.clone();
    two.push(Diagnostic::error(Code::E0202, "another"));
    assert!(!has_only_its_code("E0201", &two));
}

#[test]
fn every_mistake_is_explained() {
    insta::glob!("../errors", "*.anb", |path| {
        let (sources, findings) = findings(path);
        let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        assert!(has_only_its_code(&name, &findings), "{name}:\n{}", render_plain(&findings, &sources));
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(render_plain(&findings, &sources));
        });
    });
}

#[test]
fn every_code_has_a_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let cases: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the cases are there")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".anb")?.split('-').next()?.to_string()))
        .collect();
    for code in Code::ALL {
        let exempt = EXEMPT.iter().any(|(other, _)| *other == code.as_str());
        let has_case = cases.contains(code.as_str());
        assert!(has_case != exempt, "{code}: {}", if exempt { "has a case, so it is not exempt" } else { "no case" });
    }
}

#[test]
fn a_page_of_mistakes_is_reported_at_once_and_has_an_end() {
    let text: String = (0..30).map(|i| format!("let v{i} = unknown_{i}\nlet w{i} = v{i} + 1\n")).collect();
    let mut sources = SourceMap::default();
    let spec = sources.add("many.anb", text);
    let errors = compile(&mut sources, spec, &Options::default()).expect_err("every line is wrong");
    assert_eq!(errors.0.len(), 20);
    assert!(errors.0.iter().all(|error| error.headline.starts_with("unknown name")), "{errors}");
}

/// Built-in functions that take any tensor, or none.
const TAKES_ALL: &[&str] = &[
    "f32",
    "i32",
    "bool",
    "shape",
    "rank",
    "len",
    "is_list",
    "zeros_like",
    "ones_like",
    "positions",
    "full",
    "range",
    "stop",
    "present",
    "fill_missing",
    "gram",
    "at",
    "after",
    "on",
    "meant_as",
    "better_when",
    "repeat",
    "unroll",
    "predicted_by",
    "step_every",
];

/// A call of each built-in function, beside those of one tensor, that its constraints refuse, on `x: f32[batch, 3]`, `y: f32[batch, 4]`, `v: f32[batch]`,
/// `i: i32[batch, 4]` and `m: bool[batch]`.
const REFUSED: &[&str] = &[
    "maximum(x, y)",
    "minimum(x, v)",
    "remainder(x, y)",
    "atan2(x, y)",
    "where(x, x, x)",
    "where(x > 0, x, y)",
    "x + y",
    "x - v",
    "x * y",
    "x / y",
    "x ** y",
    "x @ y",
    "x @ i",
    "x == y",
    "x < y",
    "m and (x > 0)",
    "not x",
    "sum(x, axes=2)",
    "sum(m)",
    "mean(i)",
    "max(x, axes=[0, 0])",
    "min(x, axes=-3)",
    "product(i)",
    "product(x, axes=2)",
    "argmax(x, axis=2)",
    "argmin(m)",
    "any(x)",
    "all(m, axes=1)",
    "cumulative_product(i)",
    "put_along(i, x, 4, axis=1)",
    "linear_recurrence(x, y)",
    "cholesky(x)",
    "triangular_solve(full([2, 2], 1), full([3], 1))",
    "softmax(x, axis=2)",
    "log_softmax(i)",
    "logsumexp(x, axes=2)",
    "cumulative_sum(m)",
    "sort(x, axis=2)",
    "argsort(x, axis=2)",
    "reverse(x, axes=2)",
    "gather(x, y)",
    "scatter_add(i, x, 4)",
    "scatter_add(y, x, 4)",
    "take_along(x, v)",
    "take_along(x, i32(v), axis=1)",
    "pick(x, y)",
    "reshape(x, [batch, 4])",
    "squeeze(x, axes=1)",
    "unsqueeze(x, 3)",
    "transpose(x, axes=[0, 2])",
    "broadcast(x, [batch, 4])",
    "concat([x, y], axis=0)",
    "stack([x, y])",
    "unstack(x)",
    "x[:, 0:5]",
    "x[:, 0, 0]",
    "convolution(x, y)",
    "convolution(reshape(x, [batch, 3, 1]), full([2, 2, 1], 0))",
    "max_pool(x, 2)",
    "max_pool(reshape(x, [batch, 3, 1]), 4)",
    "average_pool(reshape(x, [batch, 3, 1]), 4)",
    "convolution_transpose(reshape(x, [batch, 3, 1]), full([2, 1, 2], 0))",
    "pad(x, [1])",
    "repeat_elements(x, 2, axis=2)",
    "einsum(\"ab,ab->a\", x, y)",
    "solve(x, y)",
    "solve(full([2, 2], 1), full([3], 1))",
    "eigh(full([2, 3], 1))",
    "pinv(full([2, 3], 1))",
    "pinv(full([2, 2], 1), tolerance=-1)",
    "simplex_qp(full([2, 3], 1))",
    "simplex_qp(full([2, 2], 1), full([3], 1))",
    "gradients([v])",
    "combine(x, y)",
    "direction(x, [v])",
    "weights_of(v, [v])",
    "each(exp, x)",
    "call_every(2, exp, [v])",
    "nonneg_qp(full([2, 2], 1), full([3], 1))",
    "grad(x, v)",
    "by_mode(x, y)",
    "scan(exp, v, [v])",
    "random_uniform(x)",
    "random_normal(x)",
];

#[test]
fn a_refused_call_names_its_constraint_and_the_shapes() {
    let builtins = BUILTINS.iter().flat_map(|rows| rows.iter()).filter(|builtin| !TAKES_ALL.contains(&builtin.name));
    let (of_one, others): (Vec<&Builtin>, Vec<&Builtin>) = builtins.partition(|builtin| builtin.parameters == ["x"]);
    for other in others {
        let call = format!("{}(", other.name);
        assert!(REFUSED.iter().any(|refused| refused.starts_with(&call)), "no refused call of {}", other.name);
    }
    let of_one: Vec<String> = of_one.into_iter().map(|builtin| format!("{}(m)", builtin.name)).collect();
    let others: Vec<String> = REFUSED.iter().map(ToString::to_string).collect();
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("refused_calls_of_one_tensor", refusals(&of_one));
        insta::assert_snapshot!("refused_calls", refusals(&others));
    });
}

/// What is said of each call.
fn refusals(calls: &[String]) -> String {
    let mut shown = String::new();
    for call in calls {
        let mut sources = SourceMap::default();
        let text = format!(
            "input x: f32[batch, 3]\ninput y: f32[batch, 4]\ninput v: f32[batch]\ninput i: i32[batch, 4]\n\
             input m: bool[batch]\noutput refused = {call}\n"
        );
        let spec = sources.add("refused.anb", text);
        let Err(findings) = compile(&mut sources, spec, &Options::default()) else { panic!("compiles: {call}") };
        assert_eq!(findings.0.len(), 1, "{call}:\n{}", render_plain(&findings.0, &sources));
        let finding = &findings.0[0];
        shown += &format!("{call}\n    {} {}\n", finding.code.as_str(), finding.headline);
        for label in finding.primary.iter() {
            shown += &format!("    at: {}\n", label.message);
        }
        for note in finding.notes.iter().chain(&finding.helps) {
            shown += &format!("    {note}\n");
        }
    }
    shown
}
