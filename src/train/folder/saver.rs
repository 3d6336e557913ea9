//! The thread that writes checkpoints while training goes on.

use super::checkpoints::{Common, Positions, Snapshot, prune, write};
use crate::ops::Element;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// What is to be written: states in their order, and the logs that they speak of.
#[derive(Debug)]
struct Job<T> {
    snapshots: Vec<Snapshot<T>>,
    logs: Vec<File>,
}

/// Writes checkpoints, one job at a time.
#[derive(Debug)]
pub(super) struct Saver<T: Element> {
    jobs: Option<Sender<Job<T>>>,
    results: Receiver<io::Result<()>>,
    thread: Option<JoinHandle<()>>,
    is_busy: bool,
}

impl<T: Element> Saver<T> {
    pub fn new(run: PathBuf, common: Common, keep: u32) -> Self {
        let (jobs, orders) = channel::<Job<T>>();
        let (answers, results) = channel();
        let work = move || {
            for job in orders {
                if answers.send(save(&run, &job, &common, keep)).is_err() {
                    break;
                }
            }
        };
        Self { jobs: Some(jobs), results, thread: Some(std::thread::spawn(work)), is_busy: false }
    }

    /// Whether a job is being worked on; a job that failed since this was asked is an error.
    pub fn is_busy(&mut self) -> io::Result<bool> {
        if self.is_busy
            && let Ok(result) = self.results.try_recv()
        {
            self.is_busy = false;
            result?;
        }
        Ok(self.is_busy)
    }

    /// Waits until nothing is being worked on.
    ///
    /// # Errors
    /// Those of the job.
    pub fn wait(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.is_busy) {
            return Ok(());
        }
        self.results.recv().unwrap_or_else(|_| Err(gone()))
    }

    /// Begins a job. The logs are made to last before the states that speak of them.
    ///
    /// # Errors
    /// Those of the job before.
    pub fn save(&mut self, snapshots: Vec<Snapshot<T>>, logs: Vec<File>) -> io::Result<()> {
        self.wait()?;
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Job { snapshots, logs }).map_err(|_| gone())?;
        self.is_busy = true;
        Ok(())
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that writes checkpoints has ended")
}

fn save<T: Element>(run: &std::path::Path, job: &Job<T>, common: &Common, keep: u32) -> io::Result<()> {
    job.logs.iter().try_for_each(File::sync_all)?;
    job.snapshots.iter().try_for_each(|snapshot| write(run, snapshot, common))?;
    prune(run, keep)
}

impl<T: Element> Drop for Saver<T> {
    /// What was begun is finished.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Positions {
    /// Where the logs stand.
    pub fn of(history: &super::logs::Log, steps: &super::logs::Log) -> Self {
        Self { history: history.len(), steps: steps.len() }
    }
}
