//! Files that grow while a run goes on, some rows at a time.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// A file that rows are appended to. A row is there as a whole, or waits until it is written or there is room.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// bytes that are written
    written: u64,
    /// rows that are not written yet
    pending: String,
}

impl Log {
    /// A file that is cut back to a length; at 0 it may be new.
    ///
    /// # Errors
    /// Those of the file system; `UnexpectedEof` for one that is shorter.
    pub fn reopen(path: &Path, len: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        let found = file.metadata()?.len();
        if found < len {
            let reason = format!("{found} bytes, and {len} when the checkpoint was made");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
        }
        file.set_len(len)?;
        file.seek(SeekFrom::Start(len))?;
        Ok(Self { file, written: len, pending: String::new() })
    }

    /// Adds rows, each with its line end, after those that wait to be written.
    pub fn append(&mut self, rows: &str) {
        self.pending += rows;
    }

    /// Writes the rows that wait.
    ///
    /// # Errors
    /// Those of the file system; the rows go on waiting then.
    pub fn write(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_all(self.pending.as_bytes()) {
            self.file.set_len(self.written)?;
            self.file.seek(SeekFrom::Start(self.written))?;
            return Err(error);
        }
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    pub fn is_written(&self) -> bool {
        self.pending.is_empty()
    }

    /// Bytes, with those that wait.
    pub fn len(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    /// The file, to be synced by who needs it to last.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_log_is_cut_back_and_grows_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::reopen(&path, 0).unwrap();
        log.append("a\n");
        let at = log.len();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), log.is_written()), ("", false));
        log.append("b\nhalf");
        log.write().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), log.is_written()), ("a\nb\nhalf", true));
        let mut again = Log::reopen(&path, at).unwrap();
        again.append("c\n");
        again.write().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nc\n");
        assert_eq!(Log::reopen(&path, 9).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nc\n");
    }
}
