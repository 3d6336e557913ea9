//! Data files through the public API: what is read, and what is said of files that do not fit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anabranch::data::params::{self, Coverage, ParamsSource};
use anabranch::data::{
    ColumnSpec, DataSource, Dataset, FieldKind, FieldSpec, MISSING_INT, Numbers, NumbersRef, TensorRef, load,
    write_npz, write_safetensors,
};
use anabranch::diag::{Code, Diagnostic, SourceMap, Span};
use proptest::prelude::*;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn csv(folder: &TempDir, text: &str) -> DataSource {
    let path = folder.path().join("data.csv");
    std::fs::write(&path, text).unwrap();
    DataSource::new(path)
}

fn npz(folder: &TempDir, tensors: &[TensorRef<'_>]) -> DataSource {
    let path = folder.path().join("data.npz");
    write_npz(&path, tensors).unwrap();
    DataSource::new(path)
}

fn tensor<'a>(name: &'a str, shape: &'a [usize], values: &'a [f32]) -> TensorRef<'a> {
    TensorRef { name, shape, values: NumbersRef::F32(values) }
}

fn float(name: &str, shape: &[usize]) -> FieldSpec {
    let shape: Vec<Option<usize>> = shape.iter().copied().map(Some).collect();
    FieldSpec::new(name, &shape, FieldKind::Float)
}

fn int(name: &str) -> FieldSpec {
    FieldSpec::new(name, &[], FieldKind::Int)
}

/// Loads and gives the mistakes as code, headline and everything else in one text.
fn mistakes(source: &DataSource, fields: &[FieldSpec]) -> Vec<(Code, String, String)> {
    let file = source.path.display().to_string();
    let text = |diagnostic: &Diagnostic| [diagnostic.notes.join("\n"), diagnostic.helps.join("\n")].join("\n");
    let diagnostics = load(source, fields).expect_err("the data does not fit").0;
    diagnostics.iter().map(|found| (found.code, found.headline.replace(&file, "FILE"), text(found))).collect()
}

fn mistake(source: &DataSource, fields: &[FieldSpec]) -> (Code, String, String) {
    let mut all = mistakes(source, fields);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn columns(pairs: &[(&str, &str)]) -> indexmap::IndexMap<String, ColumnSpec> {
    pairs.iter().map(|(field, text)| ((*field).to_owned(), ColumnSpec::parse(text).unwrap())).collect()
}

#[test]
fn columns_become_shaped_fields() {
    let folder = folder();
    let mut source = csv(&folder, "p0,p1,p2,p3,name,digit\n0,1,2,3,one,7\n4,5,6,7,two,8\n8,9,1,2,three,9\n");
    source.columns = columns(&[("image", "p0..p3")]);
    source.rows = Some((1, 3));
    let open = FieldSpec::new("image", &[None, Some(2)], FieldKind::Float);
    for image in [float("image", &[2, 2]), open] {
        let dataset = load(&source, &[image, int("digit")]).unwrap();
        assert_eq!(dataset.rows, 2);
        assert_eq!(dataset.fields["image"].shape, [2, 2]);
        assert_eq!(dataset.fields["digit"].values, Numbers::I32(vec![8, 9]));
        let mut row = [0_f32; 4];
        assert!(dataset.fill_float("image", &[1], &mut row));
        assert_eq!(row, [8.0, 9.0, 1.0, 2.0]);
    }
}

#[test]
fn all_mistakes_of_a_table_are_reported_at_once() {
    let folder = folder();
    let source = csv(&folder, "id,age,digit,price\na,30,1,2.5\nb,,1.5,cheap\n");
    let all = mistakes(&source, &[float("age", &[]), int("digit"), float("prize", &[]), float("price", &[])]);
    let headlines: Vec<(Code, &str)> = all.iter().map(|(code, headline, _)| (*code, headline.as_str())).collect();
    assert_eq!(
        headlines,
        [
            (Code::E0603, "`FILE` has no column `prize`"),
            (Code::E0604, "field `age` of `FILE` has 1 value that is no finite number"),
            (Code::E0604, "field `digit` of `FILE` has 1 value that is no integer"),
            (Code::E0604, "field `price` of `FILE` has 1 value that is no finite number"),
        ]
    );
    assert!(all[0].2.contains("did you mean `price`?") && all[0].2.contains("found: id, age, digit, price"));
    assert!(all[1].2.contains("found: NaN (a missing value) at line 3, column `age`"), "{}", all[1].2);
    assert!(all[2].2.contains("found: 1.5 at line 3, column `digit`"), "{}", all[2].2);
    assert!(all[3].2.contains("found: `cheap` at line 3, column `price`"), "{}", all[3].2);
}

#[test]
fn columns_that_are_numbered_by_the_field_are_offered() {
    let folder = folder();
    let source = csv(&folder, "k,x_0,x_1,x_2,t2,t3,u_0,u_2\n1,2,3,4,5,6,7,8\n");
    let help = |name: &str, shape: &[usize]| mistake(&source, &[float(name, shape)]).2;
    assert!(help("x", &[3]).contains("say so: `columns: { x: x_0..x_2 }`"), "{}", help("x", &[3]));
    assert!(help("t", &[2, 1]).contains("`columns: { t: t2..t3 }`"));
    // Another number of columns than a row has, and a number that is left out.
    assert!(!help("x", &[4]).contains("x_0..") && !help("u", &[2]).contains("u_0.."));
}

#[test]
fn empty_cells_are_missing_values_of_optional_fields() {
    let folder = folder();
    let source = csv(&folder, "age,digit\n30,1\n,\n");
    let dataset = load(&source, &[float("age", &[]).optional(), int("digit").optional()]).unwrap();
    assert_eq!(dataset.fields["digit"].values, Numbers::I32(vec![1, MISSING_INT]));
    let mut age = [0_f64; 2];
    assert!(dataset.fill_float("age", &[0, 1], &mut age));
    assert!(age[0] == 30.0 && age[1].is_nan());
}

#[test]
fn columns_that_do_not_fit_are_explained() {
    let folder = folder();
    let mut source = csv(&folder, "p0,p1,p1\n1,2,3\n");
    let (code, headline, rest) = mistake(&source, &[float("p0", &[2, 2])]);
    assert_eq!((code, headline.as_str()), (Code::E0603, "the columns of field `p0` do not make up its shape"));
    assert!(rest.contains("found: 1 column\nexpected: one row of shape [2, 2]"), "{rest}");
    assert_eq!(mistake(&source, &[float("p1", &[])]).1, "`FILE` has the column `p1` twice");
    source.columns = columns(&[("image", "p0..p4000000000")]);
    assert_eq!(mistake(&source, &[float("image", &[4])]).1, "field `image` names more columns than `FILE` has");
    source.rows = Some((0, 9));
    let (_, headline, rest) = mistake(&source, &[float("p0", &[])]);
    assert_eq!(headline, "rows 0..9 are not all in `FILE`");
    assert!(rest.contains("found: 1 row"));
}

#[test]
fn arrays_are_read_with_prefix_names_and_rows() {
    let folder = folder();
    let images: Vec<f32> = (0..12).map(|value| value as f32).collect();
    let labels = TensorRef { name: "data/y", shape: &[3], values: NumbersRef::I32(&[1, 2, 3]) };
    let mut source = npz(&folder, &[tensor("data/x", &[3, 2, 2], &images), labels, tensor("other", &[1], &[0.0])]);
    source.prefix = Some("data/".into());
    source.columns = columns(&[("digit", "y")]);
    source.rows = Some((1, 3));
    let dataset = load(&source, &[float("x", &[2, 2]), int("digit")]).unwrap();
    assert_eq!(dataset.fields["x"].values, Numbers::F32(images[4..].to_vec()));
    assert_eq!(dataset.fields["digit"].values, Numbers::I32(vec![2, 3]));
    let (_, headline, rest) = mistake(&source, &[float("xx", &[2, 2])]);
    assert_eq!(headline, "`FILE` has no array `xx`");
    assert!(rest.contains("found: x, y") && rest.contains("did you mean `x`?"), "{rest}");
}

#[test]
fn arrays_of_another_shape_are_explained() {
    let folder = folder();
    let source = npz(&folder, &[tensor("x", &[2, 4], &[0.0; 8]), tensor("y", &[2], &[f32::NAN, 1.0])]);
    let all = mistakes(&source, &[float("x", &[2, 2]), float("y", &[1])]);
    assert_eq!(all.len(), 2);
    assert!(all[0].2.contains("found: [rows, 4]\nexpected: [rows, 2, 2]"), "{}", all[0].2);
    assert!(all[0].2.contains("array.reshape(-1, 2, 2)"), "{}", all[0].2);
    assert!(all[1].2.contains("found: [rows]\nexpected: [rows, 1]"), "{}", all[1].2);
    assert!(all[1].2.contains("array.reshape(-1, 1)"), "{}", all[1].2);
    let (code, _, rest) = mistake(&source, &[float("y", &[])]);
    assert_eq!(code, Code::E0604);
    assert!(rest.contains("NaN (a missing value) at row 0"), "{rest}");
}

#[test]
fn row_counts_must_agree() {
    let folder = folder();
    let source = npz(&folder, &[tensor("x", &[2], &[0.0; 2]), tensor("y", &[3], &[0.0; 3]), tensor("z", &[], &[0.0])]);
    let (code, headline, rest) = mistake(&source, &[float("x", &[]), float("y", &[])]);
    assert_eq!((code, headline.as_str()), (Code::E0603, "the fields of `FILE` have different numbers of rows"));
    assert!(rest.contains("found: `x` has 2, `y` has 3"));
    assert_eq!(mistake(&source, &[float("z", &[])]).1, "the array of field `z` in `FILE` has no row axis");
}

#[test]
fn one_array_alone_is_read_from_npy() {
    let folder = folder();
    let path = folder.path().join("x.npy");
    ndarray_npy::write_npy(&path, &ndarray::array![[1_i64, 2], [3, i64::MAX]]).unwrap();
    let source = DataSource { rows: Some((0, 1)), ..DataSource::new(&path) };
    let field = |kind| FieldSpec::new("x", &[Some(2)], kind);
    assert_eq!(load(&source, &[field(FieldKind::Int)]).unwrap().fields["x"].values, Numbers::I32(vec![1, 2]));
    let (code, _, rest) = mistake(&DataSource::new(&path), &[field(FieldKind::Int)]);
    assert_eq!(code, Code::E0604);
    assert!(rest.contains("row 1, element [1]"), "{rest}");
    assert!(load(&DataSource::new(&path), &[field(FieldKind::Float)]).is_ok());
    let two = mistake(&source, &[field(FieldKind::Int), float("y", &[])]);
    assert_eq!(two.1, "`FILE` holds one array, field `y` needs another");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = folder();
    let not_a_file = folder.path().join("folder.csv");
    std::fs::create_dir(&not_a_file).unwrap();
    assert_eq!(mistake(&DataSource::new(not_a_file), &[]).0, Code::E0601);
    let absent = DataSource::new(folder.path().join("absent.csv"));
    assert_eq!(mistake(&absent, &[]).0, Code::E0601);
    assert_eq!(mistake(&DataSource::new("table.xlsx"), &[]).1, "the format of `FILE` is not known");
    let broken = folder.path().join("broken.npz");
    std::fs::write(&broken, b"PK\x03\x04 and no more").unwrap();
    assert_eq!(mistake(&DataSource::new(broken), &[float("x", &[])]).1, "`FILE` is broken");
    assert_eq!(mistake(&csv(&folder, "a,b\n1\n"), &[float("a", &[])]).1, "`FILE` is broken");
}

#[test]
fn mistakes_point_at_the_spec_and_the_run_config() {
    let folder = folder();
    let mut source = csv(&folder, "a\n1\n");
    let mut sources = SourceMap::default();
    let (spec, config) = (sources.add("spec.anb", ""), sources.add("run.yaml", ""));
    let (declared, named) = (Span::new(spec, 3, 5), Span::new(config, 7, 9));
    source.span = Some(named);
    let found = load(&source, &[float("b", &[]).at(declared)]).unwrap_err().0.remove(0);
    assert_eq!(found.primary.unwrap().span, declared);
    assert_eq!(found.labels[0].span, named);
}

fn round_trip(path: &Path, tensors: &[TensorRef<'_>]) -> params::NamedTensors {
    let metadata = BTreeMap::from([("spec".to_owned(), "digits".to_owned()), ("epoch".to_owned(), "3".to_owned())]);
    write_safetensors(path, tensors, &metadata).unwrap();
    let read = params::read(&ParamsSource::new(path)).unwrap();
    assert_eq!(read.metadata, metadata);
    read
}

#[test]
fn params_come_back_as_they_were_written() {
    let folder = folder();
    let path = folder.path().join("params.safetensors");
    let tensors = [
        tensor("dense.kernel", &[2, 2], &[1.0, -0.0, f32::MIN_POSITIVE, 3.5]),
        TensorRef { name: "step", shape: &[], values: NumbersRef::I32(&[7]) },
        TensorRef { name: "alpha", shape: &[1], values: NumbersRef::F64(&[0.1]) },
        tensor("empty", &[0, 3], &[]),
    ];
    let read = round_trip(&path, &tensors);
    for wanted in &tensors {
        let found = &read.tensors[wanted.name];
        assert_eq!((found.shape.as_slice(), NumbersRef::from(&found.values)), (wanted.shape, wanted.values));
    }
    let bytes = std::fs::read(&path).unwrap();
    write_safetensors(&path, &read.refs(), &read.metadata).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    let left_over = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left_over, 1, "no temporary file stays");
}

#[test]
fn params_are_renamed_and_held_against_the_program() {
    let folder = folder();
    let path = folder.path().join("init.npz");
    let arrays =
        [tensor("param/ck", &[2], &[1.0, 2.0]), tensor("param/cb", &[1], &[0.0]), tensor("data/x", &[1], &[0.0])];
    write_npz(&path, &arrays).unwrap();
    let mut source = ParamsSource::new(&path);
    source.prefix = Some("param/".into());
    source.names = [("ck", "box.kernel"), ("cb", "box.bias")].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    let read = params::read(&source).unwrap();
    assert_eq!(read.tensors.keys().collect::<Vec<_>>(), ["box.kernel", "box.bias"]);
    assert!(read.check(&source, &[("box.kernel", &[2]), ("box.bias", &[1])], Coverage::Complete).is_ok());
    let wanted: &[(&str, &[usize])] = &[("box.kernel", &[3]), ("box.bas", &[1])];
    let wrong = read.check(&source, wanted, Coverage::Complete).unwrap_err().0;
    assert_eq!(wrong.iter().map(|found| found.code).collect::<Vec<_>>(), [Code::E0606; 3]);
    assert!(wrong[0].headline.ends_with("has another shape") && wrong[1].headline.ends_with("has no tensor `box.bas`"));
    assert_eq!(wrong[2].helps[0], "did you mean `box.bas`?");
    source.names.insert("cc".into(), "cls.kernel".into());
    let wrong = params::read(&source).unwrap_err().0;
    assert_eq!((wrong.len(), wrong[0].code), (1, Code::E0606));
}

#[test]
fn what_cannot_be_written_leaves_nothing_behind() {
    let folder = folder();
    let absent = folder.path().join("absent/params.safetensors");
    let one = tensor("x", &[1], &[1.0]);
    let write = |path: &Path, tensors: &[TensorRef<'_>]| write_safetensors(path, tensors, &BTreeMap::new());
    assert_eq!(write(&absent, &[one]).unwrap_err().code, Code::E0605);
    let path: PathBuf = folder.path().join("params.safetensors");
    assert_eq!(write(&path, &[one, one]).unwrap_err().code, Code::E0605);
    assert_eq!(write(&path, &[tensor("x", &[2], &[1.0])]).unwrap_err().code, Code::E0605);
    assert_eq!(write_npz(folder.path(), &[one]).unwrap_err().code, Code::E0605);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn try_everything(path: &Path) -> Option<Dataset> {
    let _ = params::read(&ParamsSource::new(path));
    load(&DataSource::new(path), &[float("x", &[2]), int("y").optional()]).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn hostile_files_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), extension in 0_usize..4) {
        let folder = folder();
        let path = folder.path().join("file").with_extension(["csv", "npy", "npz", "safetensors"][extension]);
        std::fs::write(&path, bytes).unwrap();
        let _ = try_everything(&path);
    }

    #[test]
    fn damaged_archives_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let folder = folder();
        let path = npz(&folder, &[tensor("x", &[2, 2], &[0.0; 4]), tensor("y", &[2], &[1.0, 2.0])]).path;
        let mut bytes = std::fs::read(&path).unwrap();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        std::fs::write(&path, bytes).unwrap();
        let _ = try_everything(&path);
    }
}
