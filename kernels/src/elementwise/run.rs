//! Runs a compiled program, block by block.

use std::marker::PhantomData;

use super::super::share::{Shared, block};
use super::super::simd::{self, Kernel, Vector};
use super::super::{Context, Real};
use super::loops::{self, Operand};
use super::{Access, Load, Place, Program, Step, Uniform, fill};

/// Elements of a block: a register of doubles is 4 KiB, so a dozen live ones fit the first-level cache.
const BLOCK: usize = 512;
/// Registers start on a cache line, so that no vector lies across two.
const CACHE_LINE: usize = 64;
/// Below this many operations on elements a second thread costs more than it gives.
const PARALLEL_OPERATIONS: usize = 64 * 1024;

/// A buffer that loads read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a, T> {
    start: *const u8,
    length: usize,
    integers: bool,
    borrow: PhantomData<&'a T>,
}

// SAFETY: a source is only ever read, and numbers can be read from any thread.
unsafe impl<T: Sync> Send for Source<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Source<'_, T> {}

impl<'a, T: Real> Source<'a, T> {
    /// A buffer of numbers.
    pub fn numbers(buffer: &'a [T]) -> Self {
        Source { start: buffer.as_ptr().cast(), length: buffer.len(), integers: false, borrow: PhantomData }
    }

    /// A buffer of integers.
    pub fn integers(buffer: &'a [i32]) -> Self {
        Source { start: buffer.as_ptr().cast(), length: buffer.len(), integers: true, borrow: PhantomData }
    }

    /// A buffer of numbers that may also be a destination.
    ///
    /// # Safety
    /// `length` numbers are readable from `start` for `'a`, and written only by stores declared `over` this load.
    pub unsafe fn shared(start: *const T, length: usize) -> Self {
        Source { start: start.cast(), length, integers: false, borrow: PhantomData }
    }
}

/// A buffer that a store writes.
#[derive(Debug)]
pub struct Destination<'a, T> {
    start: *mut T,
    length: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: a destination stands for a `&mut [T]`; threads write disjoint ranges of it.
unsafe impl<T: Send> Send for Destination<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Destination<'_, T> {}

impl<'a, T: Real> Destination<'a, T> {
    /// A buffer that is no source.
    pub fn new(buffer: &'a mut [T]) -> Self {
        Destination { start: buffer.as_mut_ptr(), length: buffer.len(), borrow: PhantomData }
    }

    /// A buffer that may also be the source of one contiguous load, if the store says `over`.
    ///
    /// # Safety
    /// `length` numbers are writable from `start` for `'a`, and nothing else reads or writes them meanwhile.
    pub unsafe fn shared(start: *mut T, length: usize) -> Self {
        Destination { start, length, borrow: PhantomData }
    }
}

impl<T: Real> Program<T> {
    /// How many numbers of workspace [`Program::run`] needs for `n` elements.
    #[inline]
    pub fn workspace_len(&self, context: &Context<'_>, n: usize) -> usize {
        T::program_workspace_len(self, context, n)
    }

    pub(crate) fn run_workspace_len(&self, context: &Context<'_>, n: usize) -> usize {
        self.tasks(context, n) * self.task_len(n)
    }

    fn task_len(&self, n: usize) -> usize {
        self.registers * Self::register_step(self.register_len(n)) + self.uniforms.len() + CACHE_LINE / size_of::<T>()
    }

    /// Elements that are computed together: whole sums, or a block of a long one.
    fn register_len(&self, n: usize) -> usize {
        match self.sum_inner {
            Some(inner) if inner <= BLOCK => BLOCK / inner * inner,
            _ => BLOCK,
        }
        .min(n)
    }

    /// From one register to the next: whole cache lines.
    fn register_step(length: usize) -> usize {
        length.next_multiple_of(CACHE_LINE / size_of::<T>())
    }

    fn tasks(&self, context: &Context<'_>, n: usize) -> usize {
        if n * self.steps() < PARALLEL_OPERATIONS { 1 } else { context.pool.threads() }
    }

    /// Runs the program for elements `0..n`.
    ///
    /// # Panics
    /// Where a source, destination or the workspace is missing or too short, a source holds integers where the program
    /// expects numbers or the other way round, or `n` is no multiple of the length of the program's sums.
    #[inline]
    pub fn run(
        &self,
        context: &Context<'_>,
        n: usize,
        sources: &[Source<'_, T>],
        destinations: &mut [Destination<'_, T>],
        workspace: &mut [T],
    ) {
        T::run_program(self, context, n, sources, destinations, workspace)
    }

    pub(crate) fn run_blocks(
        &self,
        context: &Context<'_>,
        n: usize,
        sources: &[Source<'_, T>],
        destinations: &mut [Destination<'_, T>],
        workspace: &mut [T],
    ) {
        if n == 0 {
            return;
        }
        let destinations = &*destinations;
        self.check(n, sources, destinations);
        let tasks = self.tasks(context, n);
        let share = self.task_len(n);
        assert!(workspace.len() >= tasks * share, "the workspace is too short");
        let level = context.level;
        if tasks == 1 {
            return simd::dispatch(
                level,
                Blocks { program: self, range: (0, n), whole: n, sources, destinations, workspace },
            );
        }
        let workspace = Shared::new(workspace);
        let unit = self.sum_inner.map_or(BLOCK, |inner| inner.max(self.register_len(n)));
        let chunks = n.div_ceil(unit).min(context.pool.several());
        context.pool.share(chunks, &|slot, chunk| {
            let range = block(n, chunks, unit, chunk);
            // SAFETY: each slot has its own stretch of the workspace.
            let workspace = unsafe { workspace.part(slot * share, share) };
            let range = (range.start, range.end);
            simd::dispatch(level, Blocks { program: self, range, whole: n, sources, destinations, workspace });
        });
    }

    fn check(&self, n: usize, sources: &[Source<'_, T>], destinations: &[Destination<'_, T>]) {
        for uniform in &self.uniforms {
            if let Uniform::Load { source, integers } = uniform {
                assert!(sources[*source].length > 0 && sources[*source].integers == *integers, "a scalar source");
            }
        }
        for Load { source, access, integers } in &self.loads {
            let reach = match access {
                Access::Contiguous => n,
                Access::Scalar => 1,
                Access::Cyclic { period } => n.min(*period),
                Access::Stretched { inner } => n.div_ceil(*inner),
                Access::Strided { offset, dims } => strided_reach(n, *offset, dims),
            };
            assert!(reach <= sources[*source].length, "a source is shorter than its load reaches");
            assert!(sources[*source].integers == *integers, "a source of the other element type");
        }
        for (row, &destination) in self.stores.iter().enumerate() {
            let sum = self.steps.iter().any(|step| matches!(step, Step::Sum { store, .. } if *store == row));
            let inner = self.sum_inner.unwrap_or(1);
            assert!(n.is_multiple_of(inner), "the elements are no whole number of sums");
            assert!(destinations[destination].length >= if sum { n / inner } else { n }, "a destination is too short");
        }
    }
}

fn strided_reach(n: usize, offset: usize, dims: &[(usize, isize)]) -> usize {
    let (mut low, mut high, mut count) = (offset as isize, offset as isize, 1);
    for &(extent, stride) in dims {
        let span = (extent as isize - 1) * stride;
        low += span.min(0);
        high += span.max(0);
        count *= extent;
    }
    assert!(count == n && low >= 0, "a strided load of another number of elements, or before its source");
    high as usize + 1
}

/// The blocks of one task.
struct Blocks<'a, T> {
    program: &'a Program<T>,
    range: (usize, usize),
    /// The elements of the whole run: it fixes the length of registers.
    whole: usize,
    sources: &'a [Source<'a, T>],
    destinations: &'a [Destination<'a, T>],
    workspace: &'a mut [T],
}

impl<T: Real> Kernel<T> for Blocks<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let (uniforms, registers) = self.workspace.split_at_mut(self.program.uniforms.len());
        let aligned = registers.as_ptr().align_offset(CACHE_LINE).min(CACHE_LINE / size_of::<T>());
        // SAFETY: `check` proved that scalar sources have a first element.
        unsafe { given_numbers(self.program, self.sources, uniforms) };
        let register_len = self.program.register_len(self.whole);
        let frame = Frame {
            program: self.program,
            sources: self.sources,
            destinations: self.destinations,
            uniforms: uniforms.as_mut_ptr(),
            registers: registers.as_mut_ptr().wrapping_add(aligned),
            register_step: Program::<T>::register_step(register_len),
        };
        // The uniform numbers are computed first, as a block of one element: one place that executes steps, so that the loops of all
        // operations are compiled once for each instruction set.
        let mut rest = Some((self.program.uniform_steps.as_slice(), self.range.0, self.range.0, 1));
        while let Some((steps, start, next, count)) = rest {
            for step in steps {
                // SAFETY: `check` proved the buffers long enough for elements below `whole`, registers have room for a block, and
                // each uniform number is computed of earlier ones.
                unsafe { frame.step::<V>(step, start, count) };
            }
            rest = (next < self.range.1).then(|| {
                let mut end = (next + register_len).min(self.range.1);
                if let Some(inner) = self.program.sum_inner {
                    // Blocks of a long sum start anew with each sum.
                    end = if inner > BLOCK { end.min((next / inner + 1) * inner) } else { end };
                }
                (self.program.steps.as_slice(), next, end, end - next)
            });
        }
    }
}

/// Writes the uniform numbers that nothing computes.
///
/// # Safety
/// Scalar sources have a first element.
unsafe fn given_numbers<T: Real>(program: &Program<T>, sources: &[Source<'_, T>], numbers: &mut [T]) {
    for (uniform, to) in program.uniforms.iter().zip(numbers) {
        // SAFETY: by the contract of this function.
        unsafe {
            match *uniform {
                Uniform::Constant(number) => *to = number,
                Uniform::Load { source, integers: true } => {
                    *to = T::from_integer(*sources[source].start.cast::<i32>());
                }
                Uniform::Load { source, .. } => *to = *sources[source].start.cast::<T>(),
                Uniform::Computed(_) => {}
            }
        }
    }
}

/// Where the operands of a task's steps are.
struct Frame<'a, T> {
    program: &'a Program<T>,
    sources: &'a [Source<'a, T>],
    destinations: &'a [Destination<'a, T>],
    uniforms: *mut T,
    registers: *mut T,
    register_step: usize,
}

impl<T: Real> Frame<'_, T> {
    #[inline(always)]
    unsafe fn operand(&self, place: Place, start: usize) -> Operand<T> {
        // SAFETY: the caller vouches for places and range.
        unsafe {
            let (pointer, uniform) = match place {
                Place::Register(register) => (self.registers.add(register * self.register_step).cast_const(), false),
                Place::Load(load) => {
                    (self.sources[self.program.loads[load].source].start.cast::<T>().add(start), false)
                }
                Place::Store(_) => (self.target(place, start).cast_const(), false),
                Place::Uniform(row) => (self.uniforms.add(row).cast_const(), true),
            };
            Operand { start: pointer, uniform }
        }
    }

    #[inline(always)]
    unsafe fn target(&self, place: Place, start: usize) -> *mut T {
        // SAFETY: the caller vouches for places and range.
        unsafe {
            match place {
                Place::Store(store) => self.destinations[self.program.stores[store]].start.add(start),
                Place::Register(register) => self.registers.add(register * self.register_step),
                Place::Uniform(row) => self.uniforms.add(row),
                Place::Load(_) => unreachable!("steps write registers, destinations and uniform numbers"),
            }
        }
    }

    #[inline(always)]
    unsafe fn step<V: Vector<Element = T>>(&self, step: &Step, start: usize, count: usize) {
        // SAFETY: the caller vouches for the range; the compiler made the places.
        unsafe {
            match *step {
                Step::Fill { load, to } => self.fill(load, to, start, count),
                Step::Unary(operation, a, to) => {
                    loops::unary::<V>(operation, self.operand(a, start), self.target(to, start), count);
                }
                Step::Binary(operation, [a, b], to) => {
                    let (a, b) = (self.operand(a, start), self.operand(b, start));
                    loops::binary::<V>(operation, a, b, self.target(to, start), count);
                }
                Step::Ternary(operation, [a, b, c], to) => {
                    let operands = [self.operand(a, start), self.operand(b, start), self.operand(c, start)];
                    loops::ternary::<V>(operation, operands, self.target(to, start), count);
                }
                Step::Fused(operation, [a, s, b, t], to) => {
                    let operands = [a, s, b, t].map(|place| self.operand(place, start));
                    loops::fused::<V>(operation, operands, self.target(to, start), count);
                }
                Step::Adam(update) => {
                    let operands = update.from.map(|place| self.operand(place, start));
                    let numbers = update.numbers.map(|place| *self.operand(place, start).start);
                    loops::adam::<V>(operands, numbers, update.to.map(|place| self.target(place, start)), count);
                }
                Step::Copy { from, to } => {
                    loops::copy::<V>(self.operand(from, start), self.target(to, start), count);
                }
                Step::Sum { from, store, inner } => self.sum::<V>(from, store, inner, start, count),
            }
        }
    }

    #[inline(never)]
    unsafe fn fill(&self, load: usize, to: usize, start: usize, count: usize) {
        let Load { source, access, integers } = &self.program.loads[load];
        let source = self.sources[*source].start;
        // SAFETY: `check` proved that the access stays inside the source; the register has room for the block.
        unsafe {
            let to = std::slice::from_raw_parts_mut(self.registers.add(to * self.register_step), count);
            if *integers {
                fill::fill(access, start, to, |place| T::from_integer(*source.cast::<i32>().add(place)));
            } else {
                fill::fill(access, start, to, |place| *source.cast::<T>().add(place));
            }
        }
    }

    #[inline(always)]
    unsafe fn sum<V: Vector<Element = T>>(&self, from: Place, store: usize, inner: usize, start: usize, count: usize) {
        // SAFETY: the destination has a number for every sum; blocks hold whole sums or a part of one.
        unsafe {
            let operand = self.operand(from, start);
            let destination = self.destinations[self.program.stores[store]].start;
            let mut done = 0;
            while done < count {
                let index = (start + done) / inner;
                let length = inner.min(count - done);
                let sum = if operand.uniform {
                    *operand.start * T::from_double(length as f64)
                } else {
                    loops::sum::<V>(operand.start.add(done), length)
                };
                let first = (start + done).is_multiple_of(inner);
                *destination.add(index) = if first { sum } else { *destination.add(index) + sum };
                done += length;
            }
        }
    }
}
