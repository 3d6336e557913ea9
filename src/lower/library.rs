//! The standard library, shipped inside the binary.

use crate::diag::{Diagnostic, Diagnostics, SourceId, SourceMap};
use crate::syntax::{Outline, ast};
use std::collections::BTreeMap;
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
    "windows.anb",
    "images.anb",
    "normalization.anb",
    "sequences.anb",
    "losses.anb",
    "metrics.anb",
    "combiners.anb",
    "gramians.anb",
    "directions.anb",
    "trunks.anb",
    "optimizers.anb",
    "schedules.anb",
    "tensors.anb"
);

/// The standard library as trees: all of it, or what some specs can reach.
#[derive(Clone, Debug, Default)]
pub struct Library {
    /// in the order of [`STANDARD_LIBRARY`]
    pub files: Vec<ast::File>,
    /// everything that the library defines, in the trees or not: what a misspelt name may have meant
    pub names: Vec<Arc<str>>,
}

impl Library {
    /// All definitions. `sources` gets their texts added.
    ///
    /// # Errors
    /// Never, unless the library itself is broken, which its tests exclude.
    pub fn whole(sources: &mut SourceMap) -> Result<Self, Diagnostics> {
        Self::parsed(sources, None)
    }

    /// The definitions that a spec with these words can call, and those which they call in turn. `sources` gets the texts
    /// of all added.
    ///
    /// # Errors
    /// Never, unless the library itself is broken, which its tests exclude.
    pub fn reached<'w>(sources: &mut SourceMap, words: impl IntoIterator<Item = &'w str>) -> Result<Self, Diagnostics> {
        Self::parsed(sources, Some(&mut words.into_iter()))
    }

    fn parsed(sources: &mut SourceMap, words: Option<&mut dyn Iterator<Item = &str>>) -> Result<Self, Diagnostics> {
        let add = |file: &StandardFile| sources.add(file.name, file.text);
        let ids: Vec<SourceId> = STANDARD_LIBRARY.iter().map(add).collect();
        let outlines: Vec<Outline> = ids.into_iter().map(|id| Outline::new(sources, id)).collect();
        let places = outlines.iter().enumerate().flat_map(|(file, outline)| {
            (0..outline.len()).filter_map(move |statement| Some((outline.name(statement)?, (file, statement))))
        });
        let places: BTreeMap<&str, (usize, usize)> = places.collect();
        let mut wanted: Vec<Vec<bool>> = outlines.iter().map(|outline| vec![words.is_none(); outline.len()]).collect();
        let mut open: Vec<(usize, usize)> =
            words.into_iter().flatten().filter_map(|word| places.get(word).copied()).collect();
        while let Some((file, statement)) = open.pop() {
            if !std::mem::replace(&mut wanted[file][statement], true) {
                open.extend(outlines[file].words(statement).filter_map(|word| places.get(word).copied()));
            }
        }
        let mut files = Vec::new();
        for (outline, wanted) in outlines.iter().zip(&wanted) {
            let (tree, findings) = outline.parse((0..outline.len()).filter(|statement| wanted[*statement]));
            if findings.iter().any(Diagnostic::is_error) {
                return Err(Diagnostics(findings));
            }
            files.push(tree);
        }
        Ok(Self { files, names: places.keys().map(|name| Arc::from(*name)).collect() })
    }
}
