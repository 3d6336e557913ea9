//! When a run writes checkpoints, and which it keeps.

use std::fmt;
use std::str::FromStr;

/// When checkpoints are written and what becomes of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checkpointing {
    pub every: Every,
    /// The last few that are kept, at least 1; those of best epochs are kept beside them.
    pub keep: u32,
    /// Whether training goes on when there is no room for one.
    pub keep_training_when_full: bool,
}

impl Default for Checkpointing {
    fn default() -> Self {
        Self { every: Every::Minutes(1.0), keep: 2, keep_training_when_full: false }
    }
}

/// How often something is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Every {
    Epochs(u32),
    Steps(u32),
    Minutes(f64),
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epochs(n) => write!(f, "{n} epochs"),
            Self::Steps(n) => write!(f, "{n} steps"),
            Self::Minutes(n) => write!(f, "{n} minutes"),
        }
    }
}

/// `5 epochs`, `100 steps`, `0.5 minutes`: more than none.
impl FromStr for Every {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (number, unit) = text.trim().split_once(' ').ok_or(())?;
        let count = || number.parse::<u32>().ok().filter(|count| *count > 0).ok_or(());
        match unit.trim() {
            "epoch" | "epochs" => count().map(Self::Epochs),
            "step" | "steps" => count().map(Self::Steps),
            "minute" | "minutes" => {
                let minutes = number.parse::<f64>().ok().filter(|minutes| minutes.is_finite() && *minutes > 0.0);
                minutes.map(Self::Minutes).ok_or(())
            }
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_a_number_and_a_unit() {
        for every in [Every::Epochs(1), Every::Steps(100), Every::Minutes(0.5)] {
            assert_eq!(every.to_string().parse(), Ok(every));
        }
        assert_eq!("1 epoch".parse(), Ok(Every::Epochs(1)));
        for wrong in ["", "5", "0 steps", "-1 epochs", "1.5 steps", "0 minutes", "inf minutes", "5 hours", "steps"] {
            assert_eq!(wrong.parse::<Every>(), Err(()), "{wrong}");
        }
    }
}
