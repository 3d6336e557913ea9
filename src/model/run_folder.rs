//! Sessions and the folders of runs: a session is written as one, and goes on from one.

use super::compiler::{Compiler, Model};
use super::error::Error;
use super::files;
use super::session::{Engine, Past, Session, SessionOptions, Typed, either};
use crate::diag::{Diagnostics, SourceMap};
use crate::lower::Options;
use crate::train::columns::{Fit, fit_columns};
use crate::train::config::{self, RunConfig};
use crate::train::{Earlier, Ending, Plan, SavedProgram, Settings, SpecTexts};
use crate::train::{history_of, overrides, replayed, save_trained};
use std::path::Path;
use std::sync::Arc;

/// What a session that was never fitted would be fitted by.
const SETTINGS: Settings = Settings {
    epochs: 0,
    batch_size: 32,
    shuffle: Some(0),
    drop_last: false,
    monitor: None,
    evaluate_every: 1,
    on_nan: crate::train::OnNan::Stop,
};

impl Model {
    /// The texts that it was compiled from.
    pub(super) fn spec_texts(&self) -> SpecTexts {
        let texts = self.texts.iter();
        texts.fold(SpecTexts::default(), |texts, (path, text)| texts.with(path, &**text))
    }
}

/// The config of a run's folder and its spec, compiled for what was fitted to the columns of its data.
fn compiled(folder: &Path, fitted: Option<Fit>) -> Result<(RunConfig, Model), Error> {
    let mut sources = SourceMap::default();
    let read = replayed(folder).map_err(Diagnostics::from);
    let read = read.and_then(|(path, _)| {
        let config = config::read(&path, &mut sources)?;
        let spec = files::read_text(&mut sources, &config.spec, Some(config.spec_span))?;
        Ok((config, spec))
    });
    let (config, spec) = match read {
        Ok(read) => read,
        Err(findings) => return Err(Error::new(findings, &Arc::new(sources))),
    };
    let mut options = overrides(&config, Options::default());
    if let Some(Fit { encodings, decode, .. }) = fitted {
        (options.encodings, options.decode) = (encodings, decode);
    }
    let model = Compiler::of(options).finish(sources, (spec, &config.spec), &files::read_used)?;
    Ok((config, model))
}

impl Session {
    /// Writes the folder of a run, as `anabranch run` does: the spec, the programs, the history, params and states. `predict`,
    /// `evaluate`, `export` and all else that reads such a folder does so, and `run --resume` goes on from it once its config says
    /// where the data is. A run that is there already makes way when `replaces` is true.
    ///
    /// # Errors
    /// E0605 when something else stands there, a run is there that is not to be replaced, or nothing can be written.
    pub fn save_run(&self, folder: impl AsRef<Path>, replaces: bool) -> Result<(), Error> {
        let earlier = if replaces { Earlier::Replace } else { Earlier::Keep };
        let (config, texts) = (self.config(), self.model.spec_texts());
        let Past { history, best, stopped_early, .. } = &self.past;
        let ending = Ending { history: history.clone(), best: best.clone(), stopped_early: *stopped_early };
        let plan = Plan { compiled: &self.model.compiled, config: &config, texts: &texts, options: &self.options };
        either!(&self.typed, running => save_trained(folder.as_ref(), earlier, &plan, &running.trainer, &ending))
            .map_err(|findings| self.model.error(findings))
    }

    /// Goes on from the folder of a run, which `anabranch run` or [`Session::save_run`] wrote: with its spec, constants, precision
    /// and seed, its params and states, and its history. Its data is read only where the run encodes columns of it, to know how wide
    /// they are; the figures are those of the run.
    ///
    /// # Errors
    /// E0601, E0602, E0606 and E0608 when the folder is none or broken; what is wrong with its spec; E0701 and E0702. Where columns are
    /// encoded, also those of fitting to them.
    pub fn open_run(folder: impl AsRef<Path>, engine: Engine, threads: usize) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let (mut config, mut model) = compiled(folder, None)?;
        let fitted = fit_columns(&model.compiled, &mut config).map_err(|findings| model.error(findings))?;
        if !fitted.encodings.is_empty() {
            model = compiled(folder, Some(fitted))?.1;
        }
        let options = SessionOptions { precision: config.precision, seed: config.seed, threads, engine };
        let mut session = Self::new(&model, &options)?;
        let [_, params] = SavedProgram::files(folder);
        session.load(params)?;
        session.past.history = either!(&session.typed, running => history_of(folder, &running.trainer));
        session.past.config = Some(Box::new(config));
        Ok(session)
    }

    /// What a run would be decided by that did the same.
    fn config(&self) -> RunConfig {
        let spec_span = crate::diag::Span::new(self.model.spec, 0, 0);
        let spec = self.model.texts.first().map_or(Path::new("spec.anb"), |(path, _)| path);
        let settings = self.past.settings.clone();
        match &self.past.config {
            Some(config) => {
                let mut config = RunConfig::clone(config);
                settings.into_iter().for_each(|settings| config.take(settings));
                config
            }
            None => {
                let settings = settings.unwrap_or(SETTINGS);
                let mut config = RunConfig::in_memory((spec, spec_span), self.seed(), self.precision(), settings);
                let options = &self.model.options;
                config.set_all(options.overrides.clone());
                (config.frozen, config.observe) = (options.frozen.clone(), options.observe);
                config
            }
        }
    }
}
