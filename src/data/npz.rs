//! `.npz` archives: a zip file of `.npy` arrays.
//!
//! Takes a reader and its length; gives arrays by key. What an entry claims to unpack to is checked before it is read:
//! deflate cannot expand beyond about 1032 to 1, so a larger claim is false, and an archive that claims more than
//! [`LARGEST_ARCHIVE`] in total is refused as a whole. Only the arrays that are asked for are unpacked, and those
//! to their end, where the archive's checksum is.

use std::io::{self, Read, Seek};

use zip::ZipArchive;

use super::Numbers;
use super::npy::{self, Header, NpyError, RowValues, Stored};

/// The most bytes that all arrays of an archive together may claim.
const LARGEST_ARCHIVE: u64 = 16 << 30;
/// The most that deflate expands, rounded up.
const LARGEST_EXPANSION: u64 = 1040;

pub(super) struct Archive<R: Read + Seek> {
    zip: ZipArchive<R>,
    /// Length of the file in bytes.
    len: u64,
    /// The keys, without `.npy`, in the order of the file.
    pub keys: Vec<String>,
}

fn broken(error: impl std::fmt::Display) -> NpyError {
    NpyError::Broken(error.to_string())
}

impl<R: Read + Seek> Archive<R> {
    pub(super) fn open(reader: R, len: u64) -> Result<Self, NpyError> {
        let mut zip = ZipArchive::new(reader).map_err(broken)?;
        let mut keys = Vec::new();
        let mut claimed = 0_u64;
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(broken)?;
            claimed = claimed.saturating_add(entry.size());
            let name = entry.name();
            keys.push(name.strip_suffix(".npy").unwrap_or(name).to_owned());
        }
        if claimed > LARGEST_ARCHIVE {
            return Err(NpyError::Broken(format!(
                "its arrays claim {claimed} bytes; at most {LARGEST_ARCHIVE} are read"
            )));
        }
        Ok(Self { zip, len, keys })
    }

    /// The shape of one array, row axis included.
    pub(super) fn shape(&mut self, index: usize) -> Result<Vec<usize>, NpyError> {
        self.with_entry(index, |_, header, _| Ok(header.shape.clone()))
    }

    /// The shape of one array, row axis included, and the values of the rows that are asked for.
    pub(super) fn read(
        &mut self,
        index: usize,
        rows: Option<(usize, usize)>,
    ) -> Result<(Vec<usize>, Numbers), NpyError> {
        self.with_entry(index, |mut entry, header, size| {
            let values = npy::read_values(&mut entry, header, size, rows)?;
            // The checksum is compared at the end of the entry only, so the reader has to come there; one byte past the
            // claimed size is as far as it goes.
            io::copy(&mut entry.take(size.saturating_add(1)), &mut io::sink())?;
            Ok((header.shape.clone(), values))
        })
    }

    /// Gives the rows `start..stop` of one array in blocks of at most so many rows, until `give` has enough.
    pub(super) fn read_blocks<V: RowValues>(
        &mut self,
        index: usize,
        rows: (usize, usize),
        block: usize,
        give: &mut dyn FnMut(V) -> bool,
    ) -> Result<(), NpyError> {
        self.with_entry(index, |mut entry, header, size| {
            let mut goes_on = true;
            V::read(&mut entry, header, size, rows, block, &mut |values| {
                goes_on = give(values);
                goes_on
            })?;
            if goes_on {
                // To the checksum, as in `read`.
                io::copy(&mut entry.take(size.saturating_add(1)), &mut io::sink())?;
            }
            Ok(())
        })
    }

    /// What the values of one array are.
    pub(super) fn stored(&mut self, index: usize) -> Result<Stored, NpyError> {
        self.with_entry(index, |_, header, _| Ok(header.stored()))
    }

    fn with_entry<T>(
        &mut self,
        index: usize,
        read: impl FnOnce(&mut dyn Read, &Header, u64) -> Result<T, NpyError>,
    ) -> Result<T, NpyError> {
        let mut entry = self.zip.by_index(index).map_err(broken)?;
        let (size, packed) = (entry.size(), entry.compressed_size());
        if packed > self.len || size > packed.saturating_mul(LARGEST_EXPANSION).saturating_add(LARGEST_EXPANSION) {
            return Err(NpyError::Broken(format!("it claims {size} bytes, more than its {packed} packed bytes hold")));
        }
        let header = npy::read_header(&mut entry)?;
        read(&mut entry, &header, size)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ndarray::array;
    use ndarray_npy::NpzWriter;
    use proptest::prelude::*;

    use super::*;

    fn archive() -> Vec<u8> {
        let mut npz = NpzWriter::new_compressed(Cursor::new(Vec::new()));
        npz.add_array("x", &array![[1.0_f32, 2.0], [3.0, 4.0]]).unwrap();
        npz.add_array("data/y", &array![1_i64, 2]).unwrap();
        npz.finish().unwrap().into_inner()
    }

    fn read_all(bytes: Vec<u8>) -> Result<Vec<(Vec<usize>, Numbers)>, NpyError> {
        let len = bytes.len() as u64;
        let mut archive = Archive::open(Cursor::new(bytes), len)?;
        (0..archive.keys.len()).map(|index| archive.read(index, None)).collect()
    }

    #[test]
    fn arrays_are_found_by_key() {
        let bytes = archive();
        let len = bytes.len() as u64;
        let mut archive = Archive::open(Cursor::new(bytes), len).unwrap();
        assert_eq!(archive.keys, ["x", "data/y"]);
        assert_eq!(archive.shape(0), Ok(vec![2, 2]));
        assert_eq!(archive.read(1, Some((1, 2))), Ok((vec![2], Numbers::F64(vec![2.0]))));
    }

    #[test]
    fn a_false_size_in_the_directory_is_refused() {
        let mut bytes = archive();
        let directory = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        bytes[directory + 24..directory + 28].copy_from_slice(&u32::MAX.to_le_bytes()[..]);
        assert!(matches!(read_all(bytes), Err(NpyError::Broken(_))));
    }

    #[test]
    fn a_changed_value_fails_the_checksum() {
        let mut npz = NpzWriter::new(Cursor::new(Vec::new()));
        npz.add_array("x", &array![1.5_f32, 2.5]).unwrap();
        let mut bytes = npz.finish().unwrap().into_inner();
        let place = bytes.windows(4).position(|window| window == 1.5_f32.to_le_bytes()).unwrap();
        bytes[place] = 1;
        let len = bytes.len() as u64;
        let mut archive = Archive::open(Cursor::new(bytes), len).unwrap();
        assert!(matches!(archive.read(0, Some((1, 2))), Err(NpyError::Broken(_))));
    }

    proptest! {
        #[test]
        fn a_damaged_archive_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut bytes = archive();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            let _ = read_all(bytes.clone());
            bytes.truncate(cut.index(bytes.len()));
            let _ = read_all(bytes);
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_all(bytes);
        }
    }
}
