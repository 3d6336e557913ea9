//! The standard library's texts, shipped inside the binary, and the collection of definitions.

use super::value::{DefinitionValue, Home, Value};
use super::{Lowering, Reported};
use crate::diag::{Code, Diagnostic};
use crate::syntax::ast;
use std::sync::Arc;

/// One file of the standard library.
#[derive(Clone, Copy, Debug)]
pub struct StandardFile {
    pub name: &'static str,
    pub text: &'static str,
}

macro_rules! standard_files {
    ($($name:literal),*) => {
        /// The standard library, file by file.
        pub const STANDARD_LIBRARY: &[StandardFile] =
            &[$(StandardFile { name: concat!("std/", $name), text: include_str!(concat!("../std/", $name)) }),*];
    };
}

standard_files!(
    "activations.anb",
    "constraints.anb",
    "initializers.anb",
    "layers.anb",
    "normalization.anb",
    "sequences.anb",
    "losses.anb",
    "metrics.anb",
    "combiners.anb",
    "optimizers.anb",
    "schedules.anb",
    "tensors.anb"
);

impl Lowering {
    /// Registers the definitions of a file; they may be used anywhere in it.
    pub(super) fn collect_definitions(&mut self, file: &ast::File, home: Home) {
        for statement in &file.statements {
            let ast::StatementKind::Definition(definition) = &statement.kind else { continue };
            let name = definition.name.name.clone();
            let value = Value::Definition(Arc::new(DefinitionValue { definition: definition.clone(), home }));
            if home == Home::Library {
                self.library.insert(name, value);
            } else if let Some((_, first)) = self.definitions.get(&name) {
                let first = *first;
                let _: Reported = self.report(
                    Diagnostic::error(Code::E0202, format!("`{name}` is defined twice"))
                        .at(definition.name.span, "defined again here")
                        .with_label(first, "first defined here")
                        .with_help("rename one of them"),
                );
            } else {
                self.definitions.insert(name, (value, definition.name.span));
            }
        }
    }
}
