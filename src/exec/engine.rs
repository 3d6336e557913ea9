//! What runs a bound program, and the one place where its code is made for each element type.

use super::executor::Executor;
use super::planned::Planned;
use super::reference::Reference;
use super::store::{Carried, StoreError};
use super::{Bound, Clock, ExecutorOptions, Mode, Store, Values};
use crate::diag::Diagnostics;
use crate::ops::{Element, Family};
use std::fmt;

/// The values of a program that are neither params nor states.
#[derive(Debug)]
pub struct Buffers<'a, T> {
    /// by [`Bound::feeds`]
    pub feeds: &'a mut [Values<T>],
    /// by [`Bound::fetches`]; next params and states end in the store alone
    pub results: &'a mut [Values<T>],
}

/// A way to run bound programs. There are two: by a plan, and op by op.
pub trait Engine<T: Element>: fmt::Debug + Send {
    /// Makes a program ready to run.
    ///
    /// # Errors
    /// E0702 when the program and what goes with it take more than the options allow, or the system has no memory for it; E0701
    /// when the options ask for too many threads.
    fn prepare(program: &Bound, options: &ExecutorOptions) -> Result<Self, Diagnostics>
    where
        Self: Sized;

    /// Runs the program that it was prepared for, once. Params and states are read from the store; their next values are written
    /// to it. `after` is called with the number of each step of a plan when it is done.
    ///
    /// # Errors
    /// When the store lacks a param or state of the program, or has it in another type or shape. Nothing has run then.
    fn run(
        &mut self,
        program: &Bound,
        buffers: Buffers<'_, T>,
        store: &mut Store<T>,
        clock: Clock,
        after: &mut dyn FnMut(usize),
    ) -> Result<(), StoreError>;
}

fn engine<T: Element>(program: &Bound, options: &ExecutorOptions) -> Result<Box<dyn Engine<T>>, Diagnostics> {
    Ok(match options.mode {
        Mode::Planned => Box::new(Planned::prepare(program, options)?),
        Mode::Reference => Box::new(<Reference as Engine<T>>::prepare(program, options)?),
    })
}

type Run<T> = fn(&mut Executor<T>, &mut Store<T>, Clock, &mut dyn FnMut(usize)) -> Result<(), StoreError>;

/// What executors do for one element type. A generic function is compiled anew in every crate that calls it; those in these tables
/// are compiled here, and what callers compile is the call.
pub(super) struct Entry<T: Element> {
    pub prepare: fn(Bound, &ExecutorOptions) -> Result<Executor<T>, Diagnostics>,
    pub run: Run<T>,
    pub zeros: fn(&[Carried]) -> Result<Store<T>, Diagnostics>,
}

/// The tables of both element types.
struct Entries;

impl Family for Entries {
    type Of<T: Element> = &'static Entry<T>;
}

macro_rules! entries {
    ($($name:ident: $element:ty;)*) => {
        $(static $name: Entry<$element> = Entry {
            prepare: |program, options| Executor::with(engine(&program, options)?, program),
            run: Executor::run_by_engine,
            zeros: Store::filled_with_zeros,
        };)*
    };
}

entries! {
    SINGLE: f32;
    DOUBLE: f64;
}

/// The table of an element type.
pub(super) fn entry<T: Element>() -> &'static Entry<T> {
    T::pick::<Entries>(&SINGLE, &DOUBLE)
}
