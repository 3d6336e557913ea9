//! Lints: what a spec says that its author will hardly have meant. One file each, one row in [`LINTS`].
//!
//! A lint reads the graph and its symbolic derivatives, never a definition's name or text. `@allow(NAME)` before a
//! statement that a finding points into silences it; `--deny NAME` makes it an error.

mod blocked_loss;
mod constant_weight;
mod decayed_weight;
mod loss_can_rise;
mod moving_monitor;
mod never_trained;
mod once_named_dim;
mod policy;
mod unbounded_below;
mod unstable;
mod unused;
mod weight_collapse;

use super::study::{Study, studies};
use crate::diag::{Code, Diagnostic};
use crate::lower::{Module, Watched};

pub use policy::Policy;

/// A lint.
#[derive(Clone, Copy, Debug)]
pub struct Lint {
    pub name: &'static str,
    pub code: Code,
    run: fn(&Module, &[Study]) -> Vec<Diagnostic>,
}

/// All lints, in the order of their codes.
pub const LINTS: &[Lint] = &[
    Lint { name: "weight-collapse", code: Code::L0001, run: weight_collapse::run },
    Lint { name: "loss-can-rise", code: Code::L0002, run: loss_can_rise::run },
    Lint { name: "never-trained", code: Code::L0003, run: never_trained::run },
    Lint { name: "blocked-loss", code: Code::L0004, run: blocked_loss::run },
    Lint { name: "unused", code: Code::L0005, run: unused::run },
    Lint { name: "once-named-dim", code: Code::L0006, run: once_named_dim::run },
    Lint { name: "unstable", code: Code::L0007, run: unstable::run },
    Lint { name: "unbounded-below", code: Code::L0008, run: unbounded_below::run },
    Lint { name: "constant-weight", code: Code::L0009, run: constant_weight::run },
    Lint { name: "decayed-weight", code: Code::L0010, run: decayed_weight::run },
    // Which value is watched is said by a run's config, so this one is asked apart.
    Lint { name: "moving-monitor", code: Code::L0011, run: |_, _| Vec::new() },
    // Told by a run, which knows the losses: `analyse::weight_steps`.
    Lint { name: "overshooting-weight", code: Code::L0012, run: |_, _| Vec::new() },
    // Told by a run, which reads the data: `analyse::ranges::shares`.
    Lint { name: "not-a-probability", code: Code::L0013, run: |_, _| Vec::new() },
];

/// The findings of all lints on a module, as the policy lets them through.
pub fn lints(module: &Module, policy: &Policy, watched: Option<&Watched>) -> Vec<Diagnostic> {
    let studies = studies(module);
    let mut findings = Vec::new();
    for lint in LINTS {
        findings.extend((lint.run)(module, &studies).into_iter().filter_map(|finding| policy.apply(lint, finding)));
    }
    let moving = watched.and_then(|watched| moving_monitor::find(module, &studies, watched));
    findings.extend(moving.and_then(|finding| policy.apply(lint(Code::L0011), finding)));
    findings
}

/// The lint of a code.
///
/// # Panics
/// When no lint has the code.
pub fn lint(code: Code) -> &'static Lint {
    LINTS.iter().find(|lint| lint.code == code).expect("every code of a lint has its row")
}
