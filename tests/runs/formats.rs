//! Data in every format that is read: the same rows come out, and what is broken is told of.

use anabranch::data::{
    DataSource, Dataset, FieldKind, FieldSpec, Numbers, NumbersRef, TensorRef, load, write_npz, write_safetensors,
};
use anabranch::diag::{Code, Diagnostics};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::catch_unwind;
use std::path::Path;
use tempfile::TempDir;

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> DataSource {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    DataSource::new(path)
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// `a`, `b` with a missing value, and whole numbers `n`.
fn specs() -> Vec<FieldSpec> {
    let float = |name: &str| FieldSpec::new(name, &[], FieldKind::Float);
    vec![float("a"), float("b").optional(), FieldSpec::new("n", &[], FieldKind::Int)]
}

fn table(between: &str) -> String {
    let rows =
        [["a", "b", "n", "name"], ["1.5", "-2", "3", "x"], ["0.25", "", "-4", "\"y\nz\""], ["1e-3", "7", "0", ""]];
    rows.map(|row| row.join(between) + "\n").concat()
}

const LINES: &str = "{\"a\": 1.5, \"b\": -2, \"n\": 3, \"name\": \"x\"}\n\n\
    {\"n\": -4, \"a\": 0.25, \"b\": null}\n{\"a\": 0.001, \"b\": 7.0, \"n\": 0, \"more\": true}\n";

/// Values by field; what is missing by its bits.
fn bits(dataset: &Dataset) -> Vec<(String, Vec<u64>)> {
    let values = |numbers: &Numbers| (0..numbers.len()).map(|at| numbers.get(at).to_bits()).collect();
    dataset.fields.iter().map(|(name, field)| (name.clone(), values(&field.values))).collect()
}

fn message(found: Result<Dataset, Diagnostics>) -> (Code, String) {
    let found = found.expect_err("the file is broken").0;
    (found[0].code, [found[0].headline.clone(), found[0].notes.join("\n")].join("\n"))
}

#[test]
fn tables_of_every_format_hold_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let expected = bits(&load(&write(&folder, "d.csv", table(",").as_bytes()), &specs()).unwrap());
    assert_eq!(expected[2].1, [3.0, -4.0, 0.0].map(f64::to_bits));
    let others = [
        ("tabs.csv", table("\t").into_bytes()),
        ("semicolons.csv", table(";").into_bytes()),
        ("bars.csv", table("|").into_bytes()),
        ("d.tsv", table("\t").into_bytes()),
        ("d.jsonl", LINES.as_bytes().to_vec()),
        ("d.ndjson", LINES.as_bytes().to_vec()),
        ("d.csv.gz", packed(table(";").as_bytes())),
        ("D.JSONL.GZ", packed(LINES.as_bytes())),
        // Two packed parts are one file, as gzip's own are.
        ("parts.csv.gz", [packed(&table(",").as_bytes()[..9]), packed(&table(",").as_bytes()[9..])].concat()),
    ];
    for (name, bytes) in others {
        let found = load(&write(&folder, name, &bytes), &specs()).unwrap_or_else(|found| panic!("{name}: {found:?}"));
        assert_eq!(bits(&found), expected, "{name}");
    }
}

#[test]
fn arrays_of_every_format_hold_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..12).map(|at| at as f32 - 3.5).collect();
    let counts = [7, -1, 0];
    let tensors = [
        TensorRef { name: "x", shape: &[3, 4], values: NumbersRef::F32(&values) },
        TensorRef { name: "n", shape: &[3], values: NumbersRef::I32(&counts) },
    ];
    let specs = [FieldSpec::new("x", &[Some(4)], FieldKind::Float), FieldSpec::new("n", &[], FieldKind::Int)];
    let path = |name: &str| folder.path().join(name);
    write_npz(&path("d.npz"), &tensors).unwrap();
    write_safetensors(&path("d.safetensors"), &tensors, &BTreeMap::new()).unwrap();
    let expected = bits(&load(&DataSource::new(path("d.npz")), &specs).unwrap());
    assert_eq!(bits(&load(&DataSource::new(path("d.safetensors")), &specs).unwrap()), expected);
    let bytes = std::fs::read(path("d.safetensors")).unwrap();
    let source = write(&folder, "d.safetensors.gz", &packed(&bytes));
    assert_eq!(bits(&load(&source, &specs).unwrap()), expected);
}

fn idx(kind: u8, shape: &[u32], values: &[u8]) -> Vec<u8> {
    let extents = shape.iter().flat_map(|extent| extent.to_be_bytes());
    [0, 0, kind, shape.len() as u8].into_iter().chain(extents).chain(values.iter().copied()).collect()
}

#[test]
fn idx_is_read_in_all_its_types() {
    let folder = tempfile::tempdir().unwrap();
    let spec = [FieldSpec::new("image", &[Some(2)], FieldKind::Float)];
    let numbers = [0.0, 1.0, 5.0, 100.0];
    let of = |bytes: &dyn Fn(f64) -> Vec<u8>| numbers.iter().flat_map(|number| bytes(*number)).collect::<Vec<u8>>();
    let types: [(u8, Vec<u8>); 6] = [
        (0x08, of(&|number| vec![number as u8])),
        (0x09, of(&|number| (number as i8).to_be_bytes().to_vec())),
        (0x0b, of(&|number| (number as i16).to_be_bytes().to_vec())),
        (0x0c, of(&|number| (number as i32).to_be_bytes().to_vec())),
        (0x0d, of(&|number| (number as f32).to_be_bytes().to_vec())),
        (0x0e, of(&|number| number.to_be_bytes().to_vec())),
    ];
    for (kind, values) in types {
        for name in ["train-images-idx2-ubyte", "d.idx", "t10k-images-idx2-ubyte.gz"] {
            let bytes = idx(kind, &[2, 2], &values);
            let bytes = if name.ends_with(".gz") { packed(&bytes) } else { bytes };
            let found = load(&write(&folder, name, &bytes), &spec).unwrap();
            assert_eq!((found.rows, &found.fields["image"].shape[..]), (2, &[2][..]));
            assert_eq!(bits(&found)[0].1, numbers.map(f64::to_bits), "{kind}");
        }
    }
    for (broken, said) in [
        (idx(0x08, &[2, 2], &[1, 2, 3]), "claims 4 bytes of values, and there are 3"),
        (idx(0x08, &[u32::MAX; 3], &[1]), "claims more than 2^64"),
        (idx(0x0a, &[1], &[1]), "0x0a is none of idx"),
        (idx(0x08, &[], &[]), "without axes"),
        (b"\x00\x00\x08".to_vec(), "does not begin like an idx array"),
        (b"\x1f\x8b\x08\x00aaaaaaa".to_vec(), "does not begin like an idx array"),
    ] {
        let (code, text) = message(load(&write(&folder, "d.idx", &broken), &spec));
        assert!(code == Code::E0601 && text.contains(said), "{text}");
    }
}

#[test]
fn json_lines_that_are_no_table_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let nested = "{\"x\": [[1, 2], [3, 4]], \"a\": 1}\n{\"x\": null, \"a\": 2}\n";
    let mut source = write(&folder, "d.jsonl", nested.as_bytes());
    let spec = [FieldSpec::new("x", &[Some(2), Some(2)], FieldKind::Float).optional()];
    // Named as a table's columns are.
    assert_eq!(message(load(&source, &spec)).0, Code::E0603);
    source.columns.insert("x".into(), anabranch::data::ColumnSpec::parse("x_0..x_3").unwrap());
    assert_eq!(bits(&load(&source, &spec).unwrap())[0].1[..4], [1.0, 2.0, 3.0, 4.0].map(f64::to_bits));
    for (broken, said) in [
        ("{\"a\": 1}\n{\"a\": [1, 2]}\n", "`a` has 2 in an array on line 2, and one value before"),
        ("{\"a\": {\"b\": 1}}\n", "`a` on line 1, which is an object"),
        ("{\"a\": 1}\n[1]\n", "line 2 is no object"),
        ("{\"a\": 1}\n{\"a\": \n", "line 2 is no JSON"),
        ("", "it has no header line"),
    ] {
        let (code, text) = message(load(&write(&folder, "d.jsonl", broken.as_bytes()), &specs()[..1]));
        assert!(code == Code::E0601 && text.contains(said), "{text}");
    }
    // A cell that is no number is said of its row.
    let text = message(load(&write(&folder, "d.jsonl", b"{\"a\": 1}\n{\"a\": \"red\"}\n"), &specs()[..1])).1;
    assert!(text.contains("`red` at row 1, column `a`"), "{text}");
}

#[test]
fn a_name_that_says_no_format_is_told_what_would() {
    let (code, text) = message(load(&DataSource::new(Path::new("d.xlsx")), &specs()));
    assert!(code == Code::E0601 && text.contains("`.tsv`") && text.contains("`.gz` behind it"), "{text}");
    for name in ["d.gz", "d"] {
        assert_eq!(message(load(&DataSource::new(Path::new(name)), &specs())).0, Code::E0601);
    }
}

/// Bytes exchanged, left out, doubled, cut off: nothing panics, what has a checksum is never read as something else, and what has a
/// length never in another.
#[test]
fn broken_files_never_panic_and_are_no_other_data() {
    let folder = tempfile::tempdir().unwrap();
    let x: Vec<f32> = (0..40).map(|at| at as f32).collect();
    let tensors = [TensorRef { name: "a", shape: &[40], values: NumbersRef::F32(&x) }];
    write_safetensors(&folder.path().join("d.safetensors"), &tensors, &BTreeMap::new()).unwrap();
    let tensors = std::fs::read(folder.path().join("d.safetensors")).unwrap();
    let files: [(&str, Vec<u8>); 7] = [
        ("d.tsv", table("\t").into_bytes()),
        ("semicolons.csv", table(";").into_bytes()),
        ("d.csv.gz", packed(table(",").as_bytes())),
        ("d.jsonl.gz", packed(LINES.as_bytes())),
        ("d.jsonl", LINES.as_bytes().to_vec()),
        ("d.idx", idx(0x0d, &[40], &x.iter().flat_map(|x| x.to_be_bytes()).collect::<Vec<u8>>())),
        ("d.safetensors", tensors),
    ];
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for (name, whole) in files {
        let specs = if name.ends_with("idx") || name.ends_with("tensors") { specs()[..1].to_vec() } else { specs() };
        let expected = bits(&load(&write(&folder, name, &whole), &specs).unwrap());
        let mut n_refused = 0;
        for _ in 0..600 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random.next_u32() % 3 {
                let at = random.next_u32() as usize % bytes.len().max(1);
                match random.next_u32() % 5 {
                    0 => bytes.truncate(at),
                    1 if at < bytes.len() => drop(bytes.remove(at)),
                    2 => bytes.insert(at.min(bytes.len()), random.next_u32() as u8),
                    _ if at < bytes.len() => bytes[at] ^= 1 << (random.next_u32() % 8),
                    _ => {}
                }
            }
            let source = write(&folder, name, &bytes);
            let found = catch_unwind(|| load(&source, &specs)).unwrap_or_else(|_| panic!("{name}: {bytes:?}"));
            n_refused += usize::from(found.is_err());
            let Ok(found) = found else { continue };
            let is_same_length =
                bits(&found).iter().zip(&expected).all(|(found, expected)| found.1.len() == expected.1.len());
            match name {
                _ if name.ends_with(".gz") => assert_eq!(bits(&found), expected, "{name}: {bytes:?}"),
                "d.idx" | "d.safetensors" => assert!(is_same_length || bytes.len() != whole.len(), "{name}: {bytes:?}"),
                _ => {}
            }
        }
        assert!(n_refused > 100, "{name}: {n_refused}");
    }
}
