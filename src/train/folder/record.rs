//! `record.json`: what a run is, and how far it has come.

use super::layout::{FORMAT, RECORD_FILE};
use crate::data::files::{Existing, Lasting, write_until};
use crate::data::open_regular;
use crate::train::judge::Best;
use crate::train::outputs::Precision;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::Path;

/// A longer record is none of ours.
const LONGEST_RECORD: u64 = 16 * 1024 * 1024;

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// it goes on, or was ended without a word
    Running,
    /// a signal ended it after a step
    Interrupted,
    Finished,
    /// a loss or param became infinite or NaN
    Diverged,
    /// something else went wrong, such as a full disk
    Failed,
}

/// `record.json`: what the run is and how far it has come. No time of day and no machine are in it but the
/// instruction set, on which the bits depend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// of the folder
    pub format: u32,
    /// the hash of program, config and data
    pub id: String,
    pub status: Status,
    /// the time of day, UTC, when it began
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// when it ended, in whatever way it could say
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// the version of anabranch that began it
    pub anabranch: String,
    /// what ran it: `planned` or `reference`
    pub executor: String,
    /// the instruction set
    pub level: String,
    pub threads: usize,
    pub precision: Precision,
    pub seed: u64,
    pub batch_size: u32,
    pub hashes: Hashes,
    /// that the run made, to their ends
    pub epochs: u32,
    /// that the run made
    pub steps: u64,
    /// which params `params.safetensors` holds
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Moment>,
    /// whether the watched value ended the run before its last epoch
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped_early: bool,
    /// the best epoch by the watched value
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// why the run ended before its last epoch
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverged: Option<String>,
    /// where it was gone on with
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<Resumed>,
    /// the values of a part that add up to each total in it
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub totals: IndexMap<String, Vec<String>>,
    /// `PART/NAME` and `weight/PATH` of the saved params
    #[serde(default)]
    pub last: IndexMap<String, serde_json::Value>,
    /// the files that the run writes beside its marker and its checkpoints, as paths within the folder
    pub files: Vec<String>,
}

/// Hashes of contents: BLAKE3, 128 bits in hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes {
    /// of the texts of the spec and the files that it uses
    pub spec: String,
    /// of what is compiled from them
    pub program: String,
    /// of the config without its paths
    pub config: String,
    /// of each part
    pub data: IndexMap<String, Fingerprint>,
}

/// What tells data apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// rows that are read
    pub rows: usize,
    /// of the whole file
    pub bytes: u64,
    /// of the whole file
    pub hash: String,
}

/// A place in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub epoch: u32,
    pub step: u64,
}

/// Where and how a run was gone on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    pub step: u64,
    /// the time of day, UTC
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    pub anabranch: String,
    pub executor: String,
    pub level: String,
    pub threads: usize,
    /// epochs that it is to have
    pub epochs: u32,
    /// whether the data were others
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub data_changed: bool,
}

impl RunRecord {
    /// Reads a run folder's record.
    ///
    /// # Errors
    /// A reason in words.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let (file, len) = open_regular(&folder.join(RECORD_FILE)).map_err(|error| error.to_string())?;
        if len > LONGEST_RECORD {
            return Err(format!("it is longer than {LONGEST_RECORD} bytes"));
        }
        let text = io::read_to_string(file).map_err(|error| error.to_string())?;
        let record: Self = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if record.format != FORMAT {
            return Err(format!("the format {}, not {FORMAT}", record.format));
        }
        Ok(record)
    }

    /// How the run stands, in a word.
    pub fn status_text(&self) -> &'static str {
        match self.status {
            Status::Running => "running",
            Status::Interrupted => "interrupted",
            Status::Finished => "finished",
            Status::Diverged => "diverged",
            Status::Failed => "failed",
        }
    }

    pub(super) fn write(&self, lasting: Lasting, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        write_until(lasting, &folder.join(RECORD_FILE), Existing::Replace, |out| out.write_all(text.as_bytes()))
    }
}
