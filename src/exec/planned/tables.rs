//! Where the buffers of a plan are, and how a step gets at them.
//!
//! Relies on nothing but itself: an address is made only here, of memory that the tables own or were given for the run, and keeps
//! its element type and length. [`Tables::step`] hands out what a step reads and writes after comparing their places, so a wrong plan
//! ends in a panic and never in memory that two references share.

use super::kernel::Kernel;
use crate::diag::Diagnostics;
use crate::exec::store::{Carried, StoreError};
use crate::exec::{Clock, Feed, Store, StoreKind, Values, memory};
use crate::ops::{Element, InputKind};
use crate::plan::{BufferId, ConstantValue, Place, Plan, Storage};
use anabranch_kernels::elementwise::{Destination, Source};
use std::sync::Arc;

/// The numbers of the clock and the seed.
const CLOCK: usize = 7;

/// Where one buffer's elements are during a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    start: *mut u8,
    len: usize,
    storage: Storage,
    /// bytes
    size: usize,
}

impl Address {
    fn of<T: Element>(start: *mut u8, len: usize, storage: Storage) -> Self {
        let element = if storage == Storage::Int { size_of::<i32>() } else { size_of::<T>() };
        Self { start, len, storage, size: len * element }
    }

    fn nowhere(storage: Storage) -> Self {
        Self { start: std::ptr::null_mut(), len: 0, storage, size: 0 }
    }

    fn floats<T: Element>(values: &mut [T]) -> Self {
        Self::of::<T>(values.as_mut_ptr().cast(), values.len(), Storage::Float)
    }

    fn ints<T: Element>(values: &mut [i32]) -> Self {
        Self::of::<T>(values.as_mut_ptr().cast(), values.len(), Storage::Int)
    }

    fn values<T: Element>(values: &mut Values<T>) -> Self {
        match values {
            Values::Float(values) => Self::floats(values),
            Values::Int(values) => Self::ints::<T>(values),
        }
    }

    /// Part `at` of so many equal ones.
    pub fn part(self, at: usize, parts: usize) -> Self {
        assert!(at < parts && self.len.is_multiple_of(parts), "internal: a part of a buffer that has no such part");
        let (len, size) = (self.len / parts, self.size / parts);
        Self { start: self.start.wrapping_add(at * size), len, size, ..self }
    }

    fn overlaps(&self, other: &Self) -> bool {
        let (start, other_start) = (self.start.addr(), other.start.addr());
        let is_something = self.size > 0 && other.size > 0;
        is_something && start < other_start + other.size && other_start < start + self.size
    }

    /// The first element; aligned also where there is none.
    fn first<E>(self) -> *mut E {
        if self.len == 0 { std::ptr::dangling_mut() } else { self.start.cast() }
    }

    /// # Safety
    /// The elements are alive for `'a`, and nothing writes them meanwhile.
    unsafe fn view<'a, T>(self) -> View<'a, T> {
        // SAFETY: an address is that of `len` elements of its storage; the rest is the caller's word.
        unsafe {
            match self.storage {
                Storage::Float => View::Float(std::slice::from_raw_parts(self.first(), self.len)),
                Storage::Int => View::Int(std::slice::from_raw_parts(self.first(), self.len)),
            }
        }
    }

    /// # Safety
    /// As for [`Address::view`], and nothing else reads them.
    unsafe fn view_mut<'a, T>(self) -> ViewMut<'a, T> {
        // SAFETY: as above.
        unsafe {
            match self.storage {
                Storage::Float => ViewMut::Float(std::slice::from_raw_parts_mut(self.first(), self.len)),
                Storage::Int => ViewMut::Int(std::slice::from_raw_parts_mut(self.first(), self.len)),
            }
        }
    }
}

/// The elements of a buffer, to read.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'a, T> {
    Float(&'a [T]),
    Int(&'a [i32]),
}

impl<'a, T> View<'a, T> {
    pub fn floats(self) -> &'a [T] {
        match self {
            Self::Float(values) => values,
            Self::Int(_) => panic!("internal: ints where a step reads floats"),
        }
    }

    pub fn ints(self) -> &'a [i32] {
        match self {
            Self::Int(values) => values,
            Self::Float(_) => panic!("internal: floats where a step reads ints"),
        }
    }
}

/// The elements of a buffer, to write.
#[derive(Debug)]
pub(super) enum ViewMut<'a, T> {
    Float(&'a mut [T]),
    Int(&'a mut [i32]),
}

impl<'a, T> ViewMut<'a, T> {
    pub fn floats(self) -> &'a mut [T] {
        match self {
            Self::Float(values) => values,
            Self::Int(_) => panic!("internal: ints where a step writes floats"),
        }
    }

    pub fn ints(self) -> &'a mut [i32] {
        match self {
            Self::Int(values) => values,
            Self::Float(_) => panic!("internal: floats where a step writes ints"),
        }
    }
}

/// What a step works on.
pub(super) struct Memory<'a, T, const READS: usize> {
    pub reads: [View<'a, T>; READS],
    pub write: ViewMut<'a, T>,
    pub workspace: &'a mut [T],
}

/// What a fused group works on.
pub(super) struct GroupMemory<'a, T: 'static> {
    pub sources: &'a [Source<'static, T>],
    pub destinations: &'a mut [Destination<'static, T>],
    pub workspace: &'a mut [T],
}

/// Where a leaf's elements come from.
#[derive(Clone, Debug)]
enum Leaf {
    Feed(usize),
    /// a value of the store, and its position there the last time
    Carried(Carried, usize),
    /// a number of the clock
    Clock(usize),
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
    clock: Vec<i32>,
    places: Vec<Address>,
    /// elements of each buffer, by the plan
    lens: Vec<usize>,
    workspace: Vec<T>,
    /// reused by groups, so that a step allocates nothing
    sources: Vec<Source<'static, T>>,
    destinations: Vec<Destination<'static, T>>,
    /// the bodies of the plan's loops; a body is taken out while it runs
    pub loops: Vec<Option<Box<Tables<T>>>>,
}

// SAFETY: the addresses point into vectors that the tables own, or that `resolve` was given exclusively for the run.
unsafe impl<T: Element> Send for Tables<T> {}

impl<T: Element> Tables<T> {
    /// The memory of a plan.
    ///
    /// # Errors
    /// E0702 when the system has no memory for it.
    pub fn new(
        plan: &Plan,
        kernels: &[Kernel<T>],
        workspace: usize,
        feeds: &[Feed],
        carried: &[Carried],
    ) -> Result<Self, Diagnostics> {
        let mut floats = memory::zeros(plan.float_len, "the values between inputs and results")?;
        let mut ints = memory::zeros(plan.int_len, "the ints between inputs and results")?;
        let arenas = [Address::floats(&mut floats), Address::ints::<T>(&mut ints)];
        let leaf = |kind: InputKind, name: &Arc<str>| leaf(kind, name, feeds, carried);
        let mut tables = Self::at(plan, kernels, workspace, arenas, leaf)?;
        (tables.floats, tables.ints) = (floats, ints);
        Ok(tables)
    }

    /// The tables of a loop's body, whose arenas lie in memory of the plan around it.
    ///
    /// # Errors
    /// As [`Tables::new`].
    pub fn inside(
        plan: &Plan,
        kernels: &[Kernel<T>],
        workspace: usize,
        arenas: [Address; 2],
    ) -> Result<Self, Diagnostics> {
        Self::at(plan, kernels, workspace, arenas, |_, _| Leaf::Placed)
    }

    fn at(
        plan: &Plan,
        kernels: &[Kernel<T>],
        workspace: usize,
        arenas: [Address; 2],
        leaf: impl Fn(InputKind, &Arc<str>) -> Leaf,
    ) -> Result<Self, Diagnostics> {
        let mut tables = Self {
            floats: Vec::new(),
            ints: Vec::new(),
            constants: Vec::new(),
            leaves: Vec::new(),
            clock: vec![0; CLOCK],
            places: plan.buffers.iter().map(|buffer| Address::nowhere(buffer.storage)).collect(),
            lens: plan.buffers.iter().map(|buffer| buffer.len).collect(),
            workspace: memory::zeros(workspace, "the workspace of products and convolutions")?,
            sources: Vec::with_capacity(most(plan, |group| group.loads.len())),
            destinations: Vec::with_capacity(most(plan, |group| group.writes.len())),
            loops: Vec::new(),
        };
        for (i, buffer) in plan.buffers.iter().enumerate() {
            match &buffer.place {
                Place::Arena { offset } => {
                    let arena = arenas[usize::from(buffer.storage == Storage::Int)];
                    // The checker keeps what steps write inside the arena. A buffer that a leaf took the place of is left over.
                    if offset.checked_add(buffer.len).is_some_and(|end| end <= arena.len) {
                        let element = arena.size.checked_div(arena.len).unwrap_or(0);
                        let start = arena.start.wrapping_add(offset * element);
                        tables.places[i] = Address::of::<T>(start, buffer.len, buffer.storage);
                    }
                }
                Place::Constant(value) => {
                    let mut values = contents(value, buffer.storage, buffer.len)?;
                    tables.places[i] = Address::values(&mut values);
                    tables.constants.push(values);
                }
                Place::Leaf { kind, name } => tables.leaves.push((i, leaf(*kind, name))),
            }
        }
        let same = |(_, a): &(usize, Leaf), (_, b): &(usize, Leaf)| match (a, b) {
            (Leaf::Feed(a), Leaf::Feed(b)) => a == b,
            (Leaf::Carried(a, _), Leaf::Carried(b, _)) => a == b,
            _ => false,
        };
        let distinct = (0..tables.leaves.len())
            .all(|at| tables.leaves[..at].iter().all(|earlier| !same(earlier, &tables.leaves[at])));
        assert!(distinct, "internal: two leaves of a graph are one value");
        for kernel in kernels {
            if let Kernel::Loop(work) = kernel {
                let inner = work.tables(&tables)?;
                tables.loops.push(Some(Box::new(inner)));
            }
        }
        Ok(tables)
    }

    /// Where a buffer is.
    pub fn address(&self, buffer: BufferId) -> Address {
        self.places[buffer.0]
    }

    /// Says where a leaf is.
    pub fn place(&mut self, leaf: BufferId, address: Address) {
        let place = &mut self.places[leaf.0];
        let fits = place.storage == address.storage && self.lens[leaf.0] == address.len;
        assert!(fits, "internal: a leaf of another type or length than the plan has");
        *place = address;
    }

    /// Looks up where leaves are for this run.
    ///
    /// # Errors
    /// When the store lacks a param or state, or has it in another type or shape. Nothing has been written then.
    pub fn resolve(&mut self, feeds: &mut [Values<T>], store: &mut Store<T>, clock: Clock) -> Result<(), StoreError> {
        let numbers: [i32; CLOCK] = [
            clock.step,
            clock.epoch,
            clock.seed,
            i32::from(clock.epoch_end),
            clock.epochs,
            clock.steps_per_epoch,
            clock.total_steps(),
        ];
        self.clock.copy_from_slice(&numbers);
        let numbers = Address::ints::<T>(&mut self.clock);
        let mut leaves = std::mem::take(&mut self.leaves);
        let mut resolved = Ok(());
        for (buffer, leaf) in &mut leaves {
            let address = match leaf {
                Leaf::Feed(feed) => Address::values(&mut feeds[*feed]),
                Leaf::Carried(what, last) => match store.get_again(last, what) {
                    Ok(values) => Address::values(values),
                    Err(error) => {
                        resolved = Err(error);
                        break;
                    }
                },
                Leaf::Clock(number) => numbers.part(*number, CLOCK),
                Leaf::Placed => continue,
            };
            self.place(BufferId(*buffer), address);
        }
        self.leaves = leaves;
        resolved
    }

    /// Forgets where leaves were: what was fed or carried may be gone before the next run.
    pub fn release(&mut self) {
        for (buffer, _) in &self.leaves {
            self.places[*buffer] = Address::nowhere(self.places[*buffer].storage);
        }
    }

    /// What a step reads and writes, and the workspace.
    ///
    /// # Panics
    /// When what it writes overlaps what it reads.
    pub fn step<const READS: usize>(&mut self, reads: [BufferId; READS], write: BufferId) -> Memory<'_, T, READS> {
        let to = self.places[write.0];
        let apart = reads.iter().all(|read| !self.places[read.0].overlaps(&to));
        assert!(apart, "internal: a step writes over what it reads");
        // SAFETY: nothing else refers to the elements, since the table is borrowed for as long as what is handed out; what is
        // written is apart from what is read, as was just compared, and from the workspace, which has no address.
        unsafe {
            let reads = reads.map(|read| self.places[read.0].view());
            Memory { reads, write: to.view_mut(), workspace: &mut self.workspace }
        }
    }

    /// The elements of a buffer.
    pub fn read(&self, buffer: BufferId) -> View<'_, T> {
        // SAFETY: whatever writes elements borrows the table for itself.
        unsafe { self.places[buffer.0].view() }
    }

    /// What a fused group reads and writes, and the workspace. A result may be the very buffer of an operand.
    pub fn group(&mut self, sources: &[(BufferId, bool)], destinations: &[BufferId]) -> GroupMemory<'_, T> {
        self.sources.clear();
        self.destinations.clear();
        for (buffer, is_int) in sources {
            let from = self.places[buffer.0];
            assert_eq!(from.storage == Storage::Int, *is_int, "internal: a group reads the other element type");
            // SAFETY: ints are alive and groups write none; floats are alive and written only by a store declared over this
            // load, as the plan's checker proved.
            self.sources.push(unsafe {
                if *is_int { Source::integers(from.view::<T>().ints()) } else { Source::shared(from.first(), from.len) }
            });
        }
        for (at, buffer) in destinations.iter().enumerate() {
            let to = self.places[buffer.0];
            assert_eq!(to.storage, Storage::Float, "internal: a group writes ints");
            let over = |from: &Address| from.start == to.start && from.len == to.len;
            let mut read = sources.iter().map(|(buffer, _)| &self.places[buffer.0]);
            debug_assert!(read.all(|from| !from.overlaps(&to) || over(from)), "internal: a group writes over a part");
            let mut written = destinations[..at].iter().map(|other| &self.places[other.0]);
            debug_assert!(written.all(|other| !other.overlaps(&to)), "internal: two results of a group overlap");
            // SAFETY: as above, and no two stores share memory.
            self.destinations.push(unsafe { Destination::shared(to.first(), to.len) });
        }
        GroupMemory { sources: &self.sources, destinations: &mut self.destinations, workspace: &mut self.workspace }
    }

    /// Copies the elements of one place to another of the same type and length.
    pub fn copy(&mut self, from: Address, to: Address) {
        assert!(from.len == to.len && from.storage == to.storage, "internal: places of one type and length");
        if from.len == 0 || from.start == to.start {
            return;
        }
        assert!(!from.overlaps(&to), "internal: a copy onto a part of itself");
        // SAFETY: both are places of `len` live elements of this storage, apart as was just compared.
        unsafe { std::ptr::copy_nonoverlapping(from.start, to.start, from.size) }
    }

    /// Copies a buffer out after a run.
    pub fn copy_out(&self, buffer: BufferId, result: &mut Values<T>) {
        match (result, self.read(buffer)) {
            (Values::Float(values), View::Float(from)) => values.copy_from_slice(from),
            (Values::Int(values), View::Int(from)) => values.copy_from_slice(from),
            // Bools leave as ints.
            (Values::Int(values), View::Float(masks)) => {
                assert_eq!(values.len(), masks.len(), "internal: a result of the plan's length");
                values.iter_mut().zip(masks).for_each(|(value, mask)| *value = i32::from(*mask != T::zero()));
            }
            (Values::Float(_), View::Int(_)) => panic!("internal: ints where a result is floats"),
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

fn contents<T: Element>(value: &ConstantValue, storage: Storage, len: usize) -> Result<Values<T>, Diagnostics> {
    let at = |i: usize| match value {
        ConstantValue::Splat(value) => *value,
        ConstantValue::Iota { extent, inner } => (i / inner % extent) as f64,
    };
    Ok(match storage {
        Storage::Float => Values::Float(memory::filled(len, "a constant", |i| T::of(at(i)))?),
        Storage::Int => Values::Int(memory::filled(len, "a constant", |i| at(i) as i32)?),
    })
}

fn leaf(kind: InputKind, name: &Arc<str>, feeds: &[Feed], carried: &[Carried]) -> Leaf {
    let stored = |kind: StoreKind| {
        let found = carried.iter().find(|what| what.kind == kind && what.name == *name);
        Leaf::Carried(found.unwrap_or_else(|| panic!("internal: nothing carries {name}")).clone(), 0)
    };
    match kind {
        InputKind::Step => Leaf::Clock(0),
        InputKind::Epoch => Leaf::Clock(1),
        InputKind::Seed => Leaf::Clock(2),
        InputKind::EpochEnd => Leaf::Clock(3),
        InputKind::Epochs => Leaf::Clock(4),
        InputKind::StepsPerEpoch => Leaf::Clock(5),
        InputKind::TotalSteps => Leaf::Clock(6),
        InputKind::Port(_) => Leaf::Placed,
        InputKind::Param => stored(StoreKind::Param),
        InputKind::State => stored(StoreKind::State),
        InputKind::Input | InputKind::Target => {
            let feed = feeds.iter().position(|feed| feed.kind == kind && feed.name == *name);
            Leaf::Feed(feed.unwrap_or_else(|| panic!("internal: no feed for {name}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{SourceId, Span};
    use crate::ir::{DType, Graph, Node, Provenance, TensorType};
    use crate::ops::{Constant, Scalar};
    use crate::plan::Buffer;

    /// Tables of buffers of floats at these offsets and of these lengths, without steps.
    fn tables(buffers: &[(usize, usize)]) -> Tables<f32> {
        let ty = TensorType::scalar(DType::F32);
        let provenance = Provenance { name: "x".into(), span: Span::new(SourceId::NOWHERE, 0, 0) };
        let op = Constant { value: Scalar(0.0), ty: ty.clone() }.into();
        let node = Graph::new().push(Node { op, ty, provenance }, &[]);
        let buffer = |&(offset, len)| {
            let place = Place::Arena { offset };
            Buffer { storage: Storage::Float, len, place, node, is_bool: false }
        };
        let buffers = buffers.iter().map(buffer).collect();
        let plan = Plan { buffers, steps: Vec::new(), outputs: Vec::new(), float_len: 10, int_len: 0 };
        Tables::new(&plan, &[], 4, &[], &[]).unwrap()
    }

    fn refuses<R>(act: impl FnOnce() -> R + std::panic::UnwindSafe) -> bool {
        std::panic::catch_unwind(act).is_err()
    }

    #[test]
    fn what_a_step_writes_is_apart_from_what_it_reads() {
        let [a, b, c, empty] = [0, 1, 2, 3].map(BufferId);
        let make = || tables(&[(0, 4), (4, 4), (3, 2), (2, 0)]);
        let mut apart = make();
        let memory = apart.step([a, empty], b);
        memory.write.floats().fill(1.0);
        assert_eq!(memory.reads[0].floats(), [0.0; 4]);
        assert_eq!(apart.read(c).floats(), [0.0, 1.0]);
        assert_eq!(apart.step([a], empty).write.floats().len(), 0);
        for (read, write) in [(a, a), (a, c), (c, a), (b, c), (c, b)] {
            assert!(refuses(move || make().step([read], write).write.floats().len()), "{read:?} {write:?}");
            assert!(refuses(move || make().copy(make().address(read), make().address(b))) || read != c);
        }
        assert!(refuses(move || make().step([a], b).write.ints().len()));
        assert!(refuses(move || make().read(a).ints().len()));
    }

    #[test]
    #[cfg(debug_assertions)]
    fn a_group_writes_over_a_whole_operand_or_none() {
        let [a, b, c] = [0, 1, 2].map(BufferId);
        let make = || tables(&[(0, 4), (4, 4), (3, 2)]);
        make().group(&[(a, false), (b, false)], &[b]);
        for (read, write) in [(a, c), (c, a), (b, c)] {
            assert!(refuses(move || make().group(&[(read, false)], &[write]).workspace.len()));
            assert!(refuses(move || make().group(&[], &[read, write]).workspace.len()));
        }
    }

    #[test]
    fn places_have_the_length_of_their_buffers() {
        let [a, c, outside] = [0, 1, 2].map(BufferId);
        let make = || tables(&[(0, 4), (3, 2), (8, 3)]);
        assert!(refuses(move || make().place(c, make().address(a))));
        assert!(refuses(move || make().address(a).part(0, 3)));
        assert!(refuses(move || make().address(a).part(2, 2)));
        let mut it = make();
        it.place(c, it.address(a).part(1, 2));
        assert_eq!(it.read(c).floats().len(), 2);
        // A buffer beyond the arena has no elements.
        assert_eq!(it.read(outside).floats().len(), 0);
    }
}
