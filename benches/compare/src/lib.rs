//! What the runner and our own process share: the workloads, and the lines that they exchange.
//!
//! A process under test prints one JSON line when ten steps are done (`losses`, `first_step_at` in seconds since 1970),
//! then answers each number of seconds on standard input with the quantiles of single step times in milliseconds, and
//! an empty line with its peak of memory.

use std::time::{SystemTime, UNIX_EPOCH};

/// One workload: the same maths, data and first params for every engine (see `peers/workloads.py`).
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    pub name: &'static str,
    pub spec: &'static str,
    pub oracle: &'static str,
    pub batch: usize,
    /// arrays of the data set and the inputs and targets they feed
    pub fields: &'static [(&'static str, &'static str)],
    /// arrays of first values and the params they start
    pub params: &'static [(&'static str, &'static str)],
    /// how far a float's losses may be from the oracle's, relatively
    pub tolerance: f64,
}

/// The workloads, in order.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "w1",
        spec: include_str!("../specs/w1.anb"),
        oracle: include_str!("../oracle/w1.json"),
        batch: 7,
        fields: &[("x", "image"), ("box", "true_box"), ("cls", "true_cls")],
        params: &[
            ("ck", "box.conv2d.kernel"),
            ("cb", "box.conv2d.bias"),
            ("dk", "cls.dense.kernel"),
            ("db", "cls.dense.bias"),
            ("alpha", "total.alpha"),
        ],
        tolerance: 1e-4,
    },
    Workload {
        name: "w2",
        spec: include_str!("../specs/w2.anb"),
        oracle: include_str!("../oracle/w2.json"),
        batch: 128,
        fields: &[("x", "x"), ("a", "a"), ("b", "b")],
        params: &[
            ("k1", "first.kernel"),
            ("b1", "first.bias"),
            ("k2", "second.kernel"),
            ("b2", "second.bias"),
            ("ka", "head_a.kernel"),
            ("ba", "head_a.bias"),
            ("kb", "head_b.kernel"),
            ("bb", "head_b.bias"),
            ("s", "total.log_var"),
        ],
        tolerance: 1e-3,
    },
    Workload {
        name: "w3",
        spec: include_str!("../specs/w3.anb"),
        oracle: include_str!("../oracle/w3.json"),
        batch: 64,
        fields: &[("x", "x"), ("a", "a"), ("b", "b")],
        params: &[
            ("c1", "first.kernel"),
            ("e1", "first.bias"),
            ("c2", "second.kernel"),
            ("e2", "second.bias"),
            ("k1", "third.kernel"),
            ("b1", "third.bias"),
            ("ka", "head_a.kernel"),
            ("ba", "head_a.bias"),
            ("kb", "head_b.kernel"),
            ("bb", "head_b.bias"),
        ],
        tolerance: 1e-3,
    },
];

/// The workload of that name.
pub fn workload(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |passed| passed.as_secs_f64())
}

/// The value at a part of a sorted list.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = part * sorted.len().saturating_sub(1) as f64;
    sorted.get(at as usize).copied().unwrap_or(f64::NAN)
}
