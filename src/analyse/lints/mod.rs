//! Lints: what a spec says that its author will hardly have meant. One file each, one row in [`LINTS`].
//!
//! A lint reads the graph and its symbolic derivatives, never a definition's name or text. `@allow(NAME)` before a
//! statement that a finding points into silences it; `--deny NAME` makes it an error.

mod ascending_step;
mod averaged_before_weights;
mod blocked_loss;
mod constant_weight;
mod decayed_weight;
mod loss_can_rise;
mod loss_may_be_negative;
mod moving_monitor;
mod never_trained;
mod once_named_dim;
mod policy;
mod single_class;
mod swapped_arguments;
mod unbounded_below;
mod unstable;
mod unused;
mod weight_collapse;
mod wrong_scale;

use super::facts::Facts;
use super::live::Live;
use super::opened::opened;
use super::stepping::Stepping;
use super::study::{Base, Study};
use crate::diag::{Code, Diagnostic};
use crate::lower::{Module, Watched};
use std::cell::OnceCell;

pub use policy::Policy;

/// What lints are asked about.
struct Asked<'a> {
    module: &'a Module,
    studies: &'a [Study],
    facts: &'a Facts<'a>,
    stepping: &'a Stepping<'a>,
    live: OnceCell<Live>,
}

impl Asked<'_> {
    /// What objectives train in fact.
    fn live(&self) -> &Live {
        self.live.get_or_init(|| Live::of(self.facts, self.studies))
    }
}

/// A lint.
#[derive(Clone, Copy, Debug)]
pub struct Lint {
    pub name: &'static str,
    pub code: Code,
    run: fn(&Asked<'_>) -> Vec<Diagnostic>,
}

/// All lints, in the order of their codes.
pub const LINTS: &[Lint] = &[
    Lint { name: "weight-collapse", code: Code::L0001, run: |asked| weight_collapse::run(asked.module, asked.studies) },
    Lint { name: "loss-can-rise", code: Code::L0002, run: |asked| loss_can_rise::run(asked.module, asked.studies) },
    Lint {
        name: "never-trained",
        code: Code::L0003,
        run: |asked| never_trained::run(asked.module, asked.studies, || asked.live()),
    },
    Lint {
        name: "blocked-loss",
        code: Code::L0004,
        run: |asked| blocked_loss::run(asked.module, asked.studies, || asked.live()),
    },
    Lint { name: "unused", code: Code::L0005, run: |asked| unused::run(asked.module, asked.studies) },
    Lint { name: "once-named-dim", code: Code::L0006, run: |asked| once_named_dim::run(asked.module, asked.studies) },
    Lint { name: "unstable", code: Code::L0007, run: |asked| unstable::run(asked.module, asked.facts) },
    Lint { name: "unbounded-below", code: Code::L0008, run: |asked| unbounded_below::run(asked.module, asked.studies) },
    Lint { name: "constant-weight", code: Code::L0009, run: |asked| constant_weight::run(asked.module, asked.studies) },
    Lint {
        name: "decayed-weight",
        code: Code::L0010,
        run: |asked| decayed_weight::run(asked.module, asked.studies, asked.stepping),
    },
    // Which value is watched is also said by a run's config: that is asked apart.
    Lint {
        name: "moving-monitor",
        code: Code::L0011,
        run: |asked| moving_monitor::compared(asked.module, asked.studies),
    },
    // Told by a run, which knows the losses: `analyse::weight_steps`.
    Lint { name: "overshooting-weight", code: Code::L0012, run: |_| Vec::new() },
    // Told by a run, which reads the data: `analyse::ranges::shares`.
    Lint { name: "not-a-probability", code: Code::L0013, run: |_| Vec::new() },
    Lint {
        name: "loss-may-be-negative",
        code: Code::L0014,
        run: |asked| loss_may_be_negative::run(asked.module, asked.studies),
    },
    Lint {
        name: "ascending-step",
        code: Code::L0020,
        run: |asked| ascending_step::run(asked.module, asked.facts, asked.stepping),
    },
    Lint { name: "swapped-arguments", code: Code::L0021, run: |asked| swapped_arguments::run(asked.module) },
    Lint { name: "wrong-scale", code: Code::L0022, run: |asked| wrong_scale::run(asked.module, asked.facts) },
    Lint { name: "single-class", code: Code::L0023, run: |asked| single_class::run(asked.module) },
    Lint {
        name: "averaged-before-weights",
        code: Code::L0024,
        run: |asked| averaged_before_weights::run(asked.module),
    },
    // Told by a run, which knows its steps and batches: `analyse::running_values`.
    Lint { name: "unsettled-statistics", code: Code::L0025, run: |_| Vec::new() },
    Lint { name: "batch-of-one", code: Code::L0026, run: |_| Vec::new() },
];

/// The findings of all lints on a module, as the policy lets them through.
pub fn lints(module: &Module, policy: &Policy, watched: Option<&Watched>) -> Vec<Diagnostic> {
    let base = Base::of(module);
    let studies = base.studies();
    let (graph, loops) = opened(base.graph);
    let facts = Facts::of(module, base.known, &graph, &loops);
    let stepping = Stepping::of(module, &facts);
    let asked = Asked { module, studies: &studies, facts: &facts, stepping: &stepping, live: OnceCell::new() };
    let mut findings = Vec::new();
    for lint in LINTS {
        findings.extend((lint.run)(&asked).into_iter().filter_map(|finding| policy.apply(lint, finding)));
    }
    // Scores where probabilities are meant are also what a logarithm or quotient may not take: one mistake, told once.
    let place = |finding: &Diagnostic| finding.primary.as_ref().map(|label| label.span);
    let scaled: Vec<_> = findings.iter().filter(|other| other.code == Code::L0022).map(place).collect();
    findings.retain(|finding| finding.code != Code::L0007 || !scaled.contains(&place(finding)));
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
