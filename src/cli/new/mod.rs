//! `anabranch new`

mod data;

use super::{Outcome, Session};
use crate::data::Existing;
use crate::data::files::cannot_write;
use crate::diag::{Code, Diagnostic};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

const NOTES: &str = "\
Writes a folder with a spec (model.anb), a run config (run.yaml), data to replace by your own and a README.md. It runs as it
is: `anabranch run NAME/run.yaml`.

Examples:
  anabranch new flowers                        two heads on one trunk
  anabranch new prices --template tabular
  anabranch new heat --template pinn";

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The folder to make
    #[arg(value_name = "NAME")]
    name: PathBuf,

    /// What the project begins as
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    template: Template,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Template {
    /// a class and a number from one trunk, the trade-off between their losses trained
    #[default]
    TwoHeads,
    /// a number from a table of numbers and a category
    Tabular,
    /// a class from small images, by convolutions
    Images,
    /// a differential equation, solved by `grad` within a loss
    Pinn,
    /// a variational autoencoder of small images
    Vae,
    /// a class from sentences, by a recurrent layer
    Text,
}

macro_rules! texts {
    ($name:literal) => {
        (
            include_str!(concat!("templates/", $name, "/model.anb")),
            include_str!(concat!("templates/", $name, "/run.yaml")),
        )
    };
}

impl Template {
    /// The spec and the config.
    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::TwoHeads => texts!("two-heads"),
            Self::Tabular => texts!("tabular"),
            Self::Images => texts!("images"),
            Self::Pinn => texts!("pinn"),
            Self::Vae => texts!("vae"),
            Self::Text => texts!("text"),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
    }

    /// A prediction that shows what the model is for.
    fn prediction(self) -> String {
        let data = if matches!(self, Self::TwoHeads | Self::Tabular | Self::Text) { "data.csv" } else { "data.npz" };
        match self {
            Self::Vae => "anabranch predict runs/model --outputs sample --samples 16 -o samples.npz".to_string(),
            Self::Pinn => {
                "anabranch predict runs/model --data data.npz --columns point=validation/point -o solution.csv"
                    .to_string()
            }
            _ => format!("anabranch predict runs/model --data {data} -o predictions.csv"),
        }
    }
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let Arguments { name, template } = arguments;
    check_new(name)?;
    let (spec, config) = template.texts();
    std::fs::create_dir_all(name).map_err(|error| cannot_write(name, error))?;
    super::files::write_text(&name.join("model.anb"), Existing::Keep, spec)?;
    super::files::write_text(&name.join("run.yaml"), Existing::Keep, config)?;
    super::files::write_text(&name.join("README.md"), Existing::Keep, &readme(*template, name))?;
    data::write(*template, name)?;
    let run = name.join("run.yaml");
    session.console.print(&format!("wrote {}: try `anabranch run {}`\n", name.display(), run.display()))?;
    Ok(())
}

/// A folder that is not there, or is empty.
fn check_new(folder: &Path) -> Result<(), Diagnostic> {
    let found = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().map(|_| "a folder with files in it"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(_) => Some("something that is no folder"),
    };
    match found {
        None => Ok(()),
        Some(found) => Err(Diagnostic::error(Code::E0605, format!("cannot write the folder `{}`", folder.display()))
            .with_note(format!("found: {found}"))
            .with_note("expected: a new name, or an empty folder")),
    }
}

fn readme(template: Template, folder: &Path) -> String {
    let name = folder.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned());
    format!(
        "# {name}\n\nMade by `anabranch new {name} --template {}`.\n\n    anabranch run run.yaml\n    {}\n    anabranch evaluate runs/model --data {}\n    anabranch flow model.anb\n\n\
         `model.anb` is the model, `run.yaml` says how it is trained. The data are made up: put your own in their place and name them\nin `run.yaml`; `anabranch check run.yaml` says whether they fit.\n",
        template.name(),
        template.prediction(),
        match template {
            Template::Pinn => "data.npz --columns point=validation/point --columns exact=validation/exact",
            Template::TwoHeads | Template::Tabular | Template::Text => "data.csv",
            Template::Images | Template::Vae => "data.npz",
        },
    )
}
