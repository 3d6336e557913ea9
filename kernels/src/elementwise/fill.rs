//! Loads that are not read in place: a block of a broadcast or strided operand, gathered into a register.

use super::super::Real;
use super::Access;

/// Calls `number(place)` for the elements `start..start + to.len()` of a load and stores the results.
#[inline(always)]
pub(super) fn fill<T: Real>(access: &Access, start: usize, to: &mut [T], number: impl Fn(usize) -> T) {
    match access {
        Access::Contiguous => copy_run(start, to, &number),
        Access::Scalar => to.fill(number(0)),
        Access::Cyclic { period } => {
            let (mut at, mut done) = (start % period, 0);
            while done < to.len() {
                let run = (period - at).min(to.len() - done);
                copy_run(at, &mut to[done..done + run], &number);
                done += run;
                at = 0;
            }
        }
        Access::Stretched { inner } => {
            let (mut index, mut left, mut done) = (start / inner, inner - start % inner, 0);
            while done < to.len() {
                let run = left.min(to.len() - done);
                to[done..done + run].fill(number(index));
                done += run;
                index += 1;
                left = *inner;
            }
        }
        Access::Strided { offset, dims } => strided(*offset, dims, start, to, &number),
    }
}

#[inline(always)]
fn copy_run<T: Real>(from: usize, to: &mut [T], number: &impl Fn(usize) -> T) {
    for (i, to) in to.iter_mut().enumerate() {
        *to = number(from + i);
    }
}

/// Runs along the last dimension; the place of each run is found from its index.
fn strided<T: Real>(offset: usize, dims: &[(usize, isize)], start: usize, to: &mut [T], number: &impl Fn(usize) -> T) {
    let (last, leading) = match dims.split_last() {
        Some((last, leading)) => (*last, leading),
        None => ((1, 0), dims),
    };
    let mut done = 0;
    while done < to.len() {
        let index = start + done;
        let column = index % last.0;
        let mut rest = index / last.0;
        let mut place = offset as isize + column as isize * last.1;
        for &(extent, stride) in leading.iter().rev() {
            place += (rest % extent) as isize * stride;
            rest /= extent;
        }
        let run = (last.0 - column).min(to.len() - done);
        for (i, to) in to[done..done + run].iter_mut().enumerate() {
            *to = number((place + i as isize * last.1) as usize);
        }
        done += run;
    }
}
