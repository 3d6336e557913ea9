//! Any text is read without a panic; what parses keeps its tree through the formatter, which is idempotent.

#![no_main]

use anabranch::diag::{SourceMap, render_plain, to_json_lines};
use anabranch::syntax::{format, parse, print};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut sources = SourceMap::default();
    let source = sources.add("fuzz.anb", &*text);
    let (tree, errors) = parse(&sources, source);
    let tree = print(&tree);
    if !errors.is_empty() {
        render_plain(&errors, &sources);
        to_json_lines(&errors, &sources);
        return;
    }
    let once = format(&sources, source).expect("what parses is formatted");
    let set = sources.add("once.anb", once.as_str());
    let (again, errors) = parse(&sources, set);
    assert!(errors.is_empty(), "the formatter broke the text:\n{once}\n{}", render_plain(&errors, &sources));
    assert_eq!(print(&again), tree, "the formatter changed the tree:\n{once}");
    assert_eq!(format(&sources, set).as_deref(), Ok(once.as_str()), "formatting twice is not formatting once");
});
