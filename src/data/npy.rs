//! One `.npy` array: its header, held against the bytes that are there, then its values in row-major order.
//!
//! Gives values as f32 or f64 as they are stored, integers of up to 16 bits and i32 and bool as i32, and wider integers as
//! f64: within the range of i32 that is exact, and whoever wants integers refuses what lies outside. The format is NEP 1
//! (versions 1 to 3). Texts are read as texts only. Pickled objects, structures, complex numbers and half precision are refused.

use std::io::{self, Read};

use ndarray_npy::npy::header::Header as RawHeader;

use super::{Numbers, shape_text};

/// Why an array cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NpyError {
    /// The bytes are not a whole array.
    Broken(String),
    /// A well-formed array of a kind that is not read.
    Unsupported(String),
}

impl NpyError {
    pub(super) fn reason(self) -> String {
        match self {
            NpyError::Broken(reason) | NpyError::Unsupported(reason) => reason,
        }
    }
}

impl From<io::Error> for NpyError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return NpyError::Broken("the array ends before its last value".into());
        }
        NpyError::Broken(error.to_string())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
    /// so many bytes
    Bytes(usize),
    /// so many characters of 4 bytes
    Characters(usize),
}

impl Element {
    fn size(self) -> usize {
        match self {
            Element::Bool | Element::I8 | Element::U8 => 1,
            Element::I16 | Element::U16 => 2,
            Element::I32 | Element::U32 | Element::F32 => 4,
            Element::I64 | Element::U64 | Element::F64 => 8,
            Element::Bytes(width) => width,
            Element::Characters(width) => 4 * width,
        }
    }
}

/// What an array says of itself.
#[derive(Debug)]
pub(super) struct Header {
    element: Element,
    big_endian: bool,
    fortran: bool,
    pub shape: Vec<usize>,
    /// Number of elements; `len * size` does not overflow.
    len: usize,
    /// Bytes of the header itself.
    header_len: u64,
}

/// What the values of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Whole,
    Float,
    Text,
}

impl Header {
    pub(super) fn stored(&self) -> Stored {
        match self.element {
            Element::F32 | Element::F64 => Stored::Float,
            Element::Bytes(_) | Element::Characters(_) => Stored::Text,
            _ => Stored::Whole,
        }
    }

    /// Of texts, the header of their characters' codes, and how many each has.
    fn of_codes(&self) -> Result<(Self, usize), NpyError> {
        let (element, width) = match self.element {
            Element::Bytes(width) => (Element::U8, width),
            Element::Characters(width) => (Element::U32, width),
            _ => return Err(NpyError::Unsupported("it holds no texts".into())),
        };
        let shape = self.shape.iter().copied().chain([width]).collect();
        let Self { big_endian, len, header_len, .. } = *self;
        // Of one axis both layouts are one, and the characters of a text always stand together.
        let fortran = self.fortran && self.shape.len() > 1;
        Ok((Self { element, big_endian, fortran, shape, len: len * width, header_len }, width))
    }
}

/// Real headers are under 200 bytes; one beyond this is refused before it is parsed.
const LONGEST_HEADER: usize = 16 * 1024;
/// The header's nesting is 2 deep and a shape has at most 32 axes, so more brackets than this are no shape. The parser
/// recurses, so the limit keeps its stack small.
const MOST_BRACKETS: usize = 16;
const MOST_AXES: usize = 32;

/// Reads the header and leaves the reader at the first value.
pub(super) fn read_header(reader: &mut impl Read) -> Result<Header, NpyError> {
    let broken = |reason: &str| NpyError::Broken(reason.to_owned());
    let mut bytes = vec![0; 8];
    reader.read_exact(&mut bytes).map_err(|_| broken("it does not begin like a .npy array"))?;
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err(broken("it does not begin like a .npy array"));
    }
    let text_len = if bytes[6] == 1 {
        let mut len = [0; 2];
        reader.read_exact(&mut len)?;
        bytes.extend(len);
        usize::from(u16::from_le_bytes(len))
    } else {
        let mut len = [0; 4];
        reader.read_exact(&mut len)?;
        bytes.extend(len);
        u32::from_le_bytes(len) as usize
    };
    if text_len > LONGEST_HEADER {
        return Err(NpyError::Broken(format!("its header claims {text_len} bytes")));
    }
    let text_start = bytes.len();
    bytes.resize(text_start + text_len, 0);
    reader.read_exact(&mut bytes[text_start..])?;
    if bytes[text_start..].iter().filter(|byte| b"([{".contains(byte)).count() > MOST_BRACKETS {
        return Err(NpyError::Unsupported("its element type is a structure".into()));
    }
    let raw = RawHeader::from_reader(&mut bytes.as_slice()).map_err(|error| NpyError::Broken(error.to_string()))?;
    interpret(&raw, bytes.len() as u64)
}

fn interpret(raw: &RawHeader, header_len: u64) -> Result<Header, NpyError> {
    let Some(descriptor) = raw.type_descriptor.as_string() else {
        return Err(NpyError::Unsupported("its element type is a structure".into()));
    };
    let (order, kind) = match descriptor.as_bytes() {
        [order @ (b'<' | b'>' | b'|' | b'='), ..] => (*order, &descriptor[1..]),
        _ => (b'|', descriptor.as_str()),
    };
    let element = match kind {
        "b1" | "?" => Element::Bool,
        "i1" | "b" => Element::I8,
        "u1" | "B" => Element::U8,
        "i2" => Element::I16,
        "u2" => Element::U16,
        "i4" => Element::I32,
        "u4" => Element::U32,
        "i8" => Element::I64,
        "u8" => Element::U64,
        "f4" => Element::F32,
        "f8" => Element::F64,
        _ => {
            if let Some(element) = text_element(kind) {
                return sized(raw, element, order, header_len);
            }
            return Err(NpyError::Unsupported(format!("its element type `{descriptor}` is not read")));
        }
    };
    sized(raw, element, order, header_len)
}

/// `S5`: 5 bytes; `U12`: 12 characters.
fn text_element(kind: &str) -> Option<Element> {
    let (of, width) = kind.split_at_checked(1)?;
    let width = width.parse::<usize>().ok()?;
    // Four bytes of each must be countable.
    let width = Some(width).filter(|width| *width <= usize::MAX / 4)?;
    match of {
        "S" | "a" => Some(Element::Bytes(width)),
        "U" => Some(Element::Characters(width)),
        _ => None,
    }
}

fn sized(raw: &RawHeader, element: Element, order: u8, header_len: u64) -> Result<Header, NpyError> {
    let shape = raw.shape.clone();
    let too_large = || NpyError::Broken(format!("its header claims the shape {}", shape_text(&shape)));
    if shape.len() > MOST_AXES {
        return Err(too_large());
    }
    // The row's length alone must not overflow either: with no rows the product would hide it.
    let row_len = shape.iter().skip(1).try_fold(1_usize, |product, &dim| product.checked_mul(dim));
    let len = row_len.and_then(|row_len| row_len.checked_mul(shape.first().copied().unwrap_or(1)));
    let len = len.filter(|len| len.checked_mul(element.size()).is_some()).ok_or_else(too_large)?;
    Ok(Header { element, big_endian: order == b'>', fortran: raw.layout.is_fortran(), shape, len, header_len })
}

/// Reads the values of the rows `start..stop` (all when `None`; a range beyond the array is cut to it).
/// `available` is the number of bytes from the header's first byte to the end of the array's file.
pub(super) fn read_values(
    reader: &mut impl Read,
    header: &Header,
    available: u64,
    rows: Option<(usize, usize)>,
) -> Result<Numbers, NpyError> {
    let mut all = None;
    read_blocks(reader, header, available, rows.unwrap_or((0, usize::MAX)), usize::MAX, &mut |values| {
        all = Some(values);
        true
    })?;
    all.map_or_else(|| decode(reader, header, 0), Ok)
}

/// As [`read_values`], in blocks of at most so many rows, until `give` has enough of them.
fn read_blocks(
    reader: &mut impl Read,
    header: &Header,
    available: u64,
    rows: (usize, usize),
    block: usize,
    give: &mut dyn FnMut(Numbers) -> bool,
) -> Result<(), NpyError> {
    let claimed = (header.len * header.element.size()) as u64;
    let there = available.saturating_sub(header.header_len);
    if claimed > there {
        return Err(NpyError::Broken(format!(
            "its header claims {claimed} bytes of values for the shape {}, the file has {there}",
            shape_text(&header.shape)
        )));
    }
    let row_count = header.shape.first().copied().unwrap_or(1);
    let start = rows.0.min(row_count);
    let stop = rows.1.min(row_count).max(start);
    let block = block.max(1);
    let blocks = (start..stop).step_by(block).map(|first| (first, stop.min(first.saturating_add(block))));
    if header.fortran && header.shape.len() > 1 {
        let all = decode(reader, header, header.len)?;
        for (first, stop) in blocks {
            let goes_on = give(match &all {
                Numbers::F32(values) => Numbers::F32(row_major(values, &header.shape, first, stop)),
                Numbers::F64(values) => Numbers::F64(row_major(values, &header.shape, first, stop)),
                Numbers::I32(values) => Numbers::I32(row_major(values, &header.shape, first, stop)),
            });
            if !goes_on {
                break;
            }
        }
        return Ok(());
    }
    let row_len = header.len.checked_div(row_count).unwrap_or(0);
    let skipped = (start * row_len * header.element.size()) as u64;
    if io::copy(&mut reader.by_ref().take(skipped), &mut io::sink())? < skipped {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    for (first, stop) in blocks {
        if !give(decode(reader, header, (stop - first) * row_len)?) {
            break;
        }
    }
    Ok(())
}

/// Reads texts of the rows `start..stop` in blocks of at most so many rows, until `give` has enough of them. NUL characters at an
/// end are padding.
fn read_text_blocks(
    reader: &mut impl Read,
    header: &Header,
    available: u64,
    rows: (usize, usize),
    block: usize,
    give: &mut dyn FnMut(Vec<String>) -> bool,
) -> Result<(), NpyError> {
    let (codes, width) = header.of_codes()?;
    if width == 0 {
        let n_rows = rows.1.min(header.len).saturating_sub(rows.0);
        let mut left = n_rows;
        while left > 0 && give(vec![String::new(); left.min(block.max(1))]) {
            left -= left.min(block.max(1));
        }
        return Ok(());
    }
    let mut wrong = None;
    read_blocks(reader, &codes, available, rows, block, &mut |values| {
        let codes: Vec<u32> = (0..values.len()).map(|at| values.get(at) as u32).collect();
        match codes.chunks(width).map(|text| text_of(header.element, text)).collect::<Option<Vec<String>>>() {
            Some(texts) => give(texts),
            None => {
                wrong = Some(NpyError::Broken("one of its texts is none".into()));
                false
            }
        }
    })?;
    wrong.map_or(Ok(()), Err)
}

/// What an array gives for some of its rows.
pub(super) trait RowValues: Sized {
    /// Reads the rows `start..stop` in blocks of at most so many rows, until `give` has enough of them.
    fn read(
        reader: &mut impl Read,
        header: &Header,
        available: u64,
        rows: (usize, usize),
        block: usize,
        give: &mut dyn FnMut(Self) -> bool,
    ) -> Result<(), NpyError>;
}

impl RowValues for Numbers {
    fn read(
        reader: &mut impl Read,
        header: &Header,
        available: u64,
        rows: (usize, usize),
        block: usize,
        give: &mut dyn FnMut(Self) -> bool,
    ) -> Result<(), NpyError> {
        read_blocks(reader, header, available, rows, block, give)
    }
}

impl RowValues for Vec<String> {
    fn read(
        reader: &mut impl Read,
        header: &Header,
        available: u64,
        rows: (usize, usize),
        block: usize,
        give: &mut dyn FnMut(Self) -> bool,
    ) -> Result<(), NpyError> {
        read_text_blocks(reader, header, available, rows, block, give)
    }
}

/// A text by its codes; none where they are no characters.
fn text_of(element: Element, codes: &[u32]) -> Option<String> {
    let n_codes = codes.iter().rposition(|code| *code != 0).map_or(0, |last| last + 1);
    let codes = &codes[..n_codes];
    if matches!(element, Element::Characters(_)) {
        return codes.iter().map(|code| char::from_u32(*code)).collect();
    }
    let bytes: Option<Vec<u8>> = codes.iter().map(|code| u8::try_from(*code).ok()).collect();
    String::from_utf8(bytes?).ok()
}

fn decode(reader: &mut impl Read, header: &Header, len: usize) -> Result<Numbers, NpyError> {
    macro_rules! read_as {
        ($kind:ident, $stored:ty, $into:ty) => {{
            let convert = if header.big_endian {
                |bytes| <$stored>::from_be_bytes(bytes) as $into
            } else {
                |bytes| <$stored>::from_le_bytes(bytes) as $into
            };
            Numbers::$kind(elements(reader, len, convert)?)
        }};
    }
    Ok(match header.element {
        Element::Bool => Numbers::I32(elements(reader, len, |[byte]: [u8; 1]| i32::from(byte != 0))?),
        Element::I8 => read_as!(I32, i8, i32),
        Element::U8 => read_as!(I32, u8, i32),
        Element::I16 => read_as!(I32, i16, i32),
        Element::U16 => read_as!(I32, u16, i32),
        Element::I32 => read_as!(I32, i32, i32),
        Element::U32 => read_as!(F64, u32, f64),
        Element::I64 => read_as!(F64, i64, f64),
        Element::U64 => read_as!(F64, u64, f64),
        Element::F32 => read_as!(F32, f32, f32),
        Element::F64 => read_as!(F64, f64, f64),
        Element::Bytes(_) | Element::Characters(_) => {
            return Err(NpyError::Unsupported("it holds texts, not numbers".into()));
        }
    })
}

fn elements<const SIZE: usize, T>(
    reader: &mut impl Read,
    len: usize,
    convert: impl Fn([u8; SIZE]) -> T,
) -> Result<Vec<T>, NpyError> {
    let mut values = Vec::new();
    let no_memory = |_| NpyError::Broken(format!("its {len} values do not fit in memory"));
    values.try_reserve_exact(len).map_err(no_memory)?;
    let mut buffer = vec![0; 8192 * SIZE];
    while values.len() < len {
        let bytes = &mut buffer[..(len - values.len()).min(8192) * SIZE];
        reader.read_exact(bytes)?;
        let (chunks, _) = bytes.as_chunks::<SIZE>();
        values.extend(chunks.iter().map(|&chunk| convert(chunk)));
    }
    Ok(values)
}

/// The rows `start..stop` of a column-major array, row-major.
fn row_major<T: Copy>(values: &[T], shape: &[usize], start: usize, stop: usize) -> Vec<T> {
    let mut strides = vec![1; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let row_len: usize = shape[1..].iter().product();
    let mut out = Vec::with_capacity((stop - start) * row_len);
    for row in start..stop {
        let mut index = vec![0; shape.len()];
        index[0] = row;
        for _ in 0..row_len {
            out.push(values[index.iter().zip(&strides).map(|(&at, &stride)| at * stride).sum::<usize>()]);
            for axis in (1..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ShapeBuilder, array};
    use ndarray_npy::WriteNpyExt;
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], rows: Option<(usize, usize)>) -> Result<(Vec<usize>, Numbers), NpyError> {
        let mut reader = bytes;
        let header = read_header(&mut reader)?;
        let values = read_values(&mut reader, &header, bytes.len() as u64, rows)?;
        Ok((header.shape, values))
    }

    fn bytes_of(array: &impl WriteNpyExt) -> Vec<u8> {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).unwrap();
        bytes
    }

    fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(header.len() + 1).unwrap().to_le_bytes());
        bytes.extend(header.bytes());
        bytes.push(b'\n');
        bytes.extend(data);
        bytes
    }

    #[test]
    fn texts_are_read_as_texts_alone() {
        let read = |bytes: &[u8], block| {
            let mut reader = bytes;
            let header = read_header(&mut reader)?;
            assert_eq!(header.stored(), Stored::Text);
            let mut all = Vec::new();
            read_text_blocks(&mut reader, &header, bytes.len() as u64, (1, 9), block, &mut |texts| {
                all.push(texts);
                true
            })?;
            Ok::<_, NpyError>(all)
        };
        let header = |kind: &str| format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (3,), }}");
        let wide = |texts: [&str; 3], of: fn(u32) -> [u8; 4]| -> Vec<u8> {
            let codes =
                texts.iter().flat_map(|text| text.chars().map(u32::from).chain([0; 3]).take(3).collect::<Vec<_>>());
            codes.flat_map(of).collect()
        };
        let texts = ["a", "", "ñ€c"];
        for bytes in [
            with_header(&header("<U3"), &wide(texts, u32::to_le_bytes)),
            with_header(&header(">U3"), &wide(texts, u32::to_be_bytes)),
        ] {
            assert_eq!(read(&bytes, 1), Ok(vec![vec![String::new()], vec!["ñ€c".to_string()]]));
        }
        let bytes = with_header(&header("|S2"), b"ab\0\0c\0");
        assert_eq!(read(&bytes, 9), Ok(vec![vec![String::new(), "c".to_string()]]));
        assert_eq!(read(&with_header(&header("<U0"), b""), 1), Ok(vec![vec![String::new()]; 2]));
        assert!(matches!(super::tests::read(&bytes, None), Err(NpyError::Unsupported(_))));
        let surrogate = with_header(&header("<U1"), &[0, 0, 0, 0, 0, 0xd8, 0, 0, 0, 0, 0, 0]);
        assert!(matches!(read(&surrogate, 9), Err(NpyError::Broken(_))));
        let short = with_header(&header("<U9"), &[0; 8]);
        assert!(matches!(read(&short, 9), Err(NpyError::Broken(_))));
    }

    #[test]
    fn values_come_row_major_from_both_layouts() {
        let rows: Array2<f32> = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let mut columns = Array2::<f32>::zeros((2, 3).f());
        columns.assign(&rows);
        for bytes in [bytes_of(&rows), bytes_of(&columns)] {
            let all = Numbers::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            assert_eq!(read(&bytes, None), Ok((vec![2, 3], all)));
            assert_eq!(read(&bytes, Some((1, 2))), Ok((vec![2, 3], Numbers::F32(vec![4.0, 5.0, 6.0]))));
            let mut reader = bytes.as_slice();
            let header = read_header(&mut reader).unwrap();
            let mut blocks = Vec::new();
            let mut give = |values| {
                blocks.push(values);
                true
            };
            read_blocks(&mut reader, &header, bytes.len() as u64, (0, 9), 1, &mut give).unwrap();
            assert_eq!(blocks, [Numbers::F32(vec![1.0, 2.0, 3.0]), Numbers::F32(vec![4.0, 5.0, 6.0])]);
        }
    }

    #[test]
    fn integers_of_every_width_are_read() {
        assert_eq!(read(&bytes_of(&array![true, false]), None), Ok((vec![2], Numbers::I32(vec![1, 0]))));
        assert_eq!(read(&bytes_of(&array![250_u8]), None), Ok((vec![1], Numbers::I32(vec![250]))));
        assert_eq!(read(&bytes_of(&array![-3_i64]), None), Ok((vec![1], Numbers::F64(vec![-3.0]))));
        let big = with_header("{'descr': '>i2', 'fortran_order': False, 'shape': (1,), }", &[1, 0]);
        assert_eq!(read(&big, None), Ok((vec![1], Numbers::I32(vec![256]))));
    }

    #[test]
    fn claims_are_held_against_the_bytes() {
        for shape in ["(99999999999,)", "(4294967296, 4294967296, 4294967296)", "(0, 4294967296, 4294967296)"] {
            let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            assert!(matches!(read(&with_header(&text, &[0; 16]), None), Err(NpyError::Broken(_))), "{shape}");
        }
        let nested = format!("{}1{}", "(".repeat(9000), ")".repeat(5000));
        assert!(matches!(read(&with_header(&nested, &[]), None), Err(NpyError::Unsupported(_))));
        let object = with_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", &[0; 8]);
        assert!(matches!(read(&object, None), Err(NpyError::Unsupported(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), real in any::<bool>()) {
            if real {
                bytes.splice(0..0, *b"\x93NUMPY\x01\x00\x40\x00");
            }
            let _ = read(&bytes, Some((1, 3)));
        }

        #[test]
        fn a_damaged_array_never_panics(at in 0_usize..180, byte in any::<u8>(), cut in 0_usize..180) {
            let mut bytes = bytes_of(&array![[1.0_f32, 2.0], [3.0, 4.0]]);
            let last = bytes.len() - 1;
            bytes[at.min(last)] = byte;
            let _ = read(&bytes, None);
            bytes.truncate(cut);
            let _ = read(&bytes, None);
        }
    }
}
