//! What a run begins with, where that is not what the spec says: params and states of another run or of a file.
//!
//! [`Start`] says of every tensor what became of it: nothing is dropped without a word.

use crate::data::{counted, listed};

/// What became of a file of params.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// as it was named
    pub source: String,
    /// params and states that begin as the file says
    pub loaded: Vec<String>,
    /// params, and states that the model is used with, which the file lacks: they begin as the spec says
    pub new: Vec<String>,
    /// tensors of the file that nothing was done with, each with the reason
    pub left_out: Vec<(String, &'static str)>,
}

impl Start {
    /// In words, a line for each of the three.
    pub fn to_text(&self) -> String {
        let mut text = format!("started from {}: {} loaded\n", self.source, counted(self.loaded.len(), "tensor"));
        if !self.new.is_empty() {
            text += &format!("  new, as the spec says: {}\n", listed(self.new.iter()));
        }
        let mut reasons: Vec<&str> = self.left_out.iter().map(|(_, reason)| *reason).collect();
        reasons.sort_unstable();
        reasons.dedup();
        for reason in reasons {
            let names = self.left_out.iter().filter(|(_, other)| *other == reason).map(|(name, _)| name);
            text += &format!("  left out, {reason}: {}\n", listed(names));
        }
        text
    }
}
