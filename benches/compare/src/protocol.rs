//! The lines that a process under test and the runner exchange.
//!
//! The process prints one JSON line when ten steps are done (`losses`, `first_step_at` in seconds since 1970), then answers
//! each number of seconds on standard input with the quantiles of single step times in milliseconds, and an empty line
//! with its peak of memory.

use crate::{now, quantile};
use serde_json::{Value, json};
use std::error::Error;
use std::io::BufRead;
use std::time::{Duration, Instant};

/// Runs steps as the runner asks for them. A step gives its loss.
///
/// # Errors
/// Those of the steps and of standard input.
pub fn serve(
    engine: &str,
    workload: &str,
    mut step: impl FnMut() -> Result<f64, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let (mut losses, mut first) = (Vec::new(), 0.0);
    for i in 0..10 {
        losses.push(step()?);
        first = if i == 0 { now() } else { first };
    }
    println!("{}", json!({"engine": engine, "workload": workload, "first_step_at": first, "losses": losses}));
    step()?;
    for line in std::io::stdin().lock().lines() {
        let Ok(seconds) = line?.trim().parse::<f64>() else { break };
        println!("{}", burst(Duration::from_secs_f64(seconds), &mut step)?);
    }
    println!("{}", json!({"peak_mb": peak_mb()?}));
    Ok(())
}

fn burst(length: Duration, step: &mut impl FnMut() -> Result<f64, Box<dyn Error>>) -> Result<Value, Box<dyn Error>> {
    let mut times = Vec::with_capacity(1 << 17);
    let start = Instant::now();
    while times.is_empty() || start.elapsed() < length && times.len() < 1 << 17 {
        let before = Instant::now();
        step()?;
        times.push(before.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |part| quantile(&times, part);
    Ok(json!({"p50": at(0.5), "p10": at(0.1), "p90": at(0.9), "least": at(0.0), "n": times.len()}))
}

fn peak_mb() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM")).ok_or("no peak of memory")?;
    Ok(line.split_whitespace().nth(1).ok_or("no peak of memory")?.parse::<f64>()? / 1024.0)
}
