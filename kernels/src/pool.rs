//! Threads that wait for numbered tasks.
//!
//! `Pool::run(tasks, f)` calls `f(0)..f(tasks - 1)`, each exactly once, on the calling thread and the workers, and
//! returns when all have returned. Which thread takes which task is left open, so a caller that wants results free of
//! the thread count splits its work by shape and never by thread.
//!
//! A run allocates nothing and takes no lock: one word, the gate, says whether there is a job to join and how many
//! workers are inside. The caller closes the gate when no task is left and waits only for the workers inside, so a
//! worker that is slow to wake delays nobody. Idle workers spin for some microseconds, since a training step has many
//! parallel regions close together, then park.
//!
//! A run inside a run, or from a second thread while one is under way, does its tasks on the calling thread.

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, Thread};

/// How many times an idle worker looks at the gate before it parks: some tens of microseconds.
const IDLE_SPINS: u32 = 2_000;
/// How many times the caller looks before it offers its core to a worker that was interrupted.
const JOIN_SPINS: u32 = 20_000;

/// The gate's bits: the workers inside, whether it is open, and the number of the run.
const INSIDE: u64 = 0xffff_ffff;
const OPEN: u64 = 1 << 32;
const RUN: u64 = 1 << 33;
const CLOSING: u64 = OPEN | INSIDE;

/// The tasks of a run, with their lifetime erased: the gate says how long they may be used.
#[derive(Clone, Copy)]
struct Job {
    function: *const (dyn Fn(usize) + Sync),
    tasks: usize,
}

struct Shared {
    gate: AtomicU64,
    next: AtomicUsize,
    job: UnsafeCell<Option<Job>>,
    busy: AtomicBool,
    stop: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `job` is written only by the thread that holds `busy`, while the gate is closed and no worker is inside; it
// is read only by workers inside. What it points at is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: the pointer in `job` is used only during the run that set it.
unsafe impl Send for Shared {}

struct Worker {
    parked: Arc<AtomicBool>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

/// A team of threads; the calling thread is one of them.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<Worker>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("threads", &self.threads()).finish()
    }
}

impl Pool {
    /// Starts `threads - 1` workers; 0 and 1 both mean no worker. Where the system refuses a thread, the pool is
    /// smaller.
    pub fn new(threads: usize) -> Pool {
        let shared = Arc::new(Shared {
            gate: AtomicU64::new(0),
            next: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            busy: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            panic: Mutex::new(None),
        });
        let mut workers = Vec::new();
        for index in 1..threads {
            let parked = Arc::new(AtomicBool::new(false));
            let (shared, flag) = (Arc::clone(&shared), Arc::clone(&parked));
            let spawned = thread::Builder::new().name(format!("anabranch-{index}")).spawn(move || work(&shared, &flag));
            match spawned {
                Ok(handle) => workers.push(Worker { parked, thread: handle.thread().clone(), handle: Some(handle) }),
                Err(_) => break,
            }
        }
        Pool { shared, workers }
    }

    /// The calling thread and the workers.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// How many tasks to make of a long loop: several a thread, so that the others do not wait for one that the system
    /// holds up. One without workers.
    pub fn several(&self) -> usize {
        if self.workers.is_empty() { 1 } else { 4 * self.threads() }
    }

    /// Calls `function` once for each of `0..tasks` and returns when all calls have returned.
    ///
    /// # Panics
    /// Passes on the first panic of a task, after the others have ended.
    pub fn run(&self, tasks: usize, function: &(dyn Fn(usize) + Sync)) {
        if tasks <= 1 || self.workers.is_empty() || self.shared.busy.swap(true, Ordering::Acquire) {
            return (0..tasks).for_each(function);
        }
        self.open(tasks, function);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.shared.take_tasks(tasks, function)));
        if outcome.is_err() {
            self.shared.next.store(tasks, Ordering::Relaxed);
        }
        self.close();
        let panic = self.shared.panic.lock().map_or(None, |mut slot| slot.take());
        self.shared.busy.store(false, Ordering::Release);
        if let Some(payload) = outcome.err().or(panic) {
            resume_unwind(payload);
        }
    }

    /// Calls `function(slot, chunk)` once for each of `0..chunks`. Chunks of one slot, below the number of threads, follow
    /// one another, so a slot may have memory of its own. Threads take the next chunk when they are done with one: more
    /// chunks than threads even out threads that the system holds up.
    ///
    /// # Panics
    /// As [`Pool::run`].
    pub fn share(&self, chunks: usize, function: &(dyn Fn(usize, usize) + Sync)) {
        let slots = self.threads().min(chunks);
        if slots <= 1 {
            return (0..chunks).for_each(|chunk| function(0, chunk));
        }
        let next = AtomicUsize::new(0);
        self.run(slots, &|slot| {
            loop {
                let chunk = next.fetch_add(1, Ordering::Relaxed);
                if chunk >= chunks {
                    return;
                }
                function(slot, chunk);
            }
        });
    }

    fn open(&self, tasks: usize, function: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime changes; `close` returns only when no worker can use the reference any more.
        let function = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync + 'static)>(function)
        };
        // SAFETY: this thread holds `busy`, the gate is closed and nobody is inside.
        unsafe { *self.shared.job.get() = Some(Job { function, tasks }) };
        self.shared.next.store(0, Ordering::Relaxed);
        let closed = self.shared.gate.load(Ordering::Relaxed);
        // Sequentially consistent with the flag below: either the worker sees the gate or this thread sees the flag.
        self.shared.gate.store((closed & !CLOSING).wrapping_add(RUN) | OPEN, Ordering::SeqCst);
        for worker in self.workers.iter().take(tasks - 1) {
            if worker.parked.load(Ordering::SeqCst) && worker.parked.swap(false, Ordering::SeqCst) {
                worker.thread.unpark();
            }
        }
    }

    fn close(&self) {
        self.shared.gate.fetch_and(!OPEN, Ordering::AcqRel);
        let mut spins = 0u32;
        while self.shared.gate.load(Ordering::Acquire) & INSIDE != 0 {
            spins += 1;
            if spins.is_multiple_of(JOIN_SPINS) {
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for worker in &mut self.workers {
            worker.thread.unpark();
            if let Some(handle) = worker.handle.take() {
                // A worker catches every panic of a task, so there is nothing to learn from the result.
                let _ = handle.join();
            }
        }
    }
}

impl Shared {
    fn take_tasks(&self, tasks: usize, function: &(dyn Fn(usize) + Sync)) {
        loop {
            let task = self.next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return;
            }
            function(task);
        }
    }

    /// Enters the run if the gate is open and it is not the run this worker has just left.
    fn enter(&self, last: u64) -> Option<u64> {
        let gate = self.gate.load(Ordering::SeqCst);
        let run = gate / RUN;
        let may_enter = gate & OPEN != 0 && run != last;
        (may_enter && self.gate.compare_exchange(gate, gate + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok())
            .then_some(run)
    }
}

fn work(shared: &Shared, parked: &AtomicBool) {
    let mut last = 0;
    let mut idle = 0u32;
    while !shared.stop.load(Ordering::SeqCst) {
        if let Some(run) = shared.enter(last) {
            last = run;
            idle = 0;
            // SAFETY: this worker is inside, so the job is set and outlives this use.
            if let Some(job) = unsafe { *shared.job.get() } {
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    // SAFETY: as above.
                    shared.take_tasks(job.tasks, unsafe { &*job.function })
                }));
                if let Err(payload) = outcome {
                    shared.next.store(job.tasks, Ordering::Relaxed);
                    if let Ok(mut slot) = shared.panic.lock() {
                        slot.get_or_insert(payload);
                    }
                }
            }
            shared.gate.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        idle += 1;
        if idle < IDLE_SPINS {
            std::hint::spin_loop();
            continue;
        }
        parked.store(true, Ordering::SeqCst);
        let gate = shared.gate.load(Ordering::SeqCst);
        let missed = gate & OPEN != 0 && gate / RUN != last;
        if !missed && !shared.stop.load(Ordering::SeqCst) {
            thread::park();
        }
        parked.store(false, Ordering::SeqCst);
        idle = 0;
    }
}
