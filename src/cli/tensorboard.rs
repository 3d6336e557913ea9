//! Event files that TensorBoard reads: a record a scalar.
//!
//! A file is a row of records (TensorFlow, `tensorflow/core/lib/io/record_writer.h`): length as u64, its checksum, the bytes, their
//! checksum, all little-endian. A checksum is CRC-32C, turned right by 15 bits, plus 0xa282ead8. The bytes are a protocol buffer
//! `Event` (`tensorflow/core/util/event.proto`): wall_time = 1, step = 2, file_version = 3, summary = 5; in a `Summary` value = 1, in
//! that tag = 1 and simple_value = 2. They are few enough to be written out here.

use crate::data::files::cannot_write;
use crate::diag::Diagnostic;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A file of events that grows.
pub(super) struct EventFile {
    path: PathBuf,
    out: BufWriter<File>,
}

impl EventFile {
    /// Begins a file in a folder that is made when it is not there. A file that is there is never added to: it gets another name.
    ///
    /// # Errors
    /// E0605.
    pub(super) fn create(folder: &Path) -> Result<Self, Diagnostic> {
        std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, error))?;
        let seconds = now() as u64;
        let named = |at: u32| folder.join(format!("events.out.tfevents.{seconds}.{at}.anabranch"));
        let mut path = named(0);
        let mut file = File::create_new(&path);
        for at in 1..100 {
            match &file {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    path = named(at);
                    file = File::create_new(&path);
                }
                _ => break,
            }
        }
        let out = BufWriter::new(file.map_err(|error| cannot_write(&path, error))?);
        let mut events = Self { path, out };
        let mut event = Vec::new();
        double(&mut event, 1, now());
        bytes(&mut event, 3, b"brain.Event:2");
        write_record(&mut events.out, &event).map_err(|error| cannot_write(&events.path, error))?;
        Ok(events)
    }

    /// Writes scalars of a step and hands them to the system, so that a reader sees them.
    ///
    /// # Errors
    /// E0605.
    pub(super) fn write(&mut self, step: u64, scalars: &[(String, f64)]) -> Result<(), Diagnostic> {
        let mut event = Vec::new();
        double(&mut event, 1, now());
        varint(&mut event, 2 << 3);
        varint(&mut event, step);
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut scalar = Vec::new();
            bytes(&mut scalar, 1, tag.as_bytes());
            varint(&mut scalar, (2 << 3) | 5);
            scalar.extend((*value as f32).to_le_bytes());
            bytes(&mut summary, 1, &scalar);
        }
        bytes(&mut event, 5, &summary);
        let written = write_record(&mut self.out, &event).and_then(|()| self.out.flush());
        written.map_err(|error| cannot_write(&self.path, error))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn write_record(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let len = (bytes.len() as u64).to_le_bytes();
    out.write_all(&len)?;
    out.write_all(&checksum(&len).to_le_bytes())?;
    out.write_all(bytes)?;
    out.write_all(&checksum(bytes).to_le_bytes())
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field of 8 bytes.
fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    varint(out, (field << 3) | 1);
    out.extend(value.to_le_bytes());
}

/// A field that is as long as it says.
fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, (field << 3) | 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_masked() {
        // RFC 3720, B.4: 32 bytes of zeros have the CRC-32C 0x8a9136aa.
        assert_eq!(checksum(&[0; 32]), 0x8a91_36aa_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }

    #[test]
    fn an_event_is_a_protocol_buffer() {
        let mut event = Vec::new();
        varint(&mut event, 300);
        bytes(&mut event, 1, b"ab");
        assert_eq!(event, [0xac, 0x02, 0x0a, 2, b'a', b'b']);
        let mut record = Vec::new();
        write_record(&mut record, b"abc").unwrap();
        assert_eq!((record.len(), &record[..8], &record[12..15]), (19, &[3, 0, 0, 0, 0, 0, 0, 0][..], &b"abc"[..]));
    }
}
