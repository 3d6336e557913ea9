//! Files that are written whole, and never over what is not ours to replace.
//!
//! [`write_whole`] writes under a temporary name in the target's folder, syncs, renames and syncs the folder, so a reader
//! sees the old file, the new one, or none, also after a power cut. [`write_until`] leaves out syncs that are made up for later. [`check_output`] decides beforehand whether a name may be
//! written to: a new name may, an existing file only where that was asked for, and an input, a link, a folder or a device
//! never. Both hold the name itself against the file system, not what a link there points to.

use crate::diag::{Code, Diagnostic};
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What becomes of a file that has the name already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and writing fails.
    #[default]
    Keep,
    /// A regular file is replaced; anything else stays.
    Replace,
}

/// How temporary files and folders begin and end, so that litter of a crash is known as such.
pub(crate) const TEMPORARY: (&str, &str) = (".anabranch-", ".part");

/// The folder that a path stands in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What a file that was written outlives. Each takes what is before it and a wait for the disk more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lasting {
    /// the process, however that ends
    Process,
    /// its contents a power cut, wherever its name does: that lasts once the folder is synced
    Contents,
    /// a power cut
    Name,
}

/// Writes a file as a whole, and so that it outlives a power cut.
///
/// # Errors
/// Those of the file system; `AlreadyExists` where something stands that is kept.
pub(crate) fn write_whole(
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<()> {
    write_until(Lasting::Name, path, existing, write)
}

/// Writes a file as a whole.
///
/// # Errors
/// Those of [`write_whole`].
pub(crate) fn write_until(
    lasting: Lasting,
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<()> {
    let old = match fs::symlink_metadata(path) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(reason) = old.as_ref().and_then(what_stays) {
        return Err(io::Error::new(ErrorKind::AlreadyExists, reason));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    // Without this the file would be private to the user, unlike any other file that a program writes.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(parent(path))?;
    let mut out = BufWriter::new(file.as_file_mut());
    write(&mut out).and_then(|()| out.flush())?;
    drop(out);
    if let (Some(old), Existing::Replace) = (&old, existing) {
        file.as_file().set_permissions(old.permissions())?;
    }
    if lasting >= Lasting::Contents {
        file.as_file().sync_all()?;
    }
    match existing {
        Existing::Keep => file.persist_noclobber(path).map_err(|error| error.error)?,
        Existing::Replace => file.persist(path).map_err(|error| error.error)?,
    };
    if lasting == Lasting::Name { sync_folder(parent(path)) } else { Ok(()) }
}

/// Makes files that were written for this process alone outlive a power cut, with their names.
///
/// # Errors
/// Those of the file system.
pub(crate) fn sync_files(paths: &[PathBuf]) -> io::Result<()> {
    let mut folders: Vec<&Path> = Vec::new();
    for path in paths {
        File::open(path)?.sync_all()?;
        if !folders.contains(&parent(path)) {
            folders.push(parent(path));
        }
    }
    folders.into_iter().try_for_each(sync_folder)
}

/// Makes renames in a folder last. Where folders cannot be opened as files, that is the system's own matter.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Why what has this kind is never replaced; none for a regular file.
fn what_stays(found: &Metadata) -> Option<&'static str> {
    let kind = found.file_type();
    if kind.is_file() {
        None
    } else if kind.is_symlink() {
        Some("a symbolic link stands there")
    } else if kind.is_dir() {
        Some("a folder stands there")
    } else {
        Some("a device, a pipe or a socket stands there")
    }
}

pub(crate) fn cannot_write(path: &Path, reason: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(Code::E0605, format!("cannot write `{}`", path.display())).with_note(format!("found: {reason}"))
}

/// Checks, before any work is done, that a command may write a file. `kept` are the files that it reads, and others that are
/// never replaced.
///
/// # Errors
/// E0605 when the name is taken by something that stays, or no file can be made there.
pub fn check_output(path: &Path, existing: Existing, kept: &[PathBuf]) -> Result<(), Diagnostic> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return check_new(path),
        Err(error) => return Err(cannot_write(path, error)),
    };
    let expected = "expected: the name of a new file";
    if let Some(reason) = what_stays(&found) {
        return Err(cannot_write(path, reason).with_note(expected).with_help("name a new file"));
    }
    if let Some(kept) = kept.iter().find(|kept| is_same_file(kept, path)) {
        let reason = format!("the same file as `{}`, which is read here or belongs to a run", kept.display());
        return Err(cannot_write(path, reason).with_note(expected).with_help("name a new file"));
    }
    if existing == Existing::Keep {
        return Err(cannot_write(path, "a file of that name stands there")
            .with_note(expected)
            .with_help("name a new file, or say `--replace`"));
    }
    check_new(path)
}

/// Makes and removes a temporary file beside the path.
fn check_new(path: &Path) -> Result<(), Diagnostic> {
    if path.file_name().is_none() {
        return Err(cannot_write(path, "it has no name of its own").with_help("name a new file"));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    builder.tempfile_in(parent(path)).map(drop).map_err(|error| cannot_write(path, error))
}

/// Whether two paths lead to one file, by whatever links.
pub(crate) fn is_same_file(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let key = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
        key(a).is_some_and(|a| Some(a) == key(b))
    }
    #[cfg(not(unix))]
    {
        let key = |path: &Path| fs::canonicalize(path).ok();
        key(a).is_some_and(|a| Some(a) == key(b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(path: &Path, existing: Existing, inputs: &[PathBuf]) -> String {
        check_output(path, existing, inputs).map_or_else(|finding| finding.notes[0].clone(), |()| "fine".into())
    }

    #[test]
    fn a_new_name_is_written_and_an_existing_one_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let write = |text: &'static str, existing| write_whole(&path, existing, |out| out.write_all(text.as_bytes()));
        assert_eq!(reason(&path, Existing::Keep, &[]), "fine");
        write("one", Existing::Keep).unwrap();
        assert_eq!(reason(&path, Existing::Keep, &[]), "found: a file of that name stands there");
        assert_eq!(write("two", Existing::Keep).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(reason(&path, Existing::Replace, &[]), "fine");
        write("two", Existing::Replace).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "one").unwrap();
        let failed = write_whole(&path, Existing::Replace, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn inputs_links_folders_and_devices_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("data"), "rows").unwrap();
        std::os::unix::fs::symlink("data", at("link")).unwrap();
        std::os::unix::fs::symlink("nothing", at("dangling")).unwrap();
        fs::hard_link(at("data"), at("twin")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        let replace = |name: &str| reason(&at(name), Existing::Replace, &[at("link")]);
        for name in ["data", "twin"] {
            assert!(replace(name).contains("which is read here"), "{name}");
        }
        for (name, kind) in [("link", "link"), ("dangling", "link"), ("folder", "folder"), ("folder/..", "folder")] {
            assert!(replace(name).contains(kind), "{name}: {}", replace(name));
            let error = write_whole(&at(name), Existing::Replace, |_| Ok(())).unwrap_err();
            assert!(error.to_string().contains(kind), "{name}: {error}");
        }
        for name in ["/dev/null", "/"] {
            let reason = reason(Path::new(name), Existing::Replace, &[]);
            let error = write_whole(Path::new(name), Existing::Replace, |_| Ok(())).unwrap_err();
            assert_eq!(reason, format!("found: {error}"), "{name}");
        }
        assert_ne!(reason(&at("missing/file"), Existing::Keep, &[]), "fine");
        assert_ne!(reason(&at("data/file"), Existing::Keep, &[]), "fine");
        assert_eq!(fs::read_to_string(at("data")).unwrap(), "rows");
    }
}
