//! Files that grow while a run goes on, a row at a time.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// A file that rows are appended to. A row is there as a whole, or waits until there is room.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    len: u64,
    /// rows that could not be written yet
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
        Ok(Self { file, len, pending: String::new() })
    }

    /// Adds rows, each with its line end, after those that wait.
    ///
    /// # Errors
    /// Those of the file system; the rows wait then.
    pub fn append(&mut self, rows: &str) -> io::Result<()> {
        self.pending += rows;
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_all(self.pending.as_bytes()) {
            self.file.set_len(self.len)?;
            self.file.seek(SeekFrom::Start(self.len))?;
            return Err(error);
        }
        self.len += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Bytes that are written.
    pub fn len(&self) -> u64 {
        self.len
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
        log.append("a\n").unwrap();
        let at = log.len();
        log.append("b\nhalf").unwrap();
        let mut again = Log::reopen(&path, at).unwrap();
        again.append("c\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nc\n");
        assert_eq!(Log::reopen(&path, 9).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nc\n");
    }
}
