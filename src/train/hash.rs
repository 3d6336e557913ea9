//! Hashes that tell contents apart: BLAKE3, the first 128 bits in hexadecimal.

use std::io::{self, Read, Write};

/// Hexadecimal digits of a hash that are kept.
const DIGITS: usize = 32;

fn digits(hash: &blake3::Hash) -> String {
    hash.to_hex()[..DIGITS].to_string()
}

/// The hash of a text.
pub(crate) fn hash_text(text: &str) -> String {
    digits(&blake3::hash(text.as_bytes()))
}

/// The hash of several texts, in order; where one ends counts.
pub(super) fn hash_texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    digits(&hasher.finalize())
}

/// The bytes that a reader gives: how many, and their hash.
///
/// # Errors
/// Those of the reader.
pub(super) fn hash_reader(reader: &mut impl Read) -> io::Result<(u64, String)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    let mut n_bytes = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((n_bytes, digits(&hasher.finalize()))),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                n_bytes += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Passes bytes on, and knows their number and hash at the end.
pub(super) struct Hashing<W> {
    inner: W,
    hasher: blake3::Hasher,
    n_bytes: u64,
}

impl<W: Write> Hashing<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), n_bytes: 0 }
    }

    pub fn finish(self) -> (u64, String) {
        (self.n_bytes, digits(&self.hasher.finalize()))
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.n_bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_to_hash_agree_and_boundaries_count() {
        let text = "x".repeat(200_000);
        let expected = hash_text(&text);
        assert_eq!(hash_reader(&mut text.as_bytes()).unwrap(), (200_000, expected.clone()));
        let mut hashing = Hashing::new(Vec::new());
        text.as_bytes().chunks(777).for_each(|chunk| hashing.write_all(chunk).unwrap());
        assert_eq!(hashing.finish(), (200_000, expected));
        assert_ne!(hash_texts(["ab", "c"]), hash_texts(["a", "bc"]));
        // From the specification's own test vectors: the hash of nothing.
        assert_eq!(hash_text(""), "af1349b9f5f9a1a6a0404dea36dcc949");
    }
}
