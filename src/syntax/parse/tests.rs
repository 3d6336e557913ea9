use super::*;

fn parse_text(text: &str) -> (File, Vec<Diagnostic>) {
    let mut sources = SourceMap::default();
    let source = sources.add("test.anb", text);
    parse(&sources, source)
}

#[track_caller]
fn statements(text: &str) -> Vec<Statement> {
    let (file, errors) = parse_text(text);
    assert!(errors.is_empty(), "{text}\n{errors:#?}");
    file.statements
}

/// The operators of a value with all brackets written.
fn shape(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Binary { op, left, right } => format!("({} {} {})", shape(left), op.symbol(), shape(right)),
        ExprKind::Unary { op, operand } => format!("({} {})", op.symbol(), shape(operand)),
        ExprKind::Pipe { value, call } => format!("({} |> {})", shape(value), shape(call)),
        ExprKind::Name(name) => name.to_string(),
        ExprKind::Number { text, .. } => text.to_string(),
        ExprKind::Call { callee, arguments } => {
            let arguments: Vec<String> = arguments.iter().map(|argument| shape(&argument.value)).collect();
            format!("{}({})", shape(callee), arguments.join(", "))
        }
        ExprKind::Field { base, field } => format!("{}.{}", shape(base), field.name),
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn value(text: &str) -> String {
    match &statements(&format!("let v = {text}"))[..] {
        [Statement { kind: StatementKind::Let { value, .. }, .. }] => shape(value),
        other => panic!("{other:#?}"),
    }
}

#[track_caller]
fn error(text: &str) -> Diagnostic {
    let (_, mut errors) = parse_text(text);
    assert_eq!(errors.len(), 1, "{text}\n{errors:#?}");
    errors.remove(0)
}

#[test]
fn precedence_is_the_documented_one() {
    assert_eq!(value("-x ** 2"), "(- (x ** 2))");
    assert_eq!(value("2 ** -1"), "(2 ** (- 1))");
    assert_eq!(value("2 ** -1 + 3"), "((2 ** (- 1)) + 3)");
    assert_eq!(value("a ** b ** c"), "(a ** (b ** c))");
    assert_eq!(value("a - b - c"), "((a - b) - c)");
    assert_eq!(value("a + b * c @ d"), "(a + ((b * c) @ d))");
    assert_eq!(value("not a == b and c or d"), "(((not (a == b)) and c) or d)");
    assert_eq!(value("a + b |> f |> g.h(1)"), "(((a + b) |> f) |> g.h(1))");
    assert_eq!(value("- -x"), "(- (- x))");
    assert_eq!(value("(a + b) * c"), "((a + b) * c)");
    assert_eq!(value("not_a or b"), "(not_a or b)");
    assert_eq!(value("a\n    |> f # first\n    |> g"), "((a |> f) |> g)");
}

#[test]
fn keywords_are_names_where_no_keyword_is_expected() {
    assert_eq!(value("zeros_like(param)"), "zeros_like(param)");
    assert_eq!(value("param - lr * v"), "(param - (lr * v))");
    assert_eq!(value("linear(step, from=0.9, over=10)"), "linear(step, 0.9, 10)");
    assert_eq!(value("input + state.every"), "(input + state.every)");
    let body = "layer f(x) {\nlet y = x\nparam bias: f32[n] = zeros()\nreturn y + bias\n}";
    let statements = statements(body);
    assert_eq!(statements.len(), 1);
    assert!(matches!(&statements[0].kind, StatementKind::Definition(f) if f.body.statements.len() == 3));
}

#[test]
fn an_at_sign_that_begins_a_line_and_touches_a_name_is_an_annotation() {
    let text = "fn f(x) {\n    let y = x\n    @allow(unstable)\n    let z = y\n        @ kernel\n    return z\n}";
    let statements = statements(text);
    let StatementKind::Definition(f) = &statements[0].kind else { panic!("{statements:#?}") };
    assert_eq!(&*f.body.statements[1].annotations[0].arguments[0].name, "unstable");
    let StatementKind::Let { value, .. } = &f.body.statements[1].kind else { panic!("{f:#?}") };
    assert_eq!(shape(value), "(y @ kernel)");
}

#[test]
fn comments_above_a_statement_are_its_documentation() {
    let statements = statements("# far\n\n# one\n#  two\nlet x = 1 # behind\nlet y = 2");
    assert_eq!(statements[0].doc, [Arc::from("one"), Arc::from(" two")]);
    assert!(statements[1].doc.is_empty());
}

#[test]
fn spans_end_with_the_last_token() {
    let text = "let x = f(a   # comment\n) \n\n# more\nparam w: f32 = g # c\n";
    let statements = statements(text);
    assert_eq!(&text[statements[0].span.start as usize..statements[0].span.end as usize], "let x = f(a   # comment\n)");
    assert_eq!(&text[statements[1].span.start as usize..statements[1].span.end as usize], "param w: f32 = g");
}

#[test]
fn every_form_of_the_page_is_read() {
    let text = r#"
        use "blocks.anb"
        const width = 10_000
        input x: f32[batch, T + 1, 1]
        target y: f32[batch]?
        state s: f32 = 0
        state velocity = zeros_like(param)
        update s = s + 1 every epoch
        update velocity = every
        layer enc = dense(units=64,)
        metric m = auc(y, enc.kernel[:, 0:1, ::2, ..., -1])
        combiner total(losses...: f32, scale: f32[K] = 1,) { return sum(stack(losses...)) * scale }
        initializer uniform(shape, low=-1, high=.1e0 ,) { return none }
        train {
            minimize a + b over critic.*, head.*
            minimize c
            optimizer sgd(lr=if fast { 1 } else { 2 }) for total.alpha
            optimizer adam
            clip global_norm=1.0, value=2
        }
        assert every param is trained
        assert a trains only b
        assert a never trains encoder.*
        assert a.b trains c, d
        assert box: f32[batch, 3, 3, 1]
        assert units > 0 and not flag
        if width == 3 { let a = "s\n\"" } else { let a = [1, [], true] }
    "#;
    let (_, errors) = parse_text(text);
    // `.1e0` is the one mistake in it.
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!(errors[0].code, Code::E0104);
    assert_eq!(statements(&text.replace(".1e0", "1e0")).len(), 20);
}

#[test]
fn one_broken_statement_hides_no_other() {
    let (file, errors) = parse_text("let a = 1\nlet = 2\nfn f( { return 1 }\nlet c = 3\nlet d = )\n");
    assert_eq!(errors.len(), 3, "{errors:#?}");
    assert_eq!(file.statements.len(), 2);
}

#[test]
fn a_keyword_at_the_beginning_of_a_line_may_still_be_a_name() {
    assert_eq!(statements("let y = -\nparam let z = a +\ninput\nlet w = [\nloss\n]").len(), 3);
    assert_eq!(statements("\u{feff}# doc\nlet y = 1")[0].doc.len(), 1);
}

#[test]
fn limits_are_errors() {
    assert_eq!(error(&"x".repeat(MAXIMUM_TEXT + 1)).code, Code::E0103);
    let terms = |count: usize| format!("let a = {}a", "a + ".repeat(count));
    assert!(parse_text(&terms(MAXIMUM_HEIGHT - 10)).1.is_empty());
    assert_eq!(error(&terms(100_000)).code, Code::E0102);
    assert_eq!(error(&format!("let a = {}a", "a ** ".repeat(100_000))).code, Code::E0102);
    assert_eq!(error(&format!("let a = {}a", "-".repeat(100_000))).code, Code::E0102);
    assert_eq!(error(&format!("let a = {}a", "not ".repeat(100_000))).code, Code::E0102);
    assert_eq!(error(&format!("let a = a{}", " |> f".repeat(100_000))).code, Code::E0102);
    assert_eq!(error(&format!("let a = a{}", "()".repeat(100_000))).code, Code::E0102);
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("f(", ")"),
        ("f[", "]"),
        ("f[1:", "]"),
        ("if a { b } else { ", " }"),
        ("f(k=", ")"),
        ("a + f(-", ").g"),
    ] {
        let nested = |depth: usize| format!("let a = {}a{}", open.repeat(depth), close.repeat(depth));
        let fitting = if open == "a + f(-" { 90 } else { 190 };
        assert!(parse_text(&nested(fitting)).1.is_empty(), "{open}: {:?}", parse_text(&nested(fitting)).1);
        // As deep as the longest text goes.
        assert_eq!(error(&nested(50_000)).code, Code::E0102, "{open}");
        // Unfinished nesting must not be read over and over again either.
        let unfinished = format!("let a = {}", open.repeat(MAXIMUM_NESTING - 1));
        assert_eq!(error(&unfinished).code, Code::E0101, "{open}");
    }
    let blocks = |depth: usize| format!("fn f() {{ {} return 1 {} }}", "if a { ".repeat(depth), "}".repeat(depth));
    assert!(parse_text(&blocks(190)).1.is_empty());
    assert_eq!(error(&blocks(100_000)).code, Code::E0102);
}
