//! Texts that nobody means well with, through the binary: each is answered in time and within 1 GB, by findings and exit code 2,
//! or by success where the text is legal. Every input is made here.
//!
//! The time is the processor's, not the clock's, so that a busy machine changes nothing. It is a guard against what grows faster
//! than its text (which takes minutes), not a measurement: a slow machine must not fail it.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "the system's count of what a process used")]

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Five times the 2 s of docs/robustness.md; unoptimised code gets more time, and no other memory.
const SECONDS: f64 = if cfg!(debug_assertions) { 30.0 } else { 10.0 };
const BYTES: i64 = 1 << 30;
const DEEP: usize = 100_000;

/// What a process answered, and what it took.
struct Answer {
    code: Option<i32>,
    errors: String,
    seconds: f64,
    peak: i64,
}

#[allow(clippy::zombie_processes, reason = "`wait4` waits, since it also tells what the process took")]
fn ask(folder: &TempDir, arguments: &[&str]) -> Answer {
    let errors = folder.path().join("errors.txt");
    let sink = std::fs::File::create(&errors).unwrap();
    let child = Command::new("sh")
        // What hangs is ended by the system.
        .args(["-c", "ulimit -t 60; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_anabranch")])
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(sink)
        .spawn()
        .unwrap();
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: the process is this one's child and nobody else waits for it; both places outlive the call.
    let waited = unsafe { libc::wait4(child.id() as i32, &mut status, 0, usage.as_mut_ptr()) };
    assert_eq!(waited, child.id() as i32);
    // SAFETY: zeroes are a valid `rusage`, and the call has filled it.
    let usage = unsafe { usage.assume_init() };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Answer {
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        errors: String::from_utf8_lossy(&std::fs::read(errors).unwrap()).into_owned(),
        seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        peak: usage.ru_maxrss * 1024,
    }
}

/// What a text may cost.
#[derive(Clone, Copy)]
struct Limits {
    seconds: f64,
    bytes: i64,
}

const LIMITS: Limits = Limits { seconds: SECONDS, bytes: BYTES };

/// Whether the text is refused with this code and no other (or accepted, where it is empty), within the limits.
fn judged(files: &[(&str, &[u8])], arguments: &[&str], code: &str, limits: Limits) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    for (file, bytes) in files {
        std::fs::write(folder.path().join(file), bytes).unwrap();
    }
    let answer = ask(&folder, arguments);
    let start: String = answer.errors.chars().take(600).collect();
    let expected = if code.is_empty() { 0 } else { 2 };
    if answer.code != Some(expected) {
        return Err(format!("exit {:?}, not {expected}: {start}", answer.code));
    }
    let found: BTreeSet<&str> = answer.errors.split("error[").skip(1).filter_map(|rest| rest.get(..5)).collect();
    if found != [code].into_iter().filter(|code| !code.is_empty()).collect() {
        return Err(format!("{found:?}, not {code}: {start}"));
    }
    if answer.seconds > limits.seconds {
        return Err(format!("{:.2} s", answer.seconds));
    }
    if answer.peak > limits.bytes { Err(format!("{} MB", answer.peak >> 20)) } else { Ok(()) }
}

fn answered(name: &str, files: &[(&str, &[u8])], arguments: &[&str], code: &str) {
    judged(files, arguments, code, LIMITS).unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[test]
fn what_is_answered_otherwise_is_seen() {
    let judged = |text: &str, code: &str, limits: Limits| {
        judged(&[("spec.anb", text.as_bytes())], &["check", "spec.anb"], code, limits)
    };
    let fails = |text: &str, code: &str, limits: Limits, how: &str| {
        let outcome = judged(text, code, limits);
        assert!(outcome.as_ref().is_err_and(|error| error.starts_with(how)), "{outcome:?} does not start with {how}");
    };
    let (legal, wrong) = ("const a = 1\n", "let a = b\n");
    assert_eq!(judged(legal, "", LIMITS), Ok(()));
    assert_eq!(judged(wrong, "E0201", LIMITS), Ok(()));
    fails(legal, "E0201", LIMITS, "exit Some(0), not 2");
    fails(wrong, "", LIMITS, "exit Some(2), not 0");
    fails(wrong, "E0202", LIMITS, "{\"E0201\"}, not E0202");
    fails(legal, "", Limits { bytes: 1 << 16, ..LIMITS }, "");
    let long = "const a = 1\n".repeat(2_000);
    fails(&long, "E0202", Limits { seconds: 0.0, ..LIMITS }, "0.");
}

fn check(name: &str, text: impl AsRef<[u8]>, code: &str) {
    answered(name, &[("spec.anb", text.as_ref())], &["check", "spec.anb"], code);
}

fn format(name: &str, text: &str, code: &str) {
    answered(name, &[("spec.anb", text.as_bytes())], &["fmt", "spec.anb"], code);
}

/// As many copies as fill the longest text that is read.
fn filled(unit: &str) -> String {
    unit.repeat((anabranch::syntax::MAXIMUM_TEXT - 100) / unit.len())
}

#[test]
fn deep_nesting_is_refused() {
    // As deep as the longest text allows, where the brackets are words.
    let depth = |unit: usize| DEEP.min((anabranch::syntax::MAXIMUM_TEXT - 100) / unit);
    let nested = |open: &str, close: &str| {
        let depth = depth(open.len() + close.len());
        format!("let x = {}1{}\n", open.repeat(depth), close.repeat(depth))
    };
    for (open, close) in [("(", ")"), ("[", "]"), ("f(", ")"), ("if true { ", " } else { 2 }"), ("-", ""), ("not ", "")]
    {
        check(open, nested(open, close), "E0102");
    }
    check("types", format!("input x: f32{}{}\n", "[batch".repeat(DEEP), "]".repeat(DEEP)), "E0102");
    check("blocks", format!("fn f() {{ {}return 1{} }}\n", "if true { ".repeat(80_000), " }".repeat(80_000)), "E0102");
    for operator in [" + 2", " ** 2", " |> f", "[0]", "(0)", ".a"] {
        check(operator, format!("let x = a{}\n", operator.repeat(DEEP)), "E0102");
    }
    for never_closed in ["(", "[", "{", "f("] {
        check(never_closed, format!("let x = {}", never_closed.repeat(DEEP)), "E0102");
    }
    check("never opened", format!("let x = {}", ")".repeat(DEEP)), "E0101");
}

#[test]
fn large_files_are_refused_unread() {
    const SIZE: usize = 50_000_000;
    for unit in ["const a = 1\n", "x", "%$\u{a7}&/ ", "# a comment\n", "let x = 1 "] {
        check(unit, unit.repeat(SIZE / unit.len()), "E0103");
    }
}

#[test]
fn the_largest_texts_that_are_read_are_read_in_time() {
    let numbered = |unit: &str| {
        let lines = (0..).map(|i| unit.replace('#', &i.to_string()));
        let mut size = 0;
        let fits = lines.take_while(|line| {
            size += line.len();
            size < anabranch::syntax::MAXIMUM_TEXT - 100
        });
        fits.collect::<String>()
    };
    check("constants", numbered("const a# = #\n"), "");
    check("functions", numbered("fn f#(x) { return x }\n"), "");
    check("comments", filled("# a comment\n"), "");
    check("one comment", format!("#{}", filled("a")), "");
    check("annotations", format!("{}let x = 1", filled("@allow(unused)\n")), "");
    check("unknown annotations", format!("{}let x = 1", filled("@allow(a)\n")), "E0201");
    check("many silenced", format!("input x: f32[batch]\n{}", numbered("@allow(unused)\nlet a# = x\n")), "");
    check("lists", format!("const a = [{}]\n", filled("[1,2],")), "");
    check("arguments", format!("let x = f({})\n", filled("1, ")), "E0201");
    check("one line", filled("let x = 1 "), "E0202");
    check("garbage", filled("%$\u{a7}&/"), "E0101");
    check("quotes", filled("\""), "E0101");
    check("a long name", format!("const {} = 1\n", filled("a")), "");
    check("a long number", format!("let a = {}\n", filled("1")), "E0104");
    check("a long text", format!("const a = \"{}\"\n", filled("a")), "");
    let call = format!("let x = {}1{}\n", "f(".repeat(190), ")".repeat(190));
    check("nested calls", filled(&call), "E0201");
    // Each of its 190 levels would be indented further, to 250 times the length.
    format("nested calls", &filled(&call), "E0103");
    format("calls", &filled("let x = f(g(h(1, 2), 3), 4)\n"), "");
    format("arguments", &format!("let x = f({})\n", "1, ".repeat(80_000)), "");
    format("comments", &filled("# a comment\n"), "");
    format(
        "sums",
        filled(&format!("let x = 1{}\n", " + 2 * 3".repeat(200)))[..500_000].rsplit_once('\n').unwrap().0,
        "",
    );
}

#[test]
fn definitions_that_call_themselves_are_refused() {
    let spec = |text: &str| format!("input x: f32[batch, 3]\n{text}\n");
    check("fn", spec("fn f(x) { return g(x) }\nfn g(x) { return f(x) }\noutput o = f(x)"), "E0205");
    check("layer", spec("layer f(x) { return g(x) }\nlayer g(x) { return f(x) }\noutput o = f(x)"), "E0205");
    check("combiner", spec("combiner c(losses...: f32) { return c(losses...) }\nloss l = c(mean(x))"), "E0205");
    let initializer = "initializer i(shape) { return i() }\nparam w: f32[3] = i()\noutput o = x * w";
    check("initializer", spec(initializer), "E0205");
    let circle: [(&str, &[u8]); 2] = [("spec.anb", b"use \"other.anb\"\n"), ("other.anb", b"use \"spec.anb\"\n")];
    answered("use", &circle, &["check", "spec.anb"], "E0407");
    answered("itself", &[("spec.anb", b"use \"spec.anb\"\n")], &["check", "spec.anb"], "E0407");
}

#[test]
fn programs_beyond_the_limits_are_refused() {
    let repeated = |count: &str| format!("input x: f32[batch, 3]\noutput o = x |> repeat({count}, dense(units=3))\n");
    for count in ["1e9", "1000000000", "100000"] {
        check(count, repeated(count), "E0701");
    }
    // Beyond the whole numbers that are counted with.
    for count in ["9e18", "1e300"] {
        check(count, repeated(count), "E0304");
    }
    let ladder = |body: &str| {
        let rungs = (1..60).map(|i| format!("fn f{i}(x) {{ return {} }}\n", body.replace('#', &(i - 1).to_string())));
        format!("input x: f32[batch]\nfn f0(x) {{ return x }}\n{}output o = f59(x)\n", rungs.collect::<String>())
    };
    check("twice the operations a level", ladder("f#(x) + f#(x)"), "E0701");
    check("twice the calls a level", ladder("f#(f#(x))"), "E0701");
    check("twice the list a level", ladder("[f#(x), f#(x)]"), "E0701");
    let lists: String = (1..60).map(|i| format!("const a{i} = [a{}, a{}]\n", i - 1, i - 1)).collect();
    check("lists of lists", format!("const a0 = [1, 2]\n{lists}"), "E0701");
    let repeats: String = (1..9).map(|i| format!("fn f{i}(x) {{ return repeat(x, 1000, f{}) }}\n", i - 1)).collect();
    check(
        "repeats of repeats",
        format!("input x: f32[batch]\nfn f0(x) {{ return x }}\n{repeats}output o = f8(x)"),
        "E0701",
    );
}

#[test]
fn extents_and_numbers_beyond_the_limits_are_refused() {
    for extent in ["9000000000000000000", "9e18", "1e300", "-1", "0.5", "10 ** 400", "2 ** 2 ** 2 ** 2 ** 2 ** 2"] {
        check(extent, format!("input x: f32[batch, {extent}]\n"), "E0304");
        check(extent, format!("const n = {extent}\nparam w: f32[n] = 0\n"), "E0304");
    }
    check("a product of extents", "input x: f32[1099511627776, 1099511627776]\n", "E0701");
    check("a product of extents", "input x: f32[batch, 1000000000, 1000000000]\noutput o = flatten(x)\n", "E0701");
    check("a product of numbers", "input x: f32[batch, 1000000 * 1000000 * 1000000]\n", "E0304");
    let product = vec!["(a + b + c + 1)"; 40].join(" * ");
    let long = format!("fn long(x: f32[batch, a, b, c]) {{ return broadcast(0.5, [batch, {product}]) }}\n");
    check("a long product", format!("input x: f32[batch, a, b, c]\n{long}output o = long(x)\n"), "E0701");
    for literal in
        ["1e999", "1e-999", &"9".repeat(400), &format!("0.{}1", "0".repeat(400)), &format!("1e{}", "9".repeat(50))]
    {
        check(literal, format!("const a = {literal}\n"), "E0104");
    }
}

#[test]
fn odd_bytes_are_answered() {
    let spec = "input x: f32[batch, 2]\noutput y = x * 2\n";
    check("a byte order mark", format!("\u{feff}{spec}"), "");
    check("carriage returns", spec.replace('\n', "\r\n"), "");
    check("only carriage returns", spec.replace('\n', "\r"), "");
    check("nothing", "", "");
    check("no line break at the end", spec.trim_end(), "");
    check("NUL", spec.replace('*', "\0"), "E0101");
    check("only NUL", vec![0; 1 << 20], "E0101");
    check("no UTF-8", b"let x = \"\xff\xfe\"\n", "E0601");
    check("UTF-16", spec.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(), "E0101");
    check("controls", "let x = \u{1b}[31m1\u{7f}\u{202e}\n", "E0101");
}

fn run(name: &str, config: impl AsRef<[u8]>, code: &str) {
    let spec = b"input x: f32[batch, 2]\noutput y = x * 2\n";
    answered(name, &[("spec.anb", spec), ("run.yaml", config.as_ref())], &["run", "run.yaml"], code);
}

#[test]
fn hostile_run_configs_are_refused() {
    run("10 MB of keys", "batch_size: 1\n".repeat(10_000_000 / 14), "E0601");
    run("10 MB of one line", "a".repeat(10_000_000), "E0601");
    let fit = |unit: &str| unit.repeat(250_000 / unit.len());
    run("keys", fit("batch_size: 1\n"), "E0602");
    run("deep lists", fit("["), "E0602");
    run("deep maps", fit("{a: "), "E0602");
    run("maps as deep as they may be", "{a: ".repeat(5_000), "E0602");
    run("lists and maps as deep as they may be", "[{a: ".repeat(2_500), "E0602");
    run("deep keys", fit("{? "), "E0602");
    run("deep block lists", fit("- "), "E0602");
    run("deep block maps", (0..700).map(|i| format!("{}a:\n", " ".repeat(i))).collect::<String>(), "E0602");
    run("explicit keys", fit("? "), "E0602");
    run("tags", fit("!a "), "E0602");
    run("anchors", fit("&a "), "E0602");
    run("quotes", fit("\""), "E0602");
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_string();
    for i in 1..60 {
        let before = vec![format!("*a{}", i - 1); 9].join(", ");
        laughs.push_str(&format!("a{i}: &a{i} [{before}]\n"));
    }
    run("a billion laughs", &laughs, "E0602");
    run("an anchor within itself", "spec: &a [*a]\n", "E0602");
    run("merge keys", "a: &a { <<: *a }\nspec: 1\n", "E0602");
    run("no UTF-8", b"spec: \xff\xfe\n", "E0601");
    run("NUL", b"spec: a\0b\n", "E0602");
    run("nothing", "", "E0602");
    run("large numbers", format!("batch_size: {}\n", "9".repeat(1000)), "E0602");
}

/// A saved program, read by `predict` as the run's folder holds it.
fn predict(name: &str, program: impl AsRef<[u8]>, code: &str) {
    let folder: [(&str, &[u8]); 2] = [("predict.json", program.as_ref()), ("data.npz", b"")];
    answered(name, &folder, &["predict", ".", "--data", "data.npz", "-o", "out.npz"], code);
}

#[test]
fn hostile_programs_are_refused() {
    predict("nothing", "", "E0608");
    predict("deep lists", "[".repeat(1_000_000), "E0608");
    predict("deep objects", "{\"program\":".repeat(100_000), "E0608");
    predict("a long text", format!("\"{}\"", "a".repeat(10_000_000)), "E0608");
    predict("no UTF-8", b"{\"\xff\": 1}", "E0601");
    let nodes = "{\"id\":0,\"name\":\"x\",\"op\":\"nothing\",\"operands\":[],\"type\":\"f32\"},".repeat(50_000);
    predict("unknown operations", format!("{{\"program\":{{\"version\":1,\"nodes\":[{nodes}"), "E0608");
}
