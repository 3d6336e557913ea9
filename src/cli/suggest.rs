//! `anabranch suggest`

use super::progress::number;
use super::run::ExecutionArguments;
use super::spec::{SetArguments, compile_config};
use super::{Outcome, Session};
use crate::diag::Diagnostics;
use crate::lower::Options;
use crate::model::Table;
use crate::ops::Element;
use crate::pipeline::Compiled;
use crate::train::config::{self, Precision, RunConfig};
use crate::train::{Advice, OBSERVED, Trouble, advise, load_data, look, overrides};
use clap::Args;
use std::fmt::Write as _;
use std::path::PathBuf;

const NOTES: &str = "\
Nothing is written. The run is made in memory, as `run` would make it, and seen as `observe: [weights, norms, cosines]` shows it.
Figures are of the steps in which all losses are still being learned.

Examples:
  anabranch suggest run.yaml
  anabranch suggest run.yaml --steps 1000 --set width=256";

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The run config, a YAML file
    #[arg(value_name = "CONFIG")]
    config: PathBuf,

    /// Train for so many steps
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,

    /// Take this seed instead
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    #[command(flatten)]
    execution: ExecutionArguments,

    #[command(flatten)]
    set: SetArguments,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let mut config = config::read(&arguments.config, &mut session.sources)?;
    config.seed = arguments.seed.unwrap_or(config.seed);
    // However long the run itself would be.
    config.epochs = config.epochs.max(1);
    let options = Options { observe: OBSERVED, ..overrides(&config, arguments.set.options()) };
    let (compiled, _) = compile_config(session, &mut config, &options)?;
    let text = match config.precision {
        Precision::F32 => text_of::<f32>(arguments, &compiled, &config, session)?,
        Precision::F64 => text_of::<f64>(arguments, &compiled, &config, session)?,
    };
    session.console.print(&text)?;
    Ok(())
}

fn text_of<T: Element>(
    arguments: &Arguments,
    compiled: &Compiled,
    config: &RunConfig,
    session: &Session,
) -> Result<String, Diagnostics> {
    let data = load_data(compiled, config)?;
    session.console.findings(&data.findings, &session.sources);
    let options = arguments.execution.options(data.bytes());
    let seen = look::<T>(compiled, config, &data, &options, arguments.steps)?;
    let advice: Vec<Advice> = seen.iter().filter_map(advise).collect();
    if advice.is_empty() {
        return Ok("nothing to weigh: no objective has two losses that train the same params\n".to_string());
    }
    // What looks at gradients already is not to be replaced by the like.
    let looks_at_gradients = !compiled.module.gramians.is_empty() || !compiled.module.directions.is_empty();
    let texts: Vec<String> = advice.iter().map(|advice| told(advice, looks_at_gradients)).collect();
    Ok(texts.join("\n"))
}

/// The figures of an objective as tables, and what follows from them.
fn told(advice: &Advice, looks_at_gradients: bool) -> String {
    let Advice { objective, losses, pairs, alignment, n_steps, .. } = advice;
    let mut text = format!("{objective}: {n_steps} steps\n\n");
    let mut table = Table::new(["loss", "first", "last", "weight", "gradient", "applied"].map(str::to_string).to_vec());
    for loss in losses {
        let numbers = [loss.first, loss.last, loss.weight, loss.norm, loss.applied].map(number);
        table.push(std::iter::once(loss.name.clone()).chain(numbers).collect());
    }
    text += &table.to_text(1);
    let mut table = Table::new(["losses", "cosine", "against"].map(str::to_string).to_vec());
    for pair in pairs {
        let names = format!("{}, {}", losses[pair.losses.0].name, losses[pair.losses.1].name);
        table.push(vec![names, format!("{:.2}", pair.cosine), format!("{:.0} %", 100.0 * pair.against)]);
    }
    let _ = write!(text, "\n{}\nalignment {alignment:.2}\n\n", table.to_text(1));
    for trouble in &advice.troubles {
        text += &trouble_text(advice, *trouble, looks_at_gradients);
    }
    if advice.troubles.is_empty() {
        let _ = writeln!(
            text,
            "no trouble: applied gradients are within {:.1} times of each other, and no pair pulls against each other for long; \
             leave the weights as they are",
            advice.ratio
        );
    }
    text
}

fn trouble_text(advice: &Advice, trouble: Trouble, looks_at_gradients: bool) -> String {
    let losses = &advice.losses;
    match trouble {
        Trouble::Magnitude => {
            let (hardest, least) = advice.extremes;
            let mut text = format!(
                "magnitude: `{}` pulls {:.0} times as hard as `{}`\n",
                losses[hardest].name, advice.ratio, losses[least].name
            );
            if let Some(weights) = &advice.weights {
                let weights: Vec<String> = weights.iter().map(ToString::to_string).collect();
                let call = format!("weighted({}, weights=[{}])", names(advice), weights.join(", "));
                let _ = writeln!(text, "  try fixed weights: loss {} = {call}", advice.objective);
            }
            text
        }
        Trouble::Moving => {
            let mut text = format!(
                "moving: gradients moved against each other by a factor of {:.0}, so no fixed weights hold\n",
                advice.drift
            );
            if let Some("uncertainty") = advice.method {
                text += &method_text(advice, "uncertainty");
            }
            text
        }
        Trouble::Direction => {
            let worst = advice.pairs.iter().min_by(|a, b| a.cosine.total_cmp(&b.cosine));
            let Some(worst) = worst else { return String::new() };
            let (one, other) = (&losses[worst.losses.0].name, &losses[worst.losses.1].name);
            let mut text = format!(
                "direction: `{one}` and `{other}` pull against each other on {:.0} % of the steps, at a cosine of {:.2}\n",
                100.0 * worst.against,
                worst.cosine
            );
            match advice.method {
                _ if looks_at_gradients => {
                    text += "  the combiner looks at gradients already; where losses cannot all fall, weights choose the compromise\n";
                }
                Some(method) => text += &method_text(advice, method),
                None => {}
            }
            text
        }
    }
}

fn method_text(advice: &Advice, method: &str) -> String {
    format!("  try a method: loss {} = {method}({})\n", advice.objective, names(advice))
}

fn names(advice: &Advice) -> String {
    advice.losses.iter().map(|loss| loss.name.as_str()).collect::<Vec<_>>().join(", ")
}
