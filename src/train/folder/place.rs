//! Where a run may write, and who writes there.
//!
//! A folder is ours when it holds the marker; a folder without one is not touched, unless it is empty. [`Place::claim`] makes the
//! marker before anything else and locks it, so that a folder has one writer: another process is refused before it has done any
//! work, and a lock ends with the process that holds it, however that ends. A folder in which a run has begun is given to
//! another run only when that is asked for.

use super::layout::{
    CHECKPOINTS_FOLDER, CONFIG_FILE, FORMAT, GRAPHS_FOLDER, MARKER_FILE, PARAMS_FILE, PROGRAM_FILE, RECORD_FILE,
    SPEC_FOLDER, STATE_FILE, TENSORS_FILE, checkpoint_folder, is_within, steps_of,
};
use super::record::RunRecord;
use crate::data::files::{TEMPORARY, is_same_file, parent, sync_folder};
use crate::diag::{Code, Diagnostic};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A longer marker is none of ours.
const LONGEST_MARKER: u64 = 4 * 1024;

/// Names that are tried: `digits`, `digits-2` and so on.
const MOST_NAMES: u32 = 10_000;

/// What the marker says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    format: u32,
    /// of the run: its program, config and data
    #[serde(default)]
    id: String,
}

/// What stands at a path.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// a folder in which nothing is, or only the marker of a run that never began
    Free,
    /// a run that began, or what is left of one
    Run,
}

/// What becomes of a run that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// It stays, and the new run takes another name.
    Keep,
    /// Its files make way.
    Replace,
}

/// A run's folder that this process alone writes to.
#[derive(Debug)]
pub(super) struct Place {
    pub path: PathBuf,
    /// locked
    marker: File,
    /// what was made for it: removed again when no run begins
    made: Vec<PathBuf>,
    /// whether files of a run were there when it was taken
    pub begun: bool,
}

fn refused(target: &Path, reason: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(Code::E0605, format!("cannot write the folder `{}`", target.display()))
        .with_note(format!("found: {reason}"))
}

pub(super) fn failed(target: &Path, error: &io::Error) -> Diagnostic {
    let finding = refused(target, error);
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            finding.with_help("make room there, or name a folder on another disk with `--output`")
        }
        _ => finding,
    }
}

fn foreign(target: &Path, reason: impl std::fmt::Display) -> Diagnostic {
    refused(target, reason)
        .with_note(format!("expected: a new or an empty folder, or one that a run wrote, which has `{MARKER_FILE}`"))
        .with_help("name another folder with `--output`, or with `output` in the run config")
}

fn is_busy(target: &Path) -> Diagnostic {
    refused(target, "another process is writing a run there")
        .with_help("wait for it, or name another folder with `--output`")
}

impl Place {
    /// Takes a folder for a new run: `target`, or its name with a number where a run is there that is to be kept. `inputs` are
    /// the files that the run reads.
    ///
    /// # Errors
    /// E0605 when something that is not ours stands in the way, a file would be replaced that the run reads, another process
    /// writes there, or nothing can be written. Nothing is left behind then.
    pub fn claim(target: &Path, earlier: Earlier, inputs: &[PathBuf]) -> Result<Self, Diagnostic> {
        if target.file_name().is_none() {
            return Err(foreign(target, "it has no name of its own"));
        }
        for number in 1..MOST_NAMES {
            let path = numbered(target, number);
            let found = match examine(&path) {
                Ok(found) => found,
                Err(finding) if number == 1 => return Err(finding),
                // A name that was not asked for, and that something else has.
                Err(_) => continue,
            };
            if found == Found::Run && earlier == Earlier::Keep {
                continue;
            }
            if found == Found::Run {
                check_inputs(&path, inputs)?;
            }
            match Self::take(&path)? {
                None if found == Found::Run => return Err(is_busy(&path)),
                // Another process was faster.
                None => {}
                Some(place) if place.begun && found != Found::Run => drop(place.kept()),
                Some(place) => return Ok(place),
            }
        }
        Err(refused(target, format!("{MOST_NAMES} runs of that name")))
    }

    /// Takes the folder of a run that began.
    ///
    /// # Errors
    /// E0608 when no run is there, E0605 when another process writes there or nothing can be written.
    pub fn open(path: &Path) -> Result<Self, Diagnostic> {
        let not_a_run = |reason: String| {
            Diagnostic::error(Code::E0608, format!("there is no run to go on with in `{}`", path.display()))
                .with_note(format!("found: {reason}"))
                .with_note(format!(
                    "expected: a folder that `anabranch run` wrote, with `{MARKER_FILE}` and `{CONFIG_FILE}`"
                ))
        };
        match read_marker(path) {
            Ok(Some(_)) => {}
            Ok(None) => return Err(not_a_run(format!("no `{MARKER_FILE}`"))),
            Err(reason) => return Err(not_a_run(reason)),
        }
        if !path.join(CONFIG_FILE).is_file() {
            return Err(not_a_run("a run that was ended before it began".into())
                .with_help("run its config again: `anabranch run CONFIG`"));
        }
        Self::take(path)?.ok_or_else(|| is_busy(path))
    }

    /// Makes the folder and its marker where they are not, and locks the marker; none when another process holds it.
    fn take(path: &Path) -> Result<Option<Self>, Diagnostic> {
        let error = |error: io::Error| refused(path, error);
        let mut made = Vec::new();
        make_folders(path, &mut made).inspect_err(|_| remove(&made)).map_err(error)?;
        let name = path.join(MARKER_FILE);
        let new = OpenOptions::new().read(true).write(true).create_new(true).open(&name);
        let marker = match new {
            Ok(file) => {
                made.push(name);
                Ok(file)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                OpenOptions::new().read(true).write(true).open(&name)
            }
            Err(error) => Err(error),
        };
        let marker = marker.inspect_err(|_| remove(&made)).map_err(error)?;
        match marker.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            // A file system without locks: then nobody can be told.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => {
                remove(&made);
                return Err(refused(path, error));
            }
        }
        if !is_at(&marker, &path.join(MARKER_FILE)) {
            // Who held it before took it away with its folder.
            return Ok(None);
        }
        let begun = is_begun(path);
        Ok(Some(Self { path: path.to_path_buf(), marker, made, begun }))
    }

    /// Lets the folder stand as it is when the lock is given up.
    fn kept(mut self) -> Self {
        self.made.clear();
        self
    }

    /// Writes the marker: from here on the folder is a run's. The text is short and replaces one of the same length, so
    /// that a reader finds the one or the other.
    pub fn mark(&mut self, id: &str) -> io::Result<()> {
        let marker = Marker { format: FORMAT, id: id.to_string() };
        let text = serde_json::to_string(&marker)? + "\n";
        self.marker.seek(SeekFrom::Start(0))?;
        self.marker.write_all(text.as_bytes())?;
        self.marker.set_len(text.len() as u64)?;
        self.made.clear();
        Ok(())
    }

    /// Checks that each of our files can be written where it belongs: a regular file, or nothing, in folders that are folders.
    ///
    /// # Errors
    /// E0605.
    pub fn check_files(&self, files: &[String]) -> Result<(), Diagnostic> {
        files.iter().try_for_each(|file| check_file(&self.path, file))
    }

    /// Removes what a run wrote: its checkpoints, its listed files, the folders of both where nothing else is in them. The
    /// record, which lists the files, goes last. After a power cut none of it is there again.
    pub fn clear(&self, files: &[String]) -> io::Result<()> {
        for n_steps in checkpoints(&self.path) {
            remove_checkpoint(&checkpoint_folder(&self.path, n_steps))?;
        }
        let last = [CONFIG_FILE, RECORD_FILE];
        let others = files.iter().map(String::as_str).filter(|file| !last.contains(file));
        for file in others.chain(last).filter(|file| is_within(file) && check_file(&self.path, file).is_ok()) {
            remove_if_there(&self.path.join(file))?;
        }
        for file in files.iter().filter(|file| is_within(file)) {
            let mut folder = parent(&self.path.join(file)).to_path_buf();
            while folder != self.path && fs::remove_dir(&folder).is_ok() && folder.pop() {}
        }
        let _ = fs::remove_dir(self.path.join(CHECKPOINTS_FOLDER));
        if self.begun { sync_folder(&self.path) } else { Ok(()) }
    }

    /// Removes what runs that were cut off left half-written. What cannot be removed does no harm.
    pub fn tidy(&self) {
        tidy(&self.path);
        for folder in [SPEC_FOLDER, GRAPHS_FOLDER, CHECKPOINTS_FOLDER] {
            tidy(&self.path.join(folder));
        }
    }
}

impl Drop for Place {
    /// A run that did not begin leaves nothing behind.
    fn drop(&mut self) {
        remove(&self.made);
    }
}

/// `runs/digits`, `runs/digits-2`, …
fn numbered(target: &Path, number: u32) -> PathBuf {
    if number == 1 {
        return target.to_path_buf();
    }
    let mut name: OsString = target.file_name().unwrap_or_default().to_os_string();
    name.push(format!("-{number}"));
    target.with_file_name(name)
}

/// Whether an open file is what stands at a path.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let key = |found: fs::Metadata| (found.dev(), found.ino());
        file.metadata().map(key).ok() == fs::symlink_metadata(path).map(key).ok()
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

/// Makes a folder and those above it, noting which.
fn make_folders(path: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    match fs::create_dir(path) {
        Ok(()) => made.push(path.to_path_buf()),
        Err(error) if error.kind() == ErrorKind::NotFound && parent(path) != path => {
            make_folders(parent(path), made)?;
            match fs::create_dir(path) {
                Ok(()) => made.push(path.to_path_buf()),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Removes what was made, the last first, where nothing else came into it.
fn remove(made: &[PathBuf]) {
    for path in made.iter().rev() {
        let _ = if path.ends_with(MARKER_FILE) { fs::remove_file(path) } else { fs::remove_dir(path) };
    }
}

/// The marker of a folder; none where there is none, and one without an id where a run was cut off while it made it.
fn read_marker(folder: &Path) -> Result<Option<Marker>, String> {
    let path = folder.join(MARKER_FILE);
    let found = match fs::symlink_metadata(&path) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if !found.is_file() || found.len() > LONGEST_MARKER {
        return Err(format!("its `{MARKER_FILE}` was not written by a run"));
    }
    let mut text = String::new();
    File::open(&path).and_then(|mut file| file.read_to_string(&mut text)).map_err(|error| error.to_string())?;
    if text.is_empty() {
        return Ok(Some(Marker { format: FORMAT, id: String::new() }));
    }
    let marker: Marker =
        serde_json::from_str(&text).map_err(|error| format!("its `{MARKER_FILE}` is broken: {error}"))?;
    if marker.format != FORMAT {
        return Err(format!(
            "a run of another version of anabranch, whose folders have the format {}, not {FORMAT}",
            marker.format
        ));
    }
    Ok(Some(marker))
}

/// Whether there is something of a run that it could be missed for.
fn is_begun(folder: &Path) -> bool {
    [CONFIG_FILE, PARAMS_FILE].iter().any(|name| folder.join(name).exists()) || !checkpoints(folder).is_empty()
}

/// What stands at a path where a run is to be written.
fn examine(path: &Path) -> Result<Found, Diagnostic> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => return Err(foreign(path, "a symbolic link")),
        Ok(found) if !found.is_dir() => return Err(foreign(path, "something that is no folder")),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(refused(path, error)),
    }
    match read_marker(path) {
        Ok(Some(_)) if is_begun(path) => return Ok(Found::Run),
        Ok(Some(_)) => return Ok(Found::Free),
        Ok(None) => {}
        Err(reason) => return Err(foreign(path, reason)),
    }
    let entries = fs::read_dir(path).map_err(|error| refused(path, error))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    names.sort();
    let Some(first) = names.first() else { return Ok(Found::Free) };
    if ["run.json", PROGRAM_FILE, PARAMS_FILE].iter().all(|name| names.iter().any(|found| found == name)) {
        let reason = format!("a run without `{MARKER_FILE}`: an earlier version of anabranch wrote it");
        return Err(foreign(path, reason)
            .with_help("or remove the folder, when nothing in it is needed: what lies beside a run is not known to be yours or its"));
    }
    Err(foreign(path, format!("files that no run wrote, such as `{first}`")))
}

/// The files of the run in a folder are none that the next one reads.
fn check_inputs(path: &Path, inputs: &[PathBuf]) -> Result<(), Diagnostic> {
    let ours = files_of_run(path);
    let is_ours = |input: &&PathBuf| ours.iter().any(|file| is_same_file(file, input));
    match inputs.iter().find(is_ours) {
        Some(input) => Err(foreign(path, format!("`{}`, which this run reads", input.display()))),
        None => Ok(()),
    }
}

/// A file that is ours is still a regular file; where one is to be new there is nothing.
fn check_file(target: &Path, file: &str) -> Result<(), Diagnostic> {
    let mut path = target.to_path_buf();
    let mut components = Path::new(file).components().peekable();
    while let Some(component) = components.next() {
        path.push(component);
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(refused(target, error)),
        };
        if !(if components.peek().is_none() { found.is_file() } else { found.is_dir() }) {
            return Err(foreign(target, format!("`{}`, which no run wrote", path.display())));
        }
    }
    Ok(())
}

/// The files in a folder that a run wrote, its marker among them; none in a folder that is no run's.
pub fn files_of_run(folder: &Path) -> Vec<PathBuf> {
    let Ok(Some(_)) = read_marker(folder) else { return Vec::new() };
    let listed = RunRecord::read(folder).map(|record| record.files).unwrap_or_default();
    let listed = listed.into_iter().filter(|file| is_within(file));
    let files = listed.chain([MARKER_FILE, RECORD_FILE].map(str::to_string)).map(|name| folder.join(name));
    let checkpoints = checkpoints(folder).into_iter().flat_map(|n_steps| {
        let checkpoint = checkpoint_folder(folder, n_steps);
        [TENSORS_FILE, STATE_FILE].map(|name| checkpoint.join(name))
    });
    files.chain(checkpoints).collect()
}

/// The steps of the checkpoints that are there, in order.
pub(super) fn checkpoints(run: &Path) -> Vec<u64> {
    let entries = entries(&run.join(CHECKPOINTS_FOLDER));
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut found: Vec<u64> =
        entries.filter(is_folder).filter_map(|entry| steps_of(entry.file_name().to_str()?)).collect();
    found.sort_unstable();
    found
}

/// What is in a folder; nothing where it is none, or a link to one.
fn entries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> + use<> {
    let is_folder = fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir());
    is_folder.then(|| fs::read_dir(folder)).into_iter().flatten().flatten().flatten()
}

/// Removes a checkpoint's files and, where nothing else is in it, its folder.
pub(super) fn remove_checkpoint(folder: &Path) -> io::Result<()> {
    // The state first: a checkpoint without one is none.
    for name in [STATE_FILE, TENSORS_FILE] {
        remove_if_there(&folder.join(name))?;
    }
    tidy(folder);
    match fs::remove_dir(folder) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => Err(error),
        _ => Ok(()),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// Removes temporary files in a folder, and temporary checkpoints. A folder with anything else in it stays.
fn tidy(folder: &Path) {
    let entries = entries(folder);
    let is_temporary = |name: &str| name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1);
    for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(is_temporary)) {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => drop(remove_checkpoint(&path)),
            Ok(kind) if kind.is_file() => drop(fs::remove_file(&path)),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
