//! A folder with a spec, a config and data, and the binary run in it.

use anabranch::data::{NumbersRef, TensorRef, write_npz};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub struct Project(TempDir);

impl Project {
    /// With a spec `model.anb` and a config `run.yaml`.
    pub fn new(spec: &str, config: &str) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        project.write("model.anb", spec);
        project.write("run.yaml", config);
        project
    }

    pub fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn arrays(&self, name: &str, arrays: &[(&str, &[usize], &[f32])]) {
        let tensors: Vec<TensorRef<'_>> = arrays
            .iter()
            .map(|(name, shape, values)| TensorRef { name, shape, values: NumbersRef::F32(values) })
            .collect();
        write_npz(&self.path(name), &tensors).unwrap();
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_anabranch")).args(arguments).current_dir(self.folder()).output().unwrap()
    }

    /// What a command that goes well prints.
    #[track_caller]
    pub fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {message}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The message of a command that fails by the user's mistake. The same files are there after it.
    #[track_caller]
    pub fn fails(&self, arguments: &[&str]) -> String {
        let before = self.entries();
        let output = self.run(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert_eq!(self.entries(), before, "{arguments:?}: a failed command leaves nothing behind");
        message
    }

    pub fn entries(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// An array of an `.npz` file, by the reader of another crate.
    pub fn array(&self, file: &str, name: &str) -> (Vec<usize>, Vec<f32>) {
        let mut archive = ndarray_npy::NpzReader::new(std::fs::File::open(self.path(file)).unwrap()).unwrap();
        let array: ndarray::ArrayD<f32> = archive.by_name(name).unwrap();
        (array.shape().to_vec(), array.iter().copied().collect())
    }
}

/// `0/n, 1/n, …`
pub fn ramp(n: usize) -> Vec<f32> {
    (0..n).map(|at| at as f32 / n as f32).collect()
}
