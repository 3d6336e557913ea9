//! The spec and the files that it uses, as a run keeps them: beside each other as they stood, so that they compile from there.

use super::layout::{CONFIG_FILE, SPEC_FOLDER};
use crate::data::files::parent;
use crate::train::config::RunConfig;
use crate::train::hash::hash_texts;
use std::path::{Component, Path, PathBuf};

/// The texts of a spec by their paths, the spec's own first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecTexts(Vec<(PathBuf, String)>);

impl SpecTexts {
    /// The spec alone.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self(vec![(path.into(), text.into())])
    }

    /// Adds a file that the spec uses, by the path that it was read by.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        self.0.push((path.into(), text.into()));
        self
    }

    /// Whether the file that is read by a path is there.
    #[must_use]
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.0.iter().any(|(known, _)| known == path.as_ref())
    }

    /// The spec's own text.
    pub fn spec(&self) -> &str {
        self.0.first().map_or("", |(_, text)| text)
    }

    /// The hash by which a run's record knows them.
    pub fn hash(&self) -> String {
        hash_texts(self.0.iter().map(|(_, text)| text.as_str()))
    }

    /// The texts by the names that they have in a run's folder: as they stand to each other.
    pub(super) fn placed(&self) -> Vec<(String, &str)> {
        let paths: Vec<Vec<String>> = self.0.iter().map(|(path, _)| plain(path)).collect();
        let n_shared = shared(&paths);
        let name = |path: &Vec<String>| format!("{SPEC_FOLDER}/{}", path[n_shared..].join("/"));
        paths.iter().map(name).zip(self.0.iter().map(|(_, text)| text.as_str())).collect()
    }

    /// The run's config, to stand in its folder: its spec is the copy there, other paths lead out of it.
    pub(super) fn config(&self, config: &RunConfig, folder: &Path) -> String {
        let spec = self.placed().first().map_or_else(String::new, |(name, _)| name.clone());
        let from = absolute(folder);
        let name = |path: &Path| {
            if path == config.spec {
                return PathBuf::from(&spec);
            }
            if path == config.output {
                // The folder itself, by a name that a further run can put a number to.
                return Path::new("..").join(folder.file_name().unwrap_or_default());
            }
            way(&from, path)
        };
        let nameless = "# It names no data: say where that is, and for how many epochs, `--epochs N --data-changed`\n";
        let note = if config.train.is_some() { "" } else { nameless };
        format!(
            "# anabranch run --resume RUN, where RUN is the folder of this file ({CONFIG_FILE})\n{note}{}",
            config.to_yaml(&name)
        )
    }
}

/// The way from a folder to a file; the file's own path where they share no folder.
fn way(from: &Path, to: &Path) -> PathBuf {
    let target = absolute(parent(to)).join(to.file_name().unwrap_or_default());
    let n_shared = from.components().zip(target.components()).take_while(|(a, b)| a == b).count();
    let is_apart =
        from.components().zip(target.components()).take(n_shared).all(|(a, _)| !matches!(a, Component::Normal(_)));
    if is_apart {
        return target;
    }
    let up = from.components().skip(n_shared).map(|_| Component::ParentDir);
    up.chain(target.components().skip(n_shared)).collect()
}

/// Where a folder is, links followed where it is there.
fn absolute(folder: &Path) -> PathBuf {
    folder.canonicalize().or_else(|_| std::path::absolute(folder)).unwrap_or_else(|_| folder.to_path_buf())
}

/// The names on a path, `.` and, where that can be said, `..` resolved; a leading `..` becomes a name of its own.
fn plain(path: &Path) -> Vec<String> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut names: Vec<String> = Vec::new();
    for component in absolute.components() {
        match component {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => drop(names.pop()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    names
}

/// How many folders at the beginning all paths share.
fn shared(paths: &[Vec<String>]) -> usize {
    let Some(first) = paths.first() else { return 0 };
    let shares = |at: &usize| paths.iter().all(|path| *at + 1 < path.len() && path[*at] == first[*at]);
    (0..first.len()).take_while(shares).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&str]) -> Vec<String> {
        let texts = SpecTexts(paths.iter().map(|path| (PathBuf::from(path), String::new())).collect());
        texts.placed().into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn texts_stand_to_each_other_as_they_did() {
        assert_eq!(names(&["models/a.anb"]), ["spec/a.anb"]);
        assert_eq!(names(&["/x/models/a.anb", "/x/models/lib/b.anb"]), ["spec/a.anb", "spec/lib/b.anb"]);
        assert_eq!(names(&["models/a.anb", "shared/b.anb"]), ["spec/models/a.anb", "spec/shared/b.anb"]);
        assert_eq!(names(&["models/a.anb", "models/../b.anb"]), ["spec/models/a.anb", "spec/b.anb"]);
        assert_eq!(names(&["a.anb", "../b.anb"])[1], "spec/b.anb");
    }

    #[test]
    fn a_way_leads_from_the_folder_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        std::fs::create_dir_all(at("runs/one")).unwrap();
        assert_eq!(way(&at("runs/one"), &at("data/d.csv")), Path::new("../../data/d.csv"));
        let elsewhere = Path::new("/a-folder-that-is-nowhere/d.csv");
        assert_eq!(way(&at("runs/one"), elsewhere), elsewhere, "nothing is shared");
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        assert_eq!(way(&here.join("runs/one"), Path::new("src/d.csv")), Path::new("../../src/d.csv"));
        assert_eq!(way(&here.join("src"), Path::new("src/d.csv")), Path::new("d.csv"));
    }
}
