//! Where a run may write its folder, and how it is put there.
//!
//! A folder is ours when it holds a [`Marker`], which lists the files that a run wrote. Only those files are ever replaced
//! or removed; whatever else lies in the folder stays, and a folder without a marker is not touched. An empty folder gets its
//! marker before anything else.
//!
//! A new folder is filled under a temporary name and renamed when it is whole. Into a folder that is there the files are
//! renamed one by one, between two markers: the first says that the folder is incomplete, so that a crash in between
//! is seen by who reads it, and mended by the next run.

use crate::data::files::{Existing, TEMPORARY, is_same_file, parent, sync_folder, write_whole};
use crate::diag::{Code, Diagnostic};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

pub(crate) const MARKER_FILE: &str = ".anabranch-run";

/// The layout of the folder.
const FORMAT: u32 = 1;

/// A longer marker is none of ours.
const LONGEST_MARKER: u64 = 64 * 1024;

/// What says that a folder is a run's, and which files in it are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    pub format: u32,
    /// tells runs apart
    pub id: String,
    /// whether all files are those of one run
    pub complete: bool,
    /// the files that runs wrote, as paths within the folder
    pub files: Vec<String>,
}

impl Marker {
    /// The marker of a folder; none where there is none.
    ///
    /// # Errors
    /// A reason in words, when there is something else of that name.
    pub fn read(folder: &Path) -> Result<Option<Self>, String> {
        let path = folder.join(MARKER_FILE);
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        if !found.is_file() || found.len() > LONGEST_MARKER {
            return Err(format!("its `{MARKER_FILE}` was not written by a run"));
        }
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let marker: Self =
            serde_json::from_str(&text).map_err(|error| format!("its `{MARKER_FILE}` is broken: {error}"))?;
        if marker.format != FORMAT {
            return Err(format!(
                "a run of another version of anabranch, whose folders have the format {}",
                marker.format
            ));
        }
        if let Some(file) = marker.files.iter().find(|file| !is_within(file)) {
            return Err(format!("its `{MARKER_FILE}` lists `{file}`, which is no file of a run"));
        }
        Ok(Some(marker))
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        write_whole(&folder.join(MARKER_FILE), Existing::Replace, |out| out.write_all(text.as_bytes()))
    }
}

/// Whether a listed path stays within its folder.
fn is_within(file: &str) -> bool {
    let path = Path::new(file);
    let is_plain = |component: Component<'_>| matches!(component, Component::Normal(_));
    file != MARKER_FILE && !file.is_empty() && path.components().all(is_plain)
}

/// The files of a run, ready in a folder of their own.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    /// the folder that holds them
    pub folder: &'a Path,
    /// their paths within it
    pub files: &'a [String],
    pub id: String,
}

/// What stands where a run is to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// nothing
    New,
    /// a folder in which runs wrote the listed files
    Folder(Vec<String>),
}

fn refused(target: &Path, reason: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(Code::E0605, format!("cannot write the folder `{}`", target.display()))
        .with_note(format!("found: {reason}"))
}

pub(super) fn failed(target: &Path, error: &io::Error) -> Diagnostic {
    refused(target, error)
}

fn foreign(target: &Path, reason: impl std::fmt::Display) -> Diagnostic {
    refused(target, reason)
        .with_note(format!("expected: a new or an empty folder, or one that a run wrote, which has `{MARKER_FILE}`"))
        .with_help("name another folder with `--output`, or with `output` in the run config")
}

/// Looks at the place for `files`; `inputs` are the files that the run reads.
///
/// # Errors
/// E0605 when something that is not ours stands in the way, a file would be replaced that the run reads, or nothing can
/// be written there.
pub(super) fn examine(target: &Path, files: &[String], inputs: &[PathBuf]) -> Result<Place, Diagnostic> {
    if target.file_name().is_none() {
        return Err(foreign(target, "it has no name of its own"));
    }
    let place = match fs::symlink_metadata(target) {
        Ok(found) if found.is_symlink() => return Err(foreign(target, "a symbolic link")),
        Ok(found) if !found.is_dir() => return Err(foreign(target, "something that is no folder")),
        Ok(_) => Place::Folder(listed(target)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Place::New,
        Err(error) => return Err(refused(target, error)),
    };
    if let Place::Folder(ours) = &place {
        for file in ours.iter().chain(files) {
            check_file(target, file, ours.contains(file), inputs)?;
        }
    }
    check_writable(target)?;
    Ok(place)
}

/// The files of earlier runs in a folder.
fn listed(target: &Path) -> Result<Vec<String>, Diagnostic> {
    match Marker::read(target) {
        Ok(Some(marker)) => return Ok(marker.files),
        Ok(None) => {}
        Err(reason) => return Err(foreign(target, reason)),
    }
    let entries = fs::read_dir(target).map_err(|error| refused(target, error))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    names.sort();
    let Some(first) = names.first() else { return Ok(Vec::new()) };
    if ["run.json", "predict.json", "params.safetensors"].iter().all(|name| names.iter().any(|found| found == name)) {
        let reason = format!("a run without `{MARKER_FILE}`: an earlier version of anabranch wrote it");
        return Err(foreign(target, reason)
            .with_help("or remove the folder, when nothing in it is needed: what lies beside a run is not known to be yours or its"));
    }
    Err(foreign(target, format!("files that no run wrote, such as `{first}`")))
}

/// A file that is ours is still a regular file, and none that the run reads; where one is to be new there is nothing.
fn check_file(target: &Path, file: &str, is_ours: bool, inputs: &[PathBuf]) -> Result<(), Diagnostic> {
    let mut path = target.to_path_buf();
    let mut components = Path::new(file).components().peekable();
    while let Some(component) = components.next() {
        path.push(component);
        let is_last = components.peek().is_none();
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(refused(target, error)),
        };
        let fits = if is_last { is_ours && found.is_file() } else { found.is_dir() };
        if !fits {
            return Err(foreign(target, format!("`{}`, which no run wrote", path.display())));
        }
    }
    match inputs.iter().find(|input| is_same_file(input, &path)) {
        Some(input) => Err(foreign(target, format!("`{}`, which this run reads", input.display()))),
        None => Ok(()),
    }
}

/// Makes and removes something in the folder, or in the nearest one above it that there is.
fn check_writable(target: &Path) -> Result<(), Diagnostic> {
    let mut ancestor = target;
    while let Err(error) = fs::symlink_metadata(ancestor) {
        if error.kind() != ErrorKind::NotFound || parent(ancestor) == ancestor {
            return Err(refused(target, error));
        }
        ancestor = parent(ancestor);
    }
    let probe = tempfile::Builder::new().prefix(TEMPORARY.0).suffix(TEMPORARY.1).tempdir_in(ancestor);
    probe.map(drop).map_err(|error| refused(target, error))
}

/// A folder to make the files of a run in: on the target's file system, under a name that goes away by itself.
pub(super) fn staging(target: &Path, place: &Place) -> io::Result<tempfile::TempDir> {
    let folder = match place {
        Place::New => {
            fs::create_dir_all(parent(target))?;
            parent(target)
        }
        Place::Folder(_) => target,
    };
    tempfile::Builder::new().prefix(TEMPORARY.0).suffix(TEMPORARY.1).tempdir_in(folder)
}

/// Puts finished files in their place.
///
/// # Errors
/// Those of the file system. A new folder is not there then; one that was there says that it is incomplete.
pub(super) fn install(target: &Path, place: &Place, contents: Contents<'_>) -> io::Result<()> {
    let Contents { folder, files, id } = contents;
    let marker = Marker { format: FORMAT, id, complete: true, files: files.to_vec() };
    match place {
        Place::New => {
            marker.write(folder)?;
            fs::rename(folder, target)?;
            sync_folder(parent(target))
        }
        Place::Folder(ours) => {
            let stale: Vec<&String> = ours.iter().filter(|file| !files.contains(file)).collect();
            let either = files.iter().chain(stale.iter().copied()).cloned().collect();
            Marker { complete: false, files: either, ..marker.clone() }.write(target)?;
            for file in stale {
                remove_if_there(&target.join(file))?;
            }
            for file in files {
                let new = target.join(file);
                fs::create_dir_all(parent(&new))?;
                fs::rename(folder.join(file), &new)?;
                sync_folder(parent(&new))?;
            }
            marker.write(target)?;
            remove_litter(target, &marker.files, folder);
            Ok(())
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what runs that were cut off left in a folder of ours, except the `kept` temporary folder of this one. What
/// cannot be removed does no harm.
fn remove_litter(target: &Path, files: &[String], kept: &Path) {
    for entry in temporary(target).filter(|entry| !kept.starts_with(entry)) {
        // Only what a run puts there: a folder with anything else in it cannot be removed, and stays.
        let run = entry.join(STAGED);
        for file in temporary(&run).chain(files.iter().map(|file| run.join(file))).chain([entry.clone()]) {
            let _ = fs::remove_file(file);
        }
        for file in files {
            let _ = fs::remove_dir(parent(&run.join(file)));
        }
        let _ = fs::remove_dir(run);
        let _ = fs::remove_dir(entry);
    }
}

/// What has a temporary name in a folder.
fn temporary(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1)
    })
}

/// The folder within the temporary one, which is private to the user, that has the rights of any other.
pub(super) const STAGED: &str = "run";

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 2] = ["a.txt", "graphs/b.txt"];

    fn files() -> Vec<String> {
        FILES.map(str::to_string).to_vec()
    }

    /// Installs a run whose files hold a text.
    fn write(target: &Path, text: &str) -> Result<(), Diagnostic> {
        let place = examine(target, &files(), &[])?;
        let staging = staging(target, &place).unwrap();
        let folder = staging.path().join(STAGED);
        for file in FILES {
            fs::create_dir_all(parent(&folder.join(file))).unwrap();
            fs::write(folder.join(file), text).unwrap();
        }
        install(target, &place, Contents { folder: &folder, files: &files(), id: text.into() }).unwrap();
        Ok(())
    }

    fn found(target: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(target).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_run_replaces_its_own_files_and_nothing_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("deep/run");
        write(&target, "one").unwrap();
        assert_eq!(found(&target), [MARKER_FILE, "a.txt", "graphs"]);
        fs::write(target.join("thesis.txt"), "mine").unwrap();
        fs::write(target.join("graphs/notes.txt"), "mine").unwrap();
        fs::create_dir_all(target.join("mine/deep")).unwrap();
        write(&target, "two").unwrap();
        assert_eq!(found(&target), [MARKER_FILE, "a.txt", "graphs", "mine", "thesis.txt"]);
        assert_eq!(found(&target.join("graphs")), ["b.txt", "notes.txt"]);
        assert_eq!(fs::read_to_string(target.join("graphs/b.txt")).unwrap(), "two");
        assert_eq!(fs::read_to_string(target.join("thesis.txt")).unwrap(), "mine");
        assert_eq!(found(folder.path().join("deep").as_path()), ["run"]);
    }

    #[test]
    fn files_that_runs_no_longer_write_go_away() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("run");
        write(&target, "one").unwrap();
        let mut marker = Marker::read(&target).unwrap().unwrap();
        fs::write(target.join("old.txt"), "of an older version").unwrap();
        marker.files.push("old.txt".into());
        marker.write(&target).unwrap();
        write(&target, "two").unwrap();
        assert_eq!(found(&target), [MARKER_FILE, "a.txt", "graphs"]);
    }

    #[test]
    fn what_a_crash_left_is_seen_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("run");
        write(&target, "one").unwrap();
        let marker = Marker::read(&target).unwrap().unwrap();
        Marker { complete: false, ..marker }.write(&target).unwrap();
        fs::remove_file(target.join("a.txt")).unwrap();
        let litter = target.join(".anabranch-x.part");
        fs::create_dir_all(litter.join("run/graphs")).unwrap();
        fs::write(litter.join("run/graphs/b.txt"), "half").unwrap();
        fs::write(litter.join("run/.anabranch-y.part"), "half").unwrap();
        fs::write(target.join(".anabranch-z.part"), "half").unwrap();
        fs::create_dir(target.join(".anabranch-mine.part")).unwrap();
        fs::write(target.join(".anabranch-mine.part/thesis.txt"), "mine").unwrap();
        write(&target, "two").unwrap();
        assert_eq!(found(&target), [".anabranch-mine.part", MARKER_FILE, "a.txt", "graphs"]);
        assert!(Marker::read(&target).unwrap().unwrap().complete);
    }

    #[test]
    fn a_marker_is_believed_only_as_far_as_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("run");
        write(&target, "one").unwrap();
        let marker = Marker::read(&target).unwrap().unwrap();
        fs::write(folder.path().join("outside.txt"), "mine").unwrap();
        for file in ["../outside.txt", "/etc/hostname", "a/../../outside.txt", ".", "", MARKER_FILE] {
            Marker { files: vec![file.into()], ..marker.clone() }.write(&target).unwrap();
            assert!(write(&target, "two").is_err(), "{file:?}");
        }
        for text in ["", "{}", "[1]", "{\"format\": 2, \"id\": \"x\", \"complete\": true, \"files\": []}"] {
            fs::write(target.join(MARKER_FILE), text).unwrap();
            assert!(write(&target, "two").is_err(), "{text}");
        }
        assert_eq!(fs::read_to_string(folder.path().join("outside.txt")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(target.join("a.txt")).unwrap(), "one");
    }

    #[test]
    fn a_file_that_the_run_reads_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("run");
        write(&target, "one").unwrap();
        let refused = examine(&target, &files(), &[target.join("./a.txt")]).unwrap_err();
        assert!(refused.notes[0].ends_with("which this run reads"), "{refused:?}");
        assert!(examine(&target, &files(), &[folder.path().join("other")]).is_ok());
    }

    #[test]
    #[cfg(unix)]
    fn what_took_the_place_of_our_files_stays() {
        let folder = tempfile::tempdir().unwrap();
        let fresh = |name: &str| {
            let target = folder.path().join(name);
            write(&target, "one").unwrap();
            target
        };
        let precious = folder.path().join("precious");
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("b.txt"), "mine").unwrap();
        let linked = fresh("linked");
        fs::remove_file(linked.join("a.txt")).unwrap();
        std::os::unix::fs::symlink(precious.join("b.txt"), linked.join("a.txt")).unwrap();
        let rerouted = fresh("rerouted");
        fs::remove_dir_all(rerouted.join("graphs")).unwrap();
        std::os::unix::fs::symlink(&precious, rerouted.join("graphs")).unwrap();
        let foldered = fresh("foldered");
        fs::remove_file(foldered.join("a.txt")).unwrap();
        fs::create_dir(foldered.join("a.txt")).unwrap();
        let whole = fresh("whole");
        std::os::unix::fs::symlink(&whole, folder.path().join("link")).unwrap();
        for target in [linked, rerouted, foldered, folder.path().join("link"), folder.path().join("whole/a.txt/run")] {
            assert!(write(&target, "two").is_err(), "{}", target.display());
        }
        assert_eq!(fs::read_to_string(precious.join("b.txt")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(whole.join("a.txt")).unwrap(), "one");
    }
}
