//! Any text is compiled, through all stages up to the simplified programs, or refused with findings.

#![no_main]

use anabranch::diag::{Diagnostics, SourceMap, render_plain};
use anabranch::lower::{Library, Options};
use anabranch::pipeline::compile_loaded;
use anabranch::syntax::load;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// The library is parsed once; its texts come first among the sources.
static LIBRARY: LazyLock<(SourceMap, Library)> = LazyLock::new(|| {
    let mut sources = SourceMap::default();
    let library = Library::whole(&mut sources).expect("the library is well written");
    (sources, library)
});

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (sources, library) = &*LIBRARY;
    let mut sources = sources.clone();
    let source = sources.add("fuzz.anb", &*text);
    let none = |_: &str| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    let compiled = load(&mut sources, source, &none)
        .and_then(|loaded| compile_loaded(loaded, library, &Options::default()));
    match compiled {
        Ok(compiled) => {
            compiled.simplified.force();
            render_plain(&compiled.findings, &sources)
        }
        Err(Diagnostics(findings)) => {
            assert!(!findings.is_empty(), "refused without a reason");
            render_plain(&findings, &sources)
        }
    };
});
