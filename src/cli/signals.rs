//! SIGINT, SIGTERM and SIGHUP while a run goes on: the first is noted, a second ends the process at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown, register_usize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[cfg(unix)]
const SIGNALS: &[i32] = &[SIGINT, SIGTERM, signal_hook::consts::SIGHUP];
#[cfg(not(unix))]
const SIGNALS: &[i32] = &[SIGINT, SIGTERM];

/// What a shell gives back for a command that a signal ended: this and the signal's number.
const SIGNALLED: i32 = 128;

/// Notes signals.
#[derive(Debug)]
pub(super) struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// From here on signals are noted. One that the process was started to ignore, as by `nohup`, stays ignored; one that cannot
    /// be watched ends the process as ever.
    pub(super) fn watch() -> Self {
        let caught = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        let ignored = std::fs::read_to_string("/proc/self/status").map_or(0, |text| ignored_in(&text));
        for signal in SIGNALS.iter().copied().filter(|signal| ignored >> (signal - 1) & 1 == 0) {
            // In the order in which they are called: a first signal finds `again` unset, and sets it.
            let _ = register_conditional_shutdown(signal, SIGNALLED + signal, again.clone());
            let _ = register_usize(signal, caught.clone(), signal as usize);
            let _ = register(signal, again.clone());
        }
        Self(caught)
    }

    /// Whether one came.
    pub(super) fn is_caught(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// The code that the process ends with for the signal that came: 130, 143 or 129; 0 when none did.
    pub(super) fn exit_code(&self) -> u8 {
        match self.0.load(Ordering::Relaxed) {
            0 => 0,
            signal => u8::try_from(SIGNALLED as usize + signal).unwrap_or(u8::MAX),
        }
    }
}

/// The signals that a process ignores, a bit each, by what Linux shows of it; elsewhere none are known.
fn ignored_in(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read() {
        assert_eq!(ignored_in("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t2\n"), 0x1001);
        assert_eq!(ignored_in("Name:\tx\n"), 0);
        assert_eq!(ignored_in("SigIgn: much\n"), 0);
    }
}
