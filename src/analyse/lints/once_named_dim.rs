//! A run-time dim that is named once: a misspelt `const` or dim looks like that.

use crate::analyse::study::Study;
use crate::diag::{Code, Diagnostic};
use crate::lower::Module;

pub(super) fn run(module: &Module, _studies: &[Study]) -> Vec<Diagnostic> {
    let known: Vec<&str> = module.constants.keys().chain(module.dims.keys()).map(|name| &**name).collect();
    let once = module.dims.iter().filter(|(_, spans)| spans.len() == 1);
    once.map(|(name, spans)| {
        Diagnostic::warning(Code::L0006, format!("the dim `{name}` is named once"))
            .at(spans[0], "nothing says how long this axis is, nor that another is as long")
            .with_suggestion(name, known.iter().copied().filter(|other| *other != &**name))
    })
    .collect()
}
