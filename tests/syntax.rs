//! Reading specs through the public API: trees, diagnostics as people see them, hostile texts.

use anabranch::diag::{Diagnostic, SourceMap, render_plain, to_json_lines};
use anabranch::syntax::{ast::File, parse, print};
use proptest::prelude::*;

fn read(name: &str, text: &str) -> (SourceMap, File, Vec<Diagnostic>) {
    let mut sources = SourceMap::default();
    let source = sources.add(name, text);
    let (file, errors) = parse(&sources, source);
    (sources, file, errors)
}

#[test]
fn the_first_example_is_read_as_it_is_meant() {
    let (sources, file, errors) = read("localizer.anb", include_str!("../examples/localizer/localizer.anb"));
    assert_eq!(render_plain(&errors, &sources), "");
    insta::assert_snapshot!(print(&file));
}

/// Every broken text with its diagnostics, in one snapshot to be read from top to bottom.
#[test]
fn broken_texts_are_explained() {
    const TEXTS: &[(&str, &str)] = &[
        ("misspelt keyword", "imput image: f32[batch, 5]\noutput y = image\n"),
        ("let forgotten", "input x: f32[batch]\ny = x + 3\noutput z = y\n"),
        ("input forgotten", "x: f32[batch, 3]\n"),
        ("value alone", "dense(units=3)\n"),
        ("bracket of a call not closed", "let a = conv2d(x, filters=1\noutput b = a\n"),
        ("comma forgotten", "let a = conv2d(x filters=1)\n"),
        ("body not closed", "fn f(x) {\n    let y = x\n    return y\n\noutput z = f(1)\n"),
        ("text ends in a body", "fn f(x) {\n    return x\n"),
        ("wrong bracket", "let a = f(x]\n"),
        ("stray bracket", "let a = f(x))\n"),
        ("comparison with one sign", "assert units = 3\n"),
        ("two signs in a definition", "let a == 3\n"),
        ("foreign comment", "let a = 3 // three\n"),
        ("semicolon", "let a = 3;\nlet b = 4;\n"),
        ("foreign operators", "let a = not b && c\n"),
        ("unfinished string", "use \"blocks.anb\nlet a = 3\n"),
        ("unknown escape", "use \"bl\\qcks.anb\"\n"),
        ("numbers", "let a = .5\nlet b = 1.\nlet c = 3x\nlet d = 1e999\n"),
        ("reserved name", "let if = 3\n"),
        ("value missing", "let a =\nlet b = 3 +\nlet c = * 3\n"),
        ("comparisons chained", "let a = 0 < b < 1\n"),
        ("pipe into a value", "let a = x |> f + 1\n"),
        ("param without a value", "param w: f32[3]\n"),
        ("type missing", "input x\n"),
        ("train block", "train {\n    minimise total\n    optimizer sgd(lr=0.1)\n}\n"),
        ("contract", "assert a trains only\nassert a never train b\n"),
        ("parameter list", "fn f(x y) {\n    return x\n}\n"),
        ("list", "let a = [1, 2\nlet b = x[0:1:2:3]\n"),
        ("optional value", "let a = b?\n"),
        ("empty brackets", "let a = ()\nlet b = x[]\n"),
    ];
    let mut all = String::new();
    for (name, text) in TEXTS {
        let (sources, _, errors) = read("broken.anb", text);
        assert!(!errors.is_empty(), "{name}");
        all.push_str(&format!("==== {name}\n{}\n", render_plain(&errors, &sources)));
    }
    insta::assert_snapshot!(all);
}

/// Words and signs of the language, thrown together.
fn soup() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "let", "input", "param", "fn", "layer", "train", "minimize", "assert", "trains", "only", "never", "every",
        "if", "else", "return", "x", "f", "f32", "1", "0.5", "\"s\"", "\"", "(", ")", "[", "]", "{", "}", ",", ":",
        "=", "==", "|>", "**", "*", "+", "-", "@", "@allow", "...", ".", "?", "in", "not", "and", "#", "\n", "\n\n",
        "    ", "é", "\r\n",
    ];
    prop::collection::vec(prop::sample::select(WORDS), 0..80).prop_map(|words| words.join(" ").replace("\n ", "\n"))
}

/// Whatever is read, the findings can be shown and point into the text.
fn check_any(text: &str) {
    let (sources, file, errors) = read("any.anb", text);
    print(&file);
    assert_eq!(to_json_lines(&errors, &sources).lines().count(), errors.len());
    render_plain(&errors, &sources);
    for error in &errors {
        let label = error.primary.as_ref().expect("a syntax error has a place");
        assert!(text.get(label.span.start as usize..label.span.end as usize).is_some(), "{error:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
        check_any(&text);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check_any(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_words_are_read_without_a_panic(text in soup()) {
        check_any(&text);
    }
}
