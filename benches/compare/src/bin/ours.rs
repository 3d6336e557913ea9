//! `ours WORKLOAD DATA_FOLDER [THREADS]`: anabranch on one workload, by the protocol of the peers.

use anabranch::diag::{SourceMap, render_plain};
use anabranch::exec::{Clock, Executor, ExecutorOptions, Store, StoreKind, Values};
use anabranch::ir::{DimSizes, Role};
use anabranch::lower::Options;
use anabranch::pipeline::compile;
use anabranch_compare::protocol::serve;
use anabranch_compare::{Workload, workload};
use ndarray::{ArrayD, IxDyn, OwnedRepr};
use ndarray_npy::NpzReader;
use std::error::Error;
use std::fs::File;
use std::io::BufReader;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (name, folder) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let threads = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let workload = workload(&name).ok_or("no such workload")?;
    let archive = NpzReader::new(BufReader::new(File::open(format!("{folder}/{name}.npz"))?))?;
    let mut training = Training::new(workload, archive, threads)?;
    let engine = if threads == 1 { "anabranch_1_thread" } else { "anabranch" };
    serve(engine, &name, || Ok(training.step()))
}

/// The whole data set of one feed.
enum Rows {
    Float(Vec<f32>),
    Int(Vec<i32>),
}

struct Training {
    executor: Executor<f32>,
    store: Store<f32>,
    rows: Vec<Rows>,
    batches: usize,
    step: usize,
    total: usize,
}

impl Training {
    fn new(workload: &Workload, mut archive: NpzReader<BufReader<File>>, threads: usize) -> Result<Self, Failure> {
        let mut sources = SourceMap::default();
        let id = sources.add(format!("{}.anb", workload.name), workload.spec);
        let compiled =
            compile(&mut sources, id, &Options::default()).map_err(|findings| render_plain(&findings.0, &sources))?;
        let sizes = DimSizes::from([("batch".into(), workload.batch)]);
        let options = ExecutorOptions { threads, ..ExecutorOptions::default() };
        let executor = Executor::<f32>::new(&compiled.simplified.train, &sizes, &options)
            .map_err(|findings| render_plain(&findings.0, &sources))?;
        if std::env::var_os("COMPARE_PLAN").is_some() {
            eprintln!("{}", executor.program().plan_text(workload.name));
        }
        let store = first_values(workload, &executor, &mut archive)?;
        let mut rows = Vec::new();
        for feed in executor.feeds() {
            let field = workload.fields.iter().find(|field| *field.1 == *feed.name).ok_or("an input without data")?;
            rows.push(read_rows(&mut archive, field.0)?);
        }
        let batch_len: usize = executor.feeds()[0].shape.iter().product();
        let whole = match &rows[0] {
            Rows::Float(values) => values.len(),
            Rows::Int(values) => values.len(),
        };
        let total = executor.fetch(Role::Loss, "total").ok_or("no loss is called total")?;
        Ok(Self { executor, store, rows, batches: whole / batch_len, step: 0, total })
    }

    /// One step; gives the loss.
    fn step(&mut self) -> f64 {
        let batch = self.step % self.batches;
        for (feed, rows) in self.rows.iter().enumerate() {
            match rows {
                Rows::Float(rows) => {
                    let to = self.executor.feed_float(feed).expect("a feed of floats");
                    to.copy_from_slice(&rows[batch * to.len()..][..to.len()]);
                }
                Rows::Int(rows) => {
                    let to = self.executor.feed_int(feed).expect("a feed of ints");
                    to.copy_from_slice(&rows[batch * to.len()..][..to.len()]);
                }
            }
        }
        self.executor.run(&mut self.store, Clock { step: self.step as i32, ..Clock::default() }).unwrap();
        self.step += 1;
        self.executor.scalar(self.total).unwrap()
    }
}

/// The rows of one feed: those of several arrays one after another where the name joins them with `+`.
fn read_rows(archive: &mut NpzReader<BufReader<File>>, names: &str) -> Result<Rows, Failure> {
    let mut floats = Vec::new();
    for name in names.split('+') {
        let key = format!("data/{name}");
        match archive.by_name::<OwnedRepr<f32>, IxDyn>(&key) {
            Ok(array) => {
                let values = array.into_raw_vec_and_offset().0;
                if floats.is_empty() {
                    floats = values;
                } else {
                    floats.extend_from_slice(&values);
                }
            }
            Err(_) => {
                return Ok(Rows::Int(archive.by_name::<OwnedRepr<i32>, IxDyn>(&key)?.into_raw_vec_and_offset().0));
            }
        }
    }
    Ok(Rows::Float(floats))
}

/// Params from the archive; everything else that is carried starts at 0.
fn first_values(
    workload: &Workload,
    executor: &Executor<f32>,
    archive: &mut NpzReader<BufReader<File>>,
) -> Result<Store<f32>, Failure> {
    let mut store = Store::zeros(executor.carried())?;
    for param in executor.carried().iter().filter(|carried| carried.kind == StoreKind::Param) {
        let key = workload.params.iter().find(|(_, name)| **name == *param.name);
        let key = key.ok_or_else(|| format!("no first value for {}", param.name))?.0;
        let array: ArrayD<f32> = archive.by_name(&format!("param/{key}"))?;
        store.set(StoreKind::Param, &param.name, Values::Float(array.into_raw_vec_and_offset().0))?;
    }
    Ok(store)
}
