//! Where the buffers of a plan are.

use super::kernel::Kernel;
use crate::exec::{Clock, Feed, Store, StoreKind, Values};
use crate::ops::{Element, InputKind};
use crate::plan::{BufferId, ConstantValue, Place, Plan, Storage};
use anabranch_kernels::elementwise::{Destination, Source};
use std::sync::Arc;

/// Where one buffer's elements are during a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    start: *mut u8,
    len: usize,
}

impl Address {
    const NOWHERE: Self = Self { start: std::ptr::null_mut(), len: 0 };

    /// Part `at` of so many equal ones.
    pub fn part(self, at: usize, parts: usize, storage: Storage, float_size: usize) -> Self {
        let len = self.len / parts;
        let size = if storage == Storage::Int { size_of::<i32>() } else { float_size };
        Self { start: self.start.wrapping_add(at * len * size), len }
    }
}

/// Where a leaf's elements come from.
#[derive(Clone, Debug)]
enum Leaf {
    Feed(usize),
    /// a value of the store, and its position there the last time
    Carried(StoreKind, Arc<str>, usize),
    Step,
    Epoch,
    Seed,
    EpochEnd,
    /// placed by the loop whose body this is
    Placed,
}

/// The memory of a planned program, and the addresses of its buffers.
#[derive(Debug)]
pub(super) struct Tables<T: Element> {
    floats: Vec<T>,
    ints: Vec<i32>,
    /// contents of constant buffers; kept alive for the addresses below
    constants: Vec<Values<T>>,
    leaves: Vec<(usize, Leaf)>,
    clock: Box<[i32; 4]>,
    places: Vec<Address>,
    storage: Vec<Storage>,
    pub workspace: Vec<T>,
    /// reused by groups, so that a step allocates nothing
    pub sources: Vec<Source<'static, T>>,
    pub destinations: Vec<Destination<'static, T>>,
    /// the bodies of the plan's loops; a body is taken out while it runs
    pub loops: Vec<Option<Box<Tables<T>>>>,
}

// SAFETY: the addresses point into vectors that the tables own, or that `resolve` was given exclusively for the run.
unsafe impl<T: Element> Send for Tables<T> {}

impl<T: Element> Tables<T> {
    pub fn new(plan: &Plan, kernels: &[Kernel<T>], feeds: &[Feed], workspace: usize) -> Self {
        let (mut floats, mut ints) = (vec![T::zero(); plan.float_len], vec![0; plan.int_len]);
        let arenas = [
            Address { start: floats.as_mut_ptr().cast(), len: floats.len() },
            Address { start: ints.as_mut_ptr().cast(), len: ints.len() },
        ];
        let mut tables = Self::at(plan, kernels, workspace, arenas, |kind, name| leaf(kind, name, feeds));
        (tables.floats, tables.ints) = (floats, ints);
        tables
    }

    /// The tables of a loop's body, whose arenas lie in memory of the plan around it.
    pub fn inside(plan: &Plan, kernels: &[Kernel<T>], workspace: usize, arenas: [Address; 2]) -> Self {
        Self::at(plan, kernels, workspace, arenas, |_, _| Leaf::Placed)
    }

    fn at(
        plan: &Plan,
        kernels: &[Kernel<T>],
        workspace: usize,
        arenas: [Address; 2],
        leaf: impl Fn(InputKind, &Arc<str>) -> Leaf,
    ) -> Self {
        let mut tables = Self {
            floats: Vec::new(),
            ints: Vec::new(),
            constants: Vec::new(),
            leaves: Vec::new(),
            clock: Box::new([0; 4]),
            places: vec![Address::NOWHERE; plan.buffers.len()],
            storage: plan.buffers.iter().map(|buffer| buffer.storage).collect(),
            workspace: vec![T::zero(); workspace],
            sources: Vec::with_capacity(most(plan, |group| group.loads.len())),
            destinations: Vec::with_capacity(most(plan, |group| group.stores.len())),
            loops: Vec::new(),
        };
        for (i, buffer) in plan.buffers.iter().enumerate() {
            match &buffer.place {
                Place::Arena { offset } => {
                    let arena = arenas[usize::from(buffer.storage == Storage::Int)];
                    let size = if buffer.storage == Storage::Int { size_of::<i32>() } else { size_of::<T>() };
                    // The checker keeps what steps write inside the arena. A buffer that a leaf took the place of is left over.
                    if offset + buffer.len <= arena.len {
                        tables.places[i] = Address { start: arena.start.wrapping_add(offset * size), len: buffer.len };
                    }
                }
                Place::Constant(value) => {
                    tables.constants.push(contents(value, buffer.storage, buffer.len));
                    let values = tables.constants.last_mut();
                    tables.places[i] = values.map_or(Address::NOWHERE, |values| address(values, buffer.len));
                }
                Place::Leaf { kind, name } => tables.leaves.push((i, leaf(*kind, name))),
            }
        }
        for kernel in kernels {
            if let Kernel::Loop(work) = kernel {
                let inner = work.tables(&tables);
                tables.loops.push(Some(Box::new(inner)));
            }
        }
        tables
    }

    /// Where a buffer is.
    pub fn address(&self, buffer: BufferId) -> Address {
        self.places[buffer.0]
    }

    /// Says where a leaf of a loop's body is.
    pub fn place(&mut self, leaf: BufferId, address: Address) {
        self.places[leaf.0] = address;
    }

    /// Copies the elements of one place to another of the same length.
    pub fn copy(&self, from: Address, to: Address, storage: Storage) {
        assert_eq!(from.len, to.len, "internal: places of one length");
        if from.len == 0 || from.start == to.start {
            return;
        }
        let size = if storage == Storage::Int { size_of::<i32>() } else { size_of::<T>() };
        // SAFETY: both are places of `len` live elements of this storage, and the plan's checker proved them apart.
        unsafe { std::ptr::copy_nonoverlapping(from.start, to.start, from.len * size) }
    }

    /// Looks up where leaves are for this run.
    ///
    /// # Panics
    /// When the store lacks a param or state, or has it in another size.
    pub fn resolve(&mut self, feeds: &mut [Values<T>], store: &mut Store<T>, clock: Clock) {
        *self.clock = [clock.step, clock.epoch, clock.seed, i32::from(clock.epoch_end)];
        for (buffer, leaf) in &mut self.leaves {
            let place = match leaf {
                Leaf::Feed(feed) => {
                    let len = feeds[*feed].len();
                    address(&mut feeds[*feed], len)
                }
                Leaf::Carried(kind, name, last) => {
                    let Some(values) = store.find_again(last, *kind, name) else {
                        panic!("internal: the store lacks {name}")
                    };
                    let len = values.len();
                    address(values, len)
                }
                Leaf::Step => Address { start: self.clock[0..].as_mut_ptr().cast(), len: 1 },
                Leaf::Epoch => Address { start: self.clock[1..].as_mut_ptr().cast(), len: 1 },
                Leaf::Seed => Address { start: self.clock[2..].as_mut_ptr().cast(), len: 1 },
                Leaf::EpochEnd => Address { start: self.clock[3..].as_mut_ptr().cast(), len: 1 },
                Leaf::Placed => continue,
            };
            self.places[*buffer] = place;
        }
    }

    /// The elements of a buffer of floats.
    ///
    /// # Safety
    /// No other reference to memory of the plan that this overlaps is used to write while this one lives.
    pub unsafe fn floats<'a>(&self, buffer: BufferId) -> &'a [T] {
        let place = self.places[buffer.0];
        debug_assert_eq!(self.storage[buffer.0], Storage::Float);
        if place.len == 0 {
            return &[];
        }
        // SAFETY: the address is that of `len` live elements of the buffer's storage; the caller excludes writers.
        unsafe { std::slice::from_raw_parts(place.start.cast(), place.len) }
    }

    /// The elements of a buffer of floats, to write.
    ///
    /// # Safety
    /// No other reference to memory of the plan that this overlaps is used while this one lives.
    #[allow(clippy::mut_from_ref, reason = "the plan's checker proves results apart from operands")]
    pub unsafe fn floats_mut<'a>(&self, buffer: BufferId) -> &'a mut [T] {
        let place = self.places[buffer.0];
        debug_assert_eq!(self.storage[buffer.0], Storage::Float);
        if place.len == 0 {
            return &mut [];
        }
        // SAFETY: as above, and the caller excludes every other use.
        unsafe { std::slice::from_raw_parts_mut(place.start.cast(), place.len) }
    }

    /// The elements of a buffer of ints.
    ///
    /// # Safety
    /// As for [`Tables::floats`].
    pub unsafe fn ints<'a>(&self, buffer: BufferId) -> &'a [i32] {
        let place = self.places[buffer.0];
        debug_assert_eq!(self.storage[buffer.0], Storage::Int);
        if place.len == 0 {
            return &[];
        }
        // SAFETY: as for floats.
        unsafe { std::slice::from_raw_parts(place.start.cast(), place.len) }
    }

    /// The elements of a buffer of ints, to write.
    ///
    /// # Safety
    /// As for [`Tables::floats_mut`].
    #[allow(clippy::mut_from_ref, reason = "the plan's checker proves results apart from operands")]
    pub unsafe fn ints_mut<'a>(&self, buffer: BufferId) -> &'a mut [i32] {
        let place = self.places[buffer.0];
        debug_assert_eq!(self.storage[buffer.0], Storage::Int);
        if place.len == 0 {
            return &mut [];
        }
        // SAFETY: as for floats.
        unsafe { std::slice::from_raw_parts_mut(place.start.cast(), place.len) }
    }

    /// Address and length of a buffer of floats, for a group that writes over an operand.
    pub fn raw(&self, buffer: BufferId) -> (*mut T, usize) {
        let place = self.places[buffer.0];
        (place.start.cast(), place.len)
    }

    pub fn storage(&self, buffer: BufferId) -> Storage {
        self.storage[buffer.0]
    }

    /// Copies a buffer out after a run.
    pub fn read(&self, buffer: BufferId, result: &mut Values<T>) {
        match (result, self.storage(buffer)) {
            // SAFETY: nothing runs, so nothing writes.
            (Values::Float(values), Storage::Float) => values.copy_from_slice(unsafe { self.floats(buffer) }),
            // SAFETY: as above.
            (Values::Int(values), Storage::Int) => values.copy_from_slice(unsafe { self.ints(buffer) }),
            (Values::Int(values), Storage::Float) => {
                // SAFETY: as above. Bools leave as ints.
                for (value, mask) in values.iter_mut().zip(unsafe { self.floats(buffer) }) {
                    *value = i32::from(*mask != T::zero());
                }
            }
            (Values::Float(_), Storage::Int) => {}
        }
    }
}

/// The largest number of loads or stores of a group.
fn most(plan: &Plan, count: impl Fn(&crate::plan::Group) -> usize) -> usize {
    let groups = plan.steps.iter().filter_map(|step| match &step.work {
        crate::plan::Work::Group(group) => Some(count(group)),
        _ => None,
    });
    groups.max().unwrap_or(0)
}

fn address<T: Element>(values: &mut Values<T>, len: usize) -> Address {
    let start = match values {
        Values::Float(values) => values.as_mut_ptr().cast(),
        Values::Int(values) => values.as_mut_ptr().cast(),
    };
    Address { start, len }
}

fn contents<T: Element>(value: &ConstantValue, storage: Storage, len: usize) -> Values<T> {
    let at = |i: usize| match value {
        ConstantValue::Splat(value) => *value,
        ConstantValue::Iota { extent, inner } => (i / inner % extent) as f64,
    };
    match storage {
        Storage::Float => Values::Float((0..len).map(|i| T::of(at(i))).collect()),
        Storage::Int => Values::Int((0..len).map(|i| at(i) as i32).collect()),
    }
}

fn leaf(kind: InputKind, name: &Arc<str>, feeds: &[Feed]) -> Leaf {
    match kind {
        InputKind::Step => Leaf::Step,
        InputKind::Epoch => Leaf::Epoch,
        InputKind::Seed => Leaf::Seed,
        InputKind::EpochEnd => Leaf::EpochEnd,
        InputKind::Port(_) => Leaf::Placed,
        InputKind::Param => Leaf::Carried(StoreKind::Param, name.clone(), 0),
        InputKind::State => Leaf::Carried(StoreKind::State, name.clone(), 0),
        InputKind::Input | InputKind::Target => {
            let feed = feeds.iter().position(|feed| feed.kind == kind && feed.name == *name);
            Leaf::Feed(feed.unwrap_or_else(|| panic!("internal: no feed for {name}")))
        }
    }
}
