//! CSV tables: cells apart by commas, or by what the header line has more of, with a header line, numbers in the columns that are asked for.
//!
//! Takes a reader and groups of columns; gives one row-major block of f64 for each group. An empty cell, `nan` and `NA` are
//! missing values, NaN here; a [`CellReader`] reads cells that are no numbers. What is not taken is kept as a [`BadCell`], so that
//! all of it can be reported at once. Columns that nobody asks for are not looked at: an identifier or a remark does no harm. A table is read at
//! once or in blocks of rows, and some of its columns as texts.

use std::io::{self, Chain, Cursor, Read};
use std::sync::Arc;

use ::csv::{ByteRecord, ErrorKind, ReaderBuilder, Trim};

use super::cells::{CellReader, Refusal, is_missing_mark};
use super::counted;

/// A cell that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadCell {
    pub line: u64,
    /// Index of the column in the header.
    pub column: usize,
    pub text: String,
    pub refusal: Refusal,
    /// The place of the column in its group.
    pub slot: usize,
}

/// The columns of a field.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// Indices in the header.
    pub columns: Vec<usize>,
    /// How the cells of each are read; numbers where there is none.
    pub readers: Vec<CellReader>,
}

impl From<Vec<usize>> for Group {
    fn from(columns: Vec<usize>) -> Self {
        Self { columns, readers: Vec::new() }
    }
}

/// One group's columns.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Block {
    /// Row-major: one row has as many values as the group has columns.
    pub values: Vec<f64>,
    /// The first cells that are not taken.
    pub bad_cells: Vec<BadCell>,
    pub bad_cell_count: usize,
}

/// What a table holds of the rows that were asked for.
#[derive(Debug)]
pub(super) struct Rows {
    pub blocks: Vec<Block>,
    /// The cells of the columns that are read as texts.
    pub texts: Vec<Vec<String>>,
    /// The line on which each row that was asked for begins, from 1; the number of the row where it is on none.
    pub lines: Vec<u64>,
    /// Rows of the file up to here: in the whole of it, when all was read.
    pub total: usize,
}

/// How many cells that are no numbers are kept for the message.
const BAD_CELLS_KEPT: usize = 5;

/// Bytes that are looked at to find what stands between cells.
const LOOKED_AT: u64 = 1 << 16;

/// What may stand between cells; the first of those that a header has as many of.
const DELIMITERS: [u8; 4] = *b",\t;|";

/// What the first line that is not blank has most of, outside of quotes.
fn delimiter_of(start: &[u8]) -> u8 {
    let line = start.split(|byte| matches!(byte, b'\n' | b'\r')).find(|line| !line.trim_ascii().is_empty());
    let mut is_quoted = false;
    let mut counts = [0_usize; DELIMITERS.len()];
    for byte in line.unwrap_or_default() {
        is_quoted ^= *byte == b'"';
        if let Some(at) = DELIMITERS.iter().position(|delimiter| delimiter == byte).filter(|_| !is_quoted) {
            counts[at] += 1;
        }
    }
    let most = (0..counts.len()).rev().max_by_key(|at| counts[*at]).unwrap_or(0);
    DELIMITERS[most]
}

pub(super) struct Table<R: Read> {
    reader: ::csv::Reader<Chain<Cursor<Vec<u8>>, R>>,
    /// rows that were read
    row: usize,
    /// whether lines are said of rows, and not their numbers
    by_line: bool,
    /// the rows that are taken, where they are picked, and how many of them lie behind
    picked: Option<Arc<[u32]>>,
    passed: usize,
    pub header: Vec<String>,
}

impl<R: Read> Table<R> {
    /// Reads the header line; `delimiter`: what stands between cells, else it is found; `by_line`: rows are known by the lines on which they begin, else by their numbers from 0. The error is a
    /// reason in words.
    pub(super) fn open(mut reader: R, delimiter: Option<u8>, by_line: bool) -> Result<Self, String> {
        let mut start = Vec::new();
        reader.by_ref().take(LOOKED_AT).read_to_end(&mut start).map_err(|error: io::Error| error.to_string())?;
        let delimiter = delimiter.unwrap_or_else(|| delimiter_of(&start));
        let reader = Cursor::new(start).chain(reader);
        let mut reader = ReaderBuilder::new().trim(Trim::All).delimiter(delimiter).from_reader(reader);
        let record = reader.byte_headers().map_err(|error| reason(&error))?;
        let mut header: Vec<String> = record.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        if let Some(first) = header.first_mut()
            && let Some(rest) = first.strip_prefix('\u{feff}')
        {
            *first = rest.trim_matches('"').to_owned();
        }
        if header.iter().all(String::is_empty) {
            return Err("it has no header line".into());
        }
        Ok(Self { reader, row: 0, by_line, picked: None, passed: 0, header })
    }

    /// The table of some rows alone.
    pub(super) fn with_picked(mut self, picked: Option<Arc<[u32]>>) -> Self {
        self.picked = picked;
        self
    }

    /// Whether the next row is taken, by its number.
    fn is_picked(&mut self, row: usize) -> bool {
        let Some(picked) = &self.picked else { return true };
        while picked.get(self.passed).is_some_and(|next| (*next as usize) < row) {
            self.passed += 1;
        }
        picked.get(self.passed).is_some_and(|next| *next as usize == row)
    }

    /// Reads the rows `start..stop` (all when `None`) of each group of column indices.
    pub(super) fn read(&mut self, groups: &[Group], range: Option<(usize, usize)>) -> Result<Rows, String> {
        self.read_block(groups, &[], range, usize::MAX)
    }

    /// Reads on from where the last call ended, up to so many rows of `start..stop`; fewer come at the end of the file only.
    pub(super) fn read_block(
        &mut self,
        groups: &[Group],
        texts: &[usize],
        range: Option<(usize, usize)>,
        most: usize,
    ) -> Result<Rows, String> {
        let (start, stop) = range.unwrap_or((0, usize::MAX));
        let mut rows = Rows { blocks: Vec::new(), texts: vec![Vec::new(); texts.len()], lines: Vec::new(), total: 0 };
        rows.blocks.resize_with(groups.len(), Block::default);
        let mut record = ByteRecord::new();
        while rows.lines.len() < most && self.reader.read_byte_record(&mut record).map_err(|error| reason(&error))? {
            let row = self.row;
            self.row += 1;
            if row >= stop && most < usize::MAX {
                break;
            }
            if row < start || row >= stop || !self.is_picked(row) {
                continue;
            }
            let line = match self.by_line {
                true => record.position().map_or(0, ::csv::Position::line),
                false => row as u64,
            };
            rows.lines.push(line);
            for (group, block) in groups.iter().zip(&mut rows.blocks) {
                for (slot, &column) in group.columns.iter().enumerate() {
                    let cell = record.get(column).unwrap_or_default();
                    block.push(cell, group.readers.get(slot), BadCell { line, column, slot, ..BadCell::NONE });
                }
            }
            for (&column, cells) in texts.iter().zip(&mut rows.texts) {
                cells.push(String::from_utf8_lossy(record.get(column).unwrap_or_default()).into_owned());
            }
        }
        rows.total = self.row;
        Ok(rows)
    }
}

impl BadCell {
    const NONE: Self = Self { line: 0, column: 0, text: String::new(), refusal: Refusal::NoNumber, slot: 0 };
}

impl Block {
    /// Takes a cell, or notes that it stands `at` a place and is not taken.
    fn push(&mut self, cell: &[u8], reader: Option<&CellReader>, at: BadCell) {
        let value = match (std::str::from_utf8(cell), reader) {
            (Ok(text), Some(reader)) => reader.read(text),
            (Ok(""), None) => Ok(f64::NAN),
            (Ok(text), None) => match text.parse() {
                Ok(number) => Ok(number),
                Err(_) if is_missing_mark(text) => Ok(f64::NAN),
                Err(_) => Err(Refusal::NoNumber),
            },
            (Err(_), _) => Err(Refusal::NoNumber),
        };
        self.values.push(value.unwrap_or(f64::NAN));
        if let Err(refusal) = value {
            self.bad_cell_count += 1;
            if self.bad_cells.len() < BAD_CELLS_KEPT {
                let text = String::from_utf8_lossy(cell).chars().take(40).collect();
                self.bad_cells.push(BadCell { text, refusal, ..at });
            }
        }
    }
}

fn reason(error: &::csv::Error) -> String {
    match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, ::csv::Position::line);
            format!("line {line} has {}, the header has {expected_len}", counted(*len as usize, "cell"))
        }
        ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn groups_of_columns_become_blocks() {
        let text = "\u{feff}a, b,name,c\n1,2.5,x,\n-3,1e-3,\"y\nz\",4\n5,nan,w,6\n";
        let mut table = Table::open(text.as_bytes(), None, true).unwrap();
        assert_eq!(table.header, ["a", "b", "name", "c"]);
        let rows = table.read(&[vec![0, 3].into(), vec![1].into()], Some((1, 3))).unwrap();
        assert_eq!((rows.total, &rows.lines[..]), (3, &[3, 5][..]));
        assert_eq!(rows.blocks[0].values, [-3.0, 4.0, 5.0, 6.0]);
        assert_eq!(rows.blocks[1].values[0], 1e-3);
        assert!(rows.blocks[1].values[1].is_nan());
    }

    #[test]
    fn what_stands_between_cells_is_found() {
        let of = |text: &str| delimiter_of(text.as_bytes()) as char;
        let found =
            ["a,b", "a\tb", "a;b;c", "\n\n a|b\n1,2,3", "a", "", "a,b;c", "\"a;b;c\",d", "x;y\r\n1,5;2,5"].map(of);
        assert_eq!(found, [',', '\t', ';', '|', ',', ',', ',', ',', ';']);
        let mut table = Table::open("x;name\n1.5;a,b\n".as_bytes(), None, true).unwrap();
        assert_eq!(table.header, ["x", "name"]);
        assert_eq!(table.read(&[vec![0].into()], None).unwrap().blocks[0].values, [1.5]);
        // A comma within a number is no point: the cell is told of.
        let mut table = Table::open("x;y\n1,5;2\n".as_bytes(), None, true).unwrap();
        assert_eq!(table.read(&[vec![0].into()], None).unwrap().blocks[0].bad_cells[0].text, "1,5");
    }

    #[test]
    fn blocks_and_texts_are_those_of_the_whole() {
        let text = "id,a\nx1,1\nx2,2\n,3\n007,4\nx5,5\n";
        let mut table = Table::open(text.as_bytes(), None, true).unwrap();
        let mut block = |most| table.read_block(&[vec![1].into()], &[0], Some((1, 4)), most).unwrap();
        let first = block(2);
        assert_eq!(
            (&first.texts[0][..], &first.blocks[0].values[..]),
            (&["x2".into(), String::new()][..], &[2.0, 3.0][..])
        );
        let rest = block(2);
        assert_eq!((&rest.texts[0][..], &rest.lines[..], rest.total), (&["007".into()][..], &[5][..], 5));
        assert!(block(2).lines.is_empty());
    }

    #[test]
    fn text_and_uneven_lines_are_reported_with_their_line() {
        let rows = Table::open("a\n1\nred\n".as_bytes(), None, true).unwrap().read(&[vec![0].into()], None).unwrap();
        assert_eq!(rows.blocks[0].bad_cells, [BadCell { line: 3, text: "red".into(), ..BadCell::NONE }]);
        let uneven = Table::open("a,b\n1,2\n3\n".as_bytes(), None, true).unwrap().read(&[], None);
        let by_number =
            Table::open("a\n1\nred\n".as_bytes(), None, false).unwrap().read(&[vec![0].into()], Some((1, 2))).unwrap();
        assert_eq!((by_number.lines, by_number.blocks[0].bad_cells[0].line), (vec![1], 1));
        assert_eq!(uneven.unwrap_err(), "line 3 has 1 cell, the header has 2");
        assert_eq!(Table::open(&b""[..], None, true).err().as_deref(), Some("it has no header line"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(mut table) = Table::open(bytes.as_slice(), None, true) {
                let _ = table.read_block(&[vec![0].into(), vec![1, 0].into()], &[0, 7], Some((1, 5)), 2);
                let _ = table.read(&[vec![0].into(), vec![1, 0].into()], Some((1, 5)));
            }
        }
    }
}
