//! What the runner and the processes under test share: the workloads, and how they speak with each other.

pub mod protocol;

use std::time::{SystemTime, UNIX_EPOCH};

/// One workload: the same maths, data and first params for every engine (see `peers/workloads.py`).
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    pub name: &'static str,
    pub spec: &'static str,
    pub oracle: &'static str,
    pub batch: usize,
    /// arrays of the data set (rows of several, one after another, with `+` between) and the inputs and targets they feed
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
    Workload {
        name: "w4",
        spec: include_str!("../../../tests/oracle/w4.anb"),
        oracle: include_str!("../oracle/w4.json"),
        batch: 32,
        fields: &[("x", "x"), ("a", "label"), ("b", "flag")],
        params: &[
            ("c0", "stem.conv2d.kernel"),
            ("g0", "stem.batch_norm.gamma"),
            ("h0", "stem.batch_norm.beta"),
            ("c1a", "trunk.block.conv2d.kernel"),
            ("g1a", "trunk.block.batch_norm.gamma"),
            ("h1a", "trunk.block.batch_norm.beta"),
            ("c1b", "trunk.block.conv2d_2.kernel"),
            ("g1b", "trunk.block.batch_norm_2.gamma"),
            ("h1b", "trunk.block.batch_norm_2.beta"),
            ("c2a", "trunk.block_2.conv2d.kernel"),
            ("g2a", "trunk.block_2.batch_norm.gamma"),
            ("h2a", "trunk.block_2.batch_norm.beta"),
            ("c2b", "trunk.block_2.conv2d_2.kernel"),
            ("g2b", "trunk.block_2.batch_norm_2.gamma"),
            ("h2b", "trunk.block_2.batch_norm_2.beta"),
            ("s2", "trunk.block_2.conv2d_3.kernel"),
            ("c3a", "trunk.block_3.conv2d.kernel"),
            ("g3a", "trunk.block_3.batch_norm.gamma"),
            ("h3a", "trunk.block_3.batch_norm.beta"),
            ("c3b", "trunk.block_3.conv2d_2.kernel"),
            ("g3b", "trunk.block_3.batch_norm_2.gamma"),
            ("h3b", "trunk.block_3.batch_norm_2.beta"),
            ("s3", "trunk.block_3.conv2d_3.kernel"),
            ("ka", "scores.dense.kernel"),
            ("ba", "scores.dense.bias"),
            ("kb", "logit.dense.kernel"),
            ("bb", "logit.dense.bias"),
        ],
        tolerance: 1e-3,
    },
    Workload {
        name: "w5",
        spec: include_str!("../../../tests/oracle/w5.anb"),
        oracle: include_str!("../oracle/w5.json"),
        batch: 16,
        fields: &[("x", "x"), ("a", "token_label"), ("b", "label")],
        params: &[
            ("tok", "start.embedding.table"),
            ("pos", "start.position_embedding.table"),
            ("g1a", "trunk.block.layer_norm.gamma"),
            ("h1a", "trunk.block.layer_norm.beta"),
            ("g1b", "trunk.block.layer_norm_2.gamma"),
            ("h1b", "trunk.block.layer_norm_2.beta"),
            ("q1", "trunk.block.multi_head_attention.query.kernel"),
            ("qb1", "trunk.block.multi_head_attention.query.bias"),
            ("k1", "trunk.block.multi_head_attention.key.kernel"),
            ("kb1", "trunk.block.multi_head_attention.key.bias"),
            ("v1", "trunk.block.multi_head_attention.value.kernel"),
            ("vb1", "trunk.block.multi_head_attention.value.bias"),
            ("o1", "trunk.block.multi_head_attention.projection.kernel"),
            ("ob1", "trunk.block.multi_head_attention.projection.bias"),
            ("u1", "trunk.block.dense.kernel"),
            ("ub1", "trunk.block.dense.bias"),
            ("w1", "trunk.block.dense_2.kernel"),
            ("wb1", "trunk.block.dense_2.bias"),
            ("g2a", "trunk.block_2.layer_norm.gamma"),
            ("h2a", "trunk.block_2.layer_norm.beta"),
            ("g2b", "trunk.block_2.layer_norm_2.gamma"),
            ("h2b", "trunk.block_2.layer_norm_2.beta"),
            ("q2", "trunk.block_2.multi_head_attention.query.kernel"),
            ("qb2", "trunk.block_2.multi_head_attention.query.bias"),
            ("k2", "trunk.block_2.multi_head_attention.key.kernel"),
            ("kb2", "trunk.block_2.multi_head_attention.key.bias"),
            ("v2", "trunk.block_2.multi_head_attention.value.kernel"),
            ("vb2", "trunk.block_2.multi_head_attention.value.bias"),
            ("o2", "trunk.block_2.multi_head_attention.projection.kernel"),
            ("ob2", "trunk.block_2.multi_head_attention.projection.bias"),
            ("u2", "trunk.block_2.dense.kernel"),
            ("ub2", "trunk.block_2.dense.bias"),
            ("w2", "trunk.block_2.dense_2.kernel"),
            ("wb2", "trunk.block_2.dense_2.bias"),
            ("gf", "trunk.layer_norm.gamma"),
            ("hf", "trunk.layer_norm.beta"),
            ("ka", "token_scores.dense.kernel"),
            ("ba", "token_scores.dense.bias"),
            ("kb", "scores.dense.kernel"),
            ("bb", "scores.dense.bias"),
        ],
        tolerance: 1e-3,
    },
    Workload {
        name: "w6",
        spec: include_str!("../../../tests/oracle/w6.anb"),
        oracle: include_str!("../oracle/w6.json"),
        batch: 2200,
        fields: &[("col+ic+bc", "points")],
        params: &[
            ("k1", "u.dense.kernel"),
            ("b1", "u.dense.bias"),
            ("k2", "u.dense_2.kernel"),
            ("b2", "u.dense_2.bias"),
            ("k3", "u.dense_3.kernel"),
            ("b3", "u.dense_3.bias"),
            ("k4", "u.dense_4.kernel"),
            ("b4", "u.dense_4.bias"),
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
