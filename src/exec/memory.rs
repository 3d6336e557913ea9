//! Large buffers: no memory for one is a finding, not the end of the process.

use crate::diag::{Code, Diagnostic, Diagnostics};
use anabranch_kernels::buffer::{self, Number};

/// So many zeros; `name` is what a finding calls the buffer.
///
/// # Errors
/// E0702 when the system has no memory for them.
pub(super) fn zeros<N: Number>(n_elements: usize, name: &str) -> Result<Vec<N>, Diagnostics> {
    buffer::zeros(n_elements).ok_or_else(|| no_memory(n_elements as f64 * size_of::<N>() as f64, name))
}

/// The numbers `number(0)` to `number(n_elements - 1)`.
///
/// # Errors
/// As [`zeros`].
pub(super) fn filled<N: Number>(
    n_elements: usize,
    name: &str,
    number: impl Fn(usize) -> N,
) -> Result<Vec<N>, Diagnostics> {
    let mut numbers = zeros(n_elements, name)?;
    numbers.iter_mut().enumerate().for_each(|(at, place)| *place = number(at));
    Ok(numbers)
}

fn no_memory(bytes: f64, name: &str) -> Diagnostics {
    Diagnostic::error(Code::E0702, format!("there is no memory for {name}"))
        .with_note(format!("found: it needs {:.1} GiB", bytes / f64::from(1u32 << 30)))
        .with_note("expected: at most what the system gives")
        .with_help("take a smaller batch, or leave other programs more room")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_has_is_a_finding() {
        for n_elements in [1 << 45, usize::MAX / 4, usize::MAX] {
            let findings = zeros::<f32>(n_elements, "`x`").unwrap_err();
            assert_eq!(findings.0[0].code, Code::E0702, "{n_elements}");
            assert_eq!(findings.0[0].headline, "there is no memory for `x`");
        }
        assert_eq!(zeros::<i32>(3, "`x`").unwrap(), [0, 0, 0]);
        assert_eq!(filled(3, "`x`", |at| at as f64).unwrap(), [0.0, 1.0, 2.0]);
    }
}
