use super::*;

fn format_text(text: &str) -> String {
    let mut sources = SourceMap::default();
    let source = sources.add("test.anb", text);
    format(&sources, source).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let formatted = format_text(text);
    assert_eq!(formatted, expected, "\n{formatted}");
    assert_eq!(format_text(expected), expected);
}

#[test]
fn spaces_are_canonical() {
    check("let  a=b+ -c**2", "let a = b + -c ** 2\n");
    check("let a = f ( x [ : ,0 : 1,- 1 ] , k = - 3 , )", "let a = f(x[:, 0:1, -1], k=-3)\n");
    check("let a = ( b+c )*not  d", "let a = (b + c) * not d\n");
    check("target  y :f32 [ batch,3 ] ?", "target y: f32[batch, 3]?\n");
    check("param a:f32=0.5 in[0,1]", "param a: f32 = 0.5 in [0, 1]\n");
    check("let a = x@ y|>f|> g . h( )", "let a = x @ y |> f |> g.h()\n");
    check("let a = if b{c}else{-d}", "let a = if b { c } else { -d }\n");
    check("let a = if b{c}else  if d{e}else{f}", "let a = if b { c } else if d { e } else { f }\n");
    check("let a = b//c%d/e", "let a = b // c % d / e\n");
    check("assert a never trains b.* ,c.*d", "assert a never trains b.*, c.*d\n");
    check("@ allow( weight-collapse ) let a = -1", "@allow(weight-collapse)\nlet a = -1\n");
}

#[test]
fn choices_chain() {
    check(
        "fn f(x){if a==1{return x}else if a==2{return 1}else if b{let c=1 return c}else{return 2}}",
        "fn f(x) {\n    if a == 1 {\n        return x\n    } else if a == 2 {\n        return 1\n    } else if b {\n        let c = 1\n        return c\n    } else {\n        return 2\n    }\n}\n",
    );
    check("fn f(x){if a{}else if b{}}", "fn f(x) {\n    if a {} else if b {}\n}\n");
}

#[test]
fn neighbouring_declarations_stand_in_columns() {
    check(
        "input image:f32[batch,5] # pixels\ntarget box : f32[batch]\ntarget  kind_of_it: i32[batch]?\n\ninput x: f32\nlet a = 1\ntarget t: f32",
        "input  image:      f32[batch, 5]  # pixels\ntarget box:        f32[batch]\ntarget kind_of_it: i32[batch]?\n\ninput x: f32\nlet a = 1\ntarget t: f32\n",
    );
    check(
        "input a: f32\n# of b\ntarget b: f32\ntarget long: f32",
        "input a: f32\n# of b\ntarget b:    f32\ntarget long: f32\n",
    );
    let dims = format!("{}, twelve_chars", ["a_dim_of_its_own"; 4].join(", "));
    let text = format!("input a: f32[{dims}]\ntarget long: f32\n");
    check(&text, &text);
}

#[test]
fn bodies_are_indented() {
    check(
        "fn f(x,d=1,y:f32[batch,...,N]=2,z...:f32){let a=-x if a>(0){return-a}else{return [a ,]}}use \"b.anb\" fn g(){}",
        "fn f(x, d=1, y: f32[batch, ..., N] = 2, z...: f32) {\n    let a = -x\n    if a > (0) {\n        return -a\n    } else {\n        return [a]\n    }\n}\nuse \"b.anb\"\nfn g() {}\n",
    );
    check(
        "train{minimize-a over b.*,c clip n=1,m=2 optimizer sgd(lr=1)for d.e}",
        "train {\n    minimize -a over b.*, c\n    clip n=1, m=2\n    optimizer sgd(lr=1) for d.e\n}\n",
    );
}

#[test]
fn comments_and_single_blank_lines_stay() {
    let text = "# head\n\n# doc\nlet a = 1  # behind a\nlet b = f(\n    x,  # first\n    # about y\n    y,  # second\n    # end\n)  # behind b\n\nfn g(x) {  # open\n    # in front\n    let y = x\n        # pipe\n        |> f  # one\n        |> g\n\n    return y\n    # last\n}  # close\n# tail\n";
    check(text, text);
    check("\n\n\nlet a = 1\n\n\n\n\nlet b = 2\n\n\n", "let a = 1\n\nlet b = 2\n");
    check("fn f(){# only\n}", "fn f() {  # only\n}\n");
    check("let a = [1 # one\n,2]", "let a = [\n    1,  # one\n    2,\n]\n");
    check("# nothing else\n\n\n# two\n", "# nothing else\n\n# two\n");
    check("", "");
}

#[test]
fn comments_before_a_body_go_behind_its_brace_or_into_it() {
    check(
        "fn f(x) {\n    if a # why\n    {\n        return x\n    } else # or\n    # else\n    {\n        return x\n    }\n}\n",
        "fn f(x) {\n    if a {  # why\n        return x\n    } else {\n        # or\n        # else\n\n        return x\n    }\n}\n",
    );
    check("fn f(x) # what\n{ return x }", "fn f(x) {  # what\n    return x\n}\n");
    check("fn f(x) # what\n{}", "fn f(x) {  # what\n}\n");
    check("fn f(x) # what\n# more\n{}", "fn f(x) {\n    # what\n    # more\n}\n");
    check("train # how\n{ # and\n minimize l }", "train {\n    # how\n    # and\n\n    minimize l\n}\n");
    check("let y = if a # why\n{ x } else { z }", "let y = if a {  # why\n    x\n} else { z }\n");
}

#[test]
fn long_lines_are_broken() {
    let name = "a_name_of_thirty_characters_xx";
    check(
        &format!("let a = f({name}, {name}, key={name}, {name})"),
        &format!("let a = f(\n    {name},\n    {name},\n    key={name},\n    {name},\n)\n"),
    );
    check(
        &format!("let a = {name} |> {name}(1) |> {name}(2) |> f"),
        &format!("let a = {name}\n    |> {name}(1)\n    |> {name}(2)\n    |> f\n"),
    );
    check(
        &format!("let a = ({name} + {name} * {name} + f)"),
        &format!("let a = (\n    {name}\n        + {name} * {name}\n        + f\n)\n"),
    );
    // What makes a list of another one takes no comma, its elements do.
    check(
        &format!("let a = [f({name}, {name}) for x in a_name_of_eighteen]"),
        &format!("let a = [\n    f({name}, {name}) for x in a_name_of_eighteen\n]\n"),
    );
}

#[test]
fn broken_texts_are_left_alone() {
    let mut sources = SourceMap::default();
    let source = sources.add("test.anb", "let a = ");
    assert!(format(&sources, source).is_err());
}
