//! What a run config may say, and what its mistakes look like: code, headline and the text under the span.

use proptest::prelude::*;

use super::*;
use crate::data::ColumnSpec;
use crate::train::checkpointing::Every;

const FULL: &str = "\
spec: digits.anb            # the model
data:
  train: { file: digits.csv, rows: 0..1437 }
  test:  { file: digits.csv, rows: 1437..1797, columns: { digit: y } }
  validation: held_out.csv
  columns: { image: p0..p63, digit: digit, pair: [a, b] }
batch_size: 32
epochs: 20
seed: 3
shuffle: false
drop_last: true
precision: f64
output: out
params: { file: init.npz, prefix: param/, names: { ck: box.conv2d.kernel } }
set: { width: 256, rate: 1e-3, fast: true, mode: same }
";

const MINIMAL: &str = "spec: models/digits.anb\ndata: { train: d.npz }\nbatch_size: 8\nepochs: 1\n";

/// The mistakes of a text: headline and the text under the primary span.
fn mistakes(text: &str) -> Vec<(String, String)> {
    let mut sources = SourceMap::default();
    let source = sources.add("run.yaml", text);
    let diagnostics = parse(text, source).expect_err("the config is wrong").0;
    diagnostics
        .into_iter()
        .map(|diagnostic| {
            assert_eq!(diagnostic.code, Code::E0602);
            let span = diagnostic.primary.as_ref().expect("every mistake has a place").span;
            (diagnostic.headline, sources.snippet(span).to_owned())
        })
        .collect()
}

fn mistake(text: &str) -> (String, String) {
    let mut all = mistakes(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn pair(headline: &str, place: &str) -> (String, String) {
    (headline.to_owned(), place.to_owned())
}

#[test]
fn every_key_is_read() {
    let mut sources = SourceMap::default();
    let source = sources.add("run.yaml", FULL);
    let mut config = parse(FULL, source).unwrap();
    assert_eq!((config.batch_size, config.epochs, config.seed), (32, 20, 3));
    assert_eq!((config.shuffle, config.drop_last, config.precision), (false, true, Precision::F64));
    let train = config.train.as_ref().unwrap();
    assert_eq!(train.rows, Some((0, 1437)));
    assert_eq!(train.columns["image"].count(), 64);
    assert_eq!(train.columns["pair"], ColumnSpec::List(vec!["a".into(), "b".into()]));
    let test = config.test.as_ref().unwrap();
    assert_eq!(test.columns.keys().collect::<Vec<_>>(), ["digit"]);
    assert_eq!(sources.snippet(test.span.unwrap()), "digits.csv");
    assert_eq!(sources.line_column(test.span.unwrap()), (4, 18));
    let params = &config.params.as_ref().unwrap().file;
    assert_eq!((params.prefix.as_deref(), params.names["ck"].as_str()), (Some("param/"), "box.conv2d.kernel"));
    assert_eq!(config.set["width"].value, ConstValue::Int(256));
    assert_eq!(config.set["rate"].value, ConstValue::Float(1e-3));
    assert_eq!(config.set["fast"].value, ConstValue::Bool(true));
    assert_eq!(config.set["mode"].value, ConstValue::Text("same".into()));
    assert_eq!(sources.snippet(config.set["rate"].span), "1e-3");
    config.resolve(Path::new("project"));
    assert_eq!(config.validation.unwrap().path, Path::new("project/held_out.csv"));
    assert_eq!(config.spec, Path::new("project/digits.anb"));
    assert_eq!(config.output, Path::new("project/out"));
}

/// What a run writes of its config is a config that says the same.
#[test]
fn a_config_that_is_written_reads_back_as_it_was() {
    let same = |path: &Path| path.to_path_buf();
    let monitored = "monitor: { value: validation/accuracy, better: higher, patience: 5, min_delta: 1e-3, keep: last }
checkpoint: { every: 0.5 minutes, keep: 7, on_full: keep-training }\nlog_every: 0\nevaluate_every: 3\n";
    let encoded = "spec: a.anb\ndata:\n  train: a.csv\n  columns:
    x: [{ from: [a, p0..p3], scale: [log1p, robust], impute: [median, indicator], missing: [NA, -] }, plain, { from: t, kind: date, unit: [year, hour] }]
    y: { from: y, kind: category, values: ['1', red, 'yes'], unknown: own-id, encode: ids, impute: { value: red } }
decode: { guess: y }\nbatch_size: 1\nepochs: 1\n";
    for text in [MINIMAL.to_string(), FULL.to_string(), FULL.to_string() + monitored, encoded.to_string()] {
        let config = parse(&text, SourceId::NOWHERE).unwrap();
        let written = config.to_yaml(&same);
        let again = parse(&written, SourceId::NOWHERE).unwrap_or_else(|found| panic!("{found:?}\n{written}"));
        assert_eq!(again.to_yaml(&same), written);
        let plain = |config: &RunConfig| {
            let source =
                |source: &DataSource| (source.path.clone(), source.rows, source.columns.clone(), source.prefix.clone());
            let parts = [config.train.as_ref(), config.validation.as_ref(), config.test.as_ref()];
            let set: Vec<_> = config.set.iter().map(|(name, set)| (name.clone(), set.value.clone())).collect();
            let params = config
                .params
                .as_ref()
                .map(|params| (params.file.path.clone(), params.file.prefix.clone(), params.file.names.clone()));
            let monitor = config.monitor.clone().map(|monitor| Monitor { span: None, ..monitor });
            let numbers = (config.batch_size, config.epochs, config.seed, config.log_every, config.evaluate_every);
            let rest = (config.shuffle, config.drop_last, config.precision, config.checkpoint, config.output.clone());
            (parts.map(|part| part.map(source)), set, params, monitor, numbers, rest)
        };
        assert_eq!(plain(&again), plain(&config));
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = parse(MINIMAL, SourceId::NOWHERE).unwrap();
    assert_eq!((config.seed, config.shuffle, config.drop_last), (0, true, false));
    assert_eq!(config.precision, Precision::F32);
    assert_eq!(config.output, Path::new("runs/digits"));
    assert!(config.test.is_none() && config.params.is_none() && config.set.is_empty());
    assert_eq!((config.checkpoint, config.log_every), (Checkpointing::default(), 100));
}

#[test]
fn checkpoints_are_read_in_both_forms() {
    let with = |text: &str| parse(&format!("{MINIMAL}{text}\n"), SourceId::NOWHERE).map(|config| config.checkpoint);
    let every = |every| Checkpointing { every, ..Checkpointing::default() };
    assert_eq!(with("checkpoint: 5 epochs"), Ok(every(Every::Epochs(5))));
    assert_eq!(with("checkpoint: { every: 100 steps }"), Ok(every(Every::Steps(100))));
    let wrong = |text: &str| mistake(&format!("{MINIMAL}{text}\n"));
    assert_eq!(wrong("checkpoint: 5"), pair("`checkpoint` cannot be `5`", "5"));
    assert_eq!(wrong("checkpoint: { every: 0 steps }"), pair("`every` cannot be `0 steps`", "0 steps"));
    assert_eq!(wrong("checkpoint: { on_full: go }"), pair("`on_full` cannot be `go`", "go"));
    assert_eq!(wrong("checkpoint: { keep: 0 }"), pair("`keep` cannot be `0`", "0"));
    assert_eq!(wrong("log_every: -1"), pair("`log_every` cannot be `-1`", "-1"));
}

#[test]
fn without_epochs_there_may_be_no_training_data() {
    let config = parse("spec: a.anb\ndata: { test: d.npz }\nbatch_size: 8\nepochs: 0\n", SourceId::NOWHERE).unwrap();
    assert!(config.train.is_none() && config.test.is_some());
    assert_eq!(
        mistake(&MINIMAL.replace("{ train: d.npz }", "{ test: d.npz }")),
        pair("missing `train` in `data`", "data")
    );
    assert_eq!(mistake(&MINIMAL.replace("epochs: 1", "epochs: -1")), pair("`epochs` cannot be `-1`", "-1"));
}

#[test]
fn unknown_keys_get_a_suggestion() {
    let text = MINIMAL.replace("epochs", "epoch");
    let all = mistakes(&text);
    assert_eq!(all, [pair("unknown key `epoch`", "epoch"), pair("missing `epochs`", "spec: models/digits.anb")]);
    let first = parse(&text, SourceId::NOWHERE).unwrap_err().0.remove(0);
    assert_eq!(first.helps, ["did you mean `epochs`?"]);
    let nested = FULL.replace("rows: 0..1437", "row: 0..1437");
    assert_eq!(mistake(&nested), pair("unknown key `row` in `train`", "row"));
}

#[test]
fn values_of_the_wrong_kind_are_pointed_at() {
    let with = |from: &str, to: &str| mistake(&FULL.replace(from, to));
    assert_eq!(with("batch_size: 32", "batch_size: 0"), pair("`batch_size` cannot be `0`", "0"));
    assert_eq!(with("epochs: 20", "epochs: many"), pair("`epochs` cannot be `many`", "many"));
    assert_eq!(with("epochs: 20", "epochs: 1.5"), pair("`epochs` cannot be `1.5`", "1.5"));
    assert_eq!(with("seed: 3", "seed: -3"), pair("`seed` cannot be `-3`", "-3"));
    assert_eq!(with("shuffle: false", "shuffle: no"), pair("`shuffle` cannot be `no`", "no"));
    assert_eq!(with("f64", "f16"), pair("`precision` cannot be `f16`", "f16"));
    assert_eq!(with("rows: 0..1437", "rows: 1437"), pair("`rows` cannot be `1437`", "1437"));
    assert_eq!(with("rows: 0..1437", "rows: 9..9"), pair("`rows` is an empty range", "9..9"));
    assert_eq!(with("p0..p63", "p63..p0"), pair("`image` cannot be `p63..p0`", "p63..p0"));
    assert_eq!(with("spec: digits.anb", "spec: [a, b]"), pair("`spec` cannot be a list", "[a, b]"));
    assert_eq!(with("set: { width: 256", "set: { width: [1]"), pair("`width` cannot be a list", "[1]"));
}

#[test]
fn missing_keys_are_named_where_they_belong() {
    let text = FULL.replace("file: digits.csv, rows: 0", "rows: 0");
    assert_eq!(mistake(&text), pair("missing `file` in `train`", "train"));
    assert_eq!(mistake(&MINIMAL.replace("epochs: 1", "epochs:")), pair("missing `epochs`", "epochs"));
    let headlines: Vec<String> = mistakes("seed: 1").into_iter().map(|(headline, _)| headline).collect();
    assert_eq!(headlines, ["missing `spec`", "missing `data`", "missing `batch_size`", "missing `epochs`"]);
    assert_eq!(mistake(&MINIMAL.replace("{ train: d.npz }", "d.npz")), pair("`data` cannot be `d.npz`", "d.npz"));
}

#[test]
fn what_is_no_yaml_mapping_is_refused() {
    assert_eq!(mistake("").0, "a run config is a mapping");
    assert_eq!(mistake("- a\n- b\n").0, "a run config is a mapping");
    assert_eq!(mistake("spec: a\nspec: b\n"), pair("the key `spec` stands twice", "spec"));
    let (headline, place) = mistake("spec: a\nepochs: @3\n");
    assert_eq!((headline.as_str(), place.as_str()), ("the run config is not valid YAML", "@"));
    assert_eq!(mistake(&format!("a: {}", "[".repeat(4_000))).0, "the run config is not valid YAML");
    assert_eq!(mistake(&format!("a: {}", "[".repeat(10_000))).0, "the run config has too many brackets");
}

#[test]
fn fields_that_the_spec_does_not_have_are_found() {
    let config = parse(FULL, SourceId::NOWHERE).unwrap();
    assert!(config.check_mapped_fields(&["image", "digit", "pair"]).is_ok());
    let wrong = config.check_mapped_fields(&["images", "digit", "pair"]).unwrap_err().0;
    assert_eq!(wrong[0].headline, "`columns` maps `image`, which the spec does not declare");
    assert_eq!(wrong[0].helps, ["did you mean `images`?"]);
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,120}") {
        let _ = parse(&text, SourceId::NOWHERE);
    }

    #[test]
    fn a_damaged_config_never_panics(
        at in any::<prop::sample::Index>(),
        insert in "[a-z:{}\\[\\],'\"#|>&*! \n\\-.0-9]{0,4}",
        removed in 0_usize..6,
    ) {
        let start = at.index(FULL.len());
        let end = (start + removed).min(FULL.len());
        let text = format!("{}{insert}{}", &FULL[..start], &FULL[end..]);
        if let Err(diagnostics) = parse(&text, SourceId::NOWHERE) {
            for diagnostic in diagnostics.0 {
                let span = diagnostic.primary.expect("every mistake has a place").span;
                prop_assert!(text.get(span.start as usize..span.end as usize).is_some());
            }
        }
    }
}
