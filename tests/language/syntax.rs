//! Reading specs through the public API: trees, diagnostics as people see them, hostile texts.

use anabranch::diag::{Diagnostic, SourceMap, render_plain, to_json_lines};
use anabranch::syntax::{ast::File, format, parse, print};
use proptest::prelude::*;

fn read(name: &str, text: &str) -> (SourceMap, File, Vec<Diagnostic>) {
    let mut sources = SourceMap::default();
    let source = sources.add(name, text);
    let (file, errors) = parse(&sources, source);
    (sources, file, errors)
}

#[test]
fn the_first_example_is_read_as_it_is_meant() {
    let (sources, file, errors) = read("localizer.anb", include_str!("../../examples/localizer/localizer.anb"));
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
        ("bracket in a body not closed", "fn f(x) {\n    let y = (x + 1\n    return y\n}\n"),
        ("chain of choices", "fn f(x) {\n    if x { return 1 } elif y { return 2 }\n}\n"),
        ("wrong bracket", "let a = f(x]\n"),
        ("stray bracket", "let a = f(x))\n"),
        ("comparison with one sign", "assert units = 3\n"),
        ("two signs in a definition", "let a == 3\n"),
        ("foreign comment", "let a = 3 // three of them\n"),
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
    // In two parts, for whoever reads them.
    for (part, texts) in TEXTS.chunks(TEXTS.len().div_ceil(2)).enumerate() {
        let mut shown = String::new();
        for (name, text) in texts {
            let (sources, _, errors) = read("broken.anb", text);
            assert!(!errors.is_empty(), "{name}");
            shown.push_str(&format!("==== {name}\n{}\n", render_plain(&errors, &sources)));
        }
        insta::assert_snapshot!(format!("broken_texts_{}", part + 1), shown);
    }
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

/// Values, as words and signs between which anything empty may stand.
fn value() -> impl Strategy<Value = Vec<String>> {
    const LEAVES: &[&str] =
        &["x", "param", "step", "a_rather_long_name_for_a_value", "1", "0.5", "1e-3", "\"text\"", "true", "none"];
    let leaf = prop::sample::select(LEAVES).prop_map(|leaf| vec![leaf.to_owned()]);
    let join = |parts: Vec<Vec<String>>| parts.concat();
    let sign = |sign: &str| vec![sign.to_owned()];
    leaf.prop_recursive(5, 60, 5, move |inner| {
        const OPERATORS: &[&str] = &["+", "-", "*", "/", "**", "@", "and", "or"];
        let operator = prop::sample::select(OPERATORS).prop_map(sign);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(move |(a, op, b)| join(vec![a, op, b])),
            (prop::sample::select(&["-", "not"][..]), inner.clone()).prop_map(move |(op, a)| join(vec![sign(op), a])),
            (inner.clone()).prop_map(move |a| join(vec![sign("("), a, sign(")")])),
            (inner.clone()).prop_map(move |a| join(vec![sign("("), a, sign(")"), sign("."), sign("kernel")])),
            (inner.clone(), inner.clone()).prop_map(move |(a, b)| {
                join(vec![
                    sign("("),
                    a,
                    sign("|>"),
                    sign("f"),
                    sign("("),
                    sign("k"),
                    sign("="),
                    b,
                    sign(","),
                    sign(")"),
                    sign(")"),
                ])
            }),
            prop::collection::vec(inner.clone(), 0..5).prop_map(move |items| {
                let items = items.into_iter().map(|item| join(vec![item, sign(",")]));
                join(vec![sign("f"), sign("("), items.collect::<Vec<_>>().concat(), sign(")")])
            }),
            (inner.clone(), inner.clone()).prop_map(move |(a, b)| {
                join(vec![
                    sign("x"),
                    sign("["),
                    sign(":"),
                    sign(","),
                    a,
                    sign(":"),
                    b,
                    sign(","),
                    sign("..."),
                    sign("]"),
                ])
            }),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(move |(a, b, c)| {
                join(vec![sign("if"), a, sign("{"), b, sign("}"), sign("else"), sign("{"), c, sign("}")])
            }),
        ]
    })
}

/// Statements of many kinds around random values.
fn statement() -> impl Strategy<Value = Vec<String>> {
    const FRAMES: &[&str] = &[
        "let y = VALUE",
        "output o = VALUE",
        "param w : f32 [ batch , VALUE ] = VALUE in [ 0 , 1 ]",
        "update s = VALUE every epoch",
        "fn f ( x , d = VALUE , y : f32 [ ... , N ] = 1 , z ... : f32 ) { let q = VALUE @allow( unstable ) return VALUE }",
        "layer l ( ) { if VALUE { return VALUE } else { let z = VALUE return z } }",
        "train { minimize VALUE over a.* , b optimizer VALUE for *.c clip n = VALUE , m = 1 }",
        "assert VALUE never trains a.* , b",
        "assert every param is trained",
        "assert predict draws nothing",
        // `~` keeps a line together: one that begins with a keyword and a name begins a statement.
        "assert predict reads no~loss weight",
        "@allow( weight-collapse , unused ) loss l = VALUE",
        "use \"file.anb\"",
        "combiner c ( ) { }",
    ];
    (prop::sample::select(FRAMES), prop::collection::vec(value(), 3)).prop_map(|(frame, values)| {
        let mut values = values.into_iter().cycle();
        let mut words = Vec::new();
        for word in frame.split(' ') {
            match word {
                "VALUE" => words.extend(values.next().unwrap_or_default()),
                word => words.push(word.replace('~', " ")),
            }
        }
        words
    })
}

/// A text that parses, with white space and comments thrown in.
fn spec() -> impl Strategy<Value = String> {
    const GAPS: &[&str] = &[
        " ",
        " ",
        " ",
        " ",
        " ",
        " ",
        "\n",
        "\n\n\n",
        " # a comment\n",
        "\n# on its own\n",
        "\n\n  #two\n#lines  \n\n",
    ];
    let gaps = prop::collection::vec(prop::sample::select(GAPS), 1..40);
    (prop::collection::vec(statement(), 0..4), gaps).prop_map(|(statements, gaps)| {
        let mut text = String::new();
        for (word, gap) in statements.into_iter().flatten().zip(gaps.into_iter().cycle()) {
            // An annotation begins a line; elsewhere `@` is an operator.
            text.push_str(if word.starts_with("@a") { "\n" } else { "" });
            text.push_str(&word);
            text.push_str(gap);
        }
        text
    })
}

fn comments(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_once('#').map(|(_, comment)| comment.trim_end())).collect()
}

#[test]
fn the_first_example_is_formatted() {
    let text = include_str!("../../examples/localizer/localizer.anb");
    let mut sources = SourceMap::default();
    let source = sources.add("localizer.anb", text);
    assert_eq!(format(&sources, source).as_deref(), Ok(text));
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
    fn formatting_keeps_the_tree_and_the_comments_and_is_idempotent(text in spec()) {
        let (sources, file, errors) = read("any.anb", &text);
        prop_assert!(errors.is_empty(), "{text}\n{}", render_plain(&errors, &sources));
        let set = |text: &str| {
            let mut sources = SourceMap::default();
            let source = sources.add("set.anb", text);
            format(&sources, source)
        };
        let once = match set(&text) {
            Ok(once) => once,
            Err(errors) => return Err(TestCaseError::fail(errors.to_string())),
        };
        let (sources, again, errors) = read("once.anb", &once);
        prop_assert!(errors.is_empty(), "{once}\n{}", render_plain(&errors, &sources));
        prop_assert_eq!(print(&again), print(&file), "{}", once);
        prop_assert_eq!(comments(&once), comments(&text));
        prop_assert!(once.lines().all(|line| line.trim_end() == line), "{}", once);
        prop_assert_eq!(set(&once), Ok(once));
    }

    #[test]
    fn any_words_are_read_without_a_panic(text in soup()) {
        check_any(&text);
    }
}
