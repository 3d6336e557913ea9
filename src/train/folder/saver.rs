//! The thread that waits for the disk while training goes on: it makes the files of a run's beginning last, and writes checkpoints.

use super::checkpoints::{Common, Positions, Snapshot, prune, write};
use crate::data::files::sync_files;
use crate::ops::Element;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

#[derive(Debug)]
enum Job<T> {
    /// files that are to outlive a power cut
    Sync(Vec<PathBuf>),
    /// states to be written in their order, and the logs that they speak of
    Save(Vec<Snapshot<T>>, Vec<File>),
}

/// Does one job at a time.
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
                let done = match &job {
                    Job::Sync(files) => sync_files(files),
                    Job::Save(snapshots, logs) => save(&run, snapshots, logs, &common, keep),
                };
                if answers.send(done).is_err() {
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

    /// Begins to write states. The logs are made to last before the states that speak of them.
    ///
    /// # Errors
    /// Those of the job before.
    pub fn save(&mut self, snapshots: Vec<Snapshot<T>>, logs: Vec<File>) -> io::Result<()> {
        self.begin(Job::Save(snapshots, logs))
    }

    /// Begins to make files last: before any state that is saved later.
    ///
    /// # Errors
    /// Those of the job before.
    pub fn sync(&mut self, files: Vec<PathBuf>) -> io::Result<()> {
        self.begin(Job::Sync(files))
    }

    fn begin(&mut self, job: Job<T>) -> io::Result<()> {
        self.wait()?;
        self.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
        self.is_busy = true;
        Ok(())
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that writes checkpoints has ended")
}

fn save<T: Element>(
    run: &Path,
    snapshots: &[Snapshot<T>],
    logs: &[File],
    common: &Common,
    keep: u32,
) -> io::Result<()> {
    logs.iter().try_for_each(File::sync_all)?;
    snapshots.iter().try_for_each(|snapshot| write(run, snapshot, common))?;
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
