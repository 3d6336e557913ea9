//! Any text is a run config or is refused with findings that point into it.

#![no_main]

use anabranch::diag::{SourceMap, render_plain};
use anabranch::train::config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut sources = SourceMap::default();
    let source = sources.add("run.yaml", &*text);
    if let Err(findings) = config::parse(&text, source) {
        assert!(!findings.0.is_empty(), "refused without a reason");
        render_plain(&findings.0, &sources);
    }
});
