//! An example's folder, ready to be trained and to predict.

use anabranch::data::{Dataset, Numbers};
use anabranch::diag::{SourceMap, Span, render_plain};
use anabranch::exec::ExecutorOptions;
use anabranch::lower::Options;
use anabranch::pipeline::{Compiled, compile};
use anabranch::train::config::RunConfig;
use anabranch::train::{
    Finished, Plan, Prediction, Predictor, RunData, SavedProgram, SpecTexts, config, load_data, overrides, run, save,
};
use std::ops::ControlFlow;
use std::path::Path;

pub struct Example {
    pub compiled: Compiled,
    pub config: RunConfig,
    text: String,
    span: Span,
}

impl Example {
    pub fn new(name: &str) -> Self {
        Self::by_config(name, "run.yaml")
    }

    pub fn by_config(name: &str, file: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        let mut sources = SourceMap::default();
        let config = config::read(&folder.join(file), &mut sources).unwrap();
        let text = std::fs::read_to_string(&config.spec).unwrap();
        let spec = sources.add(name, text.as_str());
        let compiled = compile(&mut sources, spec, &overrides(&config, Options::default()))
            .unwrap_or_else(|found| panic!("{}", render_plain(&found.0, &sources)));
        Self { compiled, config, text, span: Span::new(spec, 0, 0) }
    }

    pub fn data(&self) -> RunData {
        load_data(&self.compiled, &self.config).unwrap()
    }

    pub fn trained(&self) -> Finished<f32> {
        run(&self.compiled, &self.config, &self.data(), &ExecutorOptions::default(), &mut |_| ControlFlow::Continue(()))
            .unwrap()
    }

    /// An output for all rows at once, predicted from the folder that the run writes.
    pub fn predicted(&self, run: &Finished<f32>, data: &Dataset, output: &str) -> Prediction {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("run");
        let (texts, options) = (SpecTexts::new("model.anb", &*self.text), ExecutorOptions::default());
        let plan = Plan { compiled: &self.compiled, config: &self.config, texts: &texts, options: &options };
        save(&target, &plan, &self.data(), run).unwrap();
        let saved = SavedProgram::read(&target).unwrap();
        let mut predictor = Predictor::<f32>::open(&target, &saved, self.span, &ExecutorOptions::default()).unwrap();
        predictor.predict(data, u32::MAX).unwrap().swap_remove(output).unwrap()
    }
}

/// The rows of values, each of `width` elements.
pub fn rows(values: &Numbers, width: usize) -> Vec<Vec<f64>> {
    let flat: Vec<f64> = (0..values.len()).map(|at| values.get(at)).collect();
    flat.chunks(width).map(<[f64]>::to_vec).collect()
}

pub fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

pub fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}
