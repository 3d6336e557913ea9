//! Files that commands write.

use crate::data::files::{cannot_write, parent, write_whole};
use crate::data::{Existing, check_output};
use crate::diag::Diagnostic;
use crate::train::files_of_run;
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};

/// `--replace`, for every command that writes a file of a name that it is given.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ReplaceArgument {
    /// Replace a file that exists
    #[arg(long)]
    replace: bool,
}

impl ReplaceArgument {
    pub(super) fn existing(self) -> Existing {
        if self.replace { Existing::Replace } else { Existing::Keep }
    }
}

/// Checks that a command which reads some files may write another.
///
/// # Errors
/// E0605.
pub(super) fn check_file(path: &Path, replace: ReplaceArgument, inputs: &[PathBuf]) -> Result<(), Diagnostic> {
    let mut kept = inputs.to_vec();
    if let Ok(folder) = parent(path).canonicalize() {
        // A run has files in its folder and in folders of that.
        kept.extend(folder.ancestors().take(2).flat_map(files_of_run));
    }
    check_output(path, replace.existing(), &kept)
}

/// Writes texts to files, after all have been checked. `input` is the file that the command reads.
///
/// # Errors
/// E0605.
pub(super) fn write_texts(files: &[(PathBuf, &str)], replace: ReplaceArgument, input: &Path) -> Result<(), Diagnostic> {
    files.iter().try_for_each(|(path, _)| check_file(path, replace, &[input.to_path_buf()]))?;
    files.iter().try_for_each(|(path, text)| write_text(path, replace.existing(), text))
}

/// Writes a text to a file.
///
/// # Errors
/// E0605.
pub(super) fn write_text(path: &Path, existing: Existing, text: &str) -> Result<(), Diagnostic> {
    write_whole(path, existing, |out| out.write_all(text.as_bytes())).map_err(|error| cannot_write(path, error))
}
