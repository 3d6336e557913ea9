//! Tasks on threads.

use anabranch_kernels::Pool;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[test]
fn every_task_runs_once() {
    for threads in [0, 1, 2, 3] {
        let pool = Pool::new(threads);
        for tasks in [0, 1, 2, 7, 100] {
            for _ in 0..50 {
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(tasks, &|task| {
                    counts[task].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }
}

#[test]
fn runs_after_a_pause_and_runs_in_runs_work() {
    let pool = Pool::new(2);
    let total = AtomicUsize::new(0);
    for _ in 0..3 {
        thread::sleep(std::time::Duration::from_millis(5));
        pool.run(4, &|_| {
            pool.run(5, &|_| {
                total.fetch_add(1, Ordering::Relaxed);
            });
        });
    }
    assert_eq!(total.load(Ordering::Relaxed), 60);
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
    let pool = Pool::new(2);
    for bad in 0..8 {
        let outcome = catch_unwind(AssertUnwindSafe(|| pool.run(8, &|task| assert_ne!(task, bad))));
        let panic = outcome.unwrap_err();
        let text = panic.downcast_ref::<String>().expect("that of the assertion");
        assert!(text.contains(&format!("right: {bad}")), "{text}");
    }
    let total = AtomicUsize::new(0);
    pool.run(8, &|task| {
        total.fetch_add(task, Ordering::Relaxed);
    });
    assert_eq!(total.load(Ordering::Relaxed), 28);
}

#[test]
fn two_callers_share_a_pool() {
    let pool = Pool::new(2);
    let total = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..200 {
                    pool.run(3, &|_| {
                        total.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
        }
    });
    assert_eq!(total.load(Ordering::Relaxed), 1200);
}
