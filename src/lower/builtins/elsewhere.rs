//! Values elsewhere: at other params, after the step, on other data.

use super::{Builtin, form};
use crate::lower::elsewhere::{after, at, on};

pub(super) static ROWS: &[Builtin] = &[
    form(
        "at",
        &["value", "params"],
        "the value with params replaced: `at(test, trunk.* = it - 0.01 * grad(train, it))`, where `it` is the param",
        at,
    ),
    form(
        "after",
        &["value"],
        "the value on the same batch at the params that this step's optimizers give, for updates and metrics",
        after,
    ),
    form(
        "on",
        &["validation", "value"],
        "the value on a batch of the validation data; at prediction and evaluation the value itself",
        on,
    ),
];
