//! Exported models: their bytes read by a small reader of protobuf, what is refused, and files that stay as they are.

use super::support::Project;
use std::collections::{BTreeMap, BTreeSet};

/// A field of a message: a number or bytes.
#[derive(Clone, Debug)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The fields of a message by their numbers.
struct Message(BTreeMap<u64, Vec<Field>>);

impl Message {
    fn read(bytes: &[u8]) -> Self {
        let mut fields: BTreeMap<u64, Vec<Field>> = BTreeMap::new();
        let mut at = 0;
        let varint = |at: &mut usize| {
            let mut value = 0;
            for shift in (0..64).step_by(7) {
                let byte = bytes[*at];
                *at += 1;
                value |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            value
        };
        while at < bytes.len() {
            let key = varint(&mut at);
            let value = varint(&mut at);
            let field = match key & 7 {
                0 => Field::Number(value),
                2 => {
                    at += value as usize;
                    Field::Bytes(bytes[at - value as usize..at].to_vec())
                }
                other => panic!("wire type {other}"),
            };
            fields.entry(key >> 3).or_default().push(field);
        }
        Self(fields)
    }

    fn all(&self, field: u64) -> &[Field] {
        self.0.get(&field).map_or(&[], Vec::as_slice)
    }

    fn number(&self, field: u64) -> u64 {
        match self.all(field) {
            [Field::Number(value)] => *value,
            other => panic!("field {field}: {other:?}"),
        }
    }

    fn texts(&self, field: u64) -> Vec<String> {
        let text = |field: &Field| match field {
            Field::Bytes(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            Field::Number(number) => panic!("{number} is no text"),
        };
        self.all(field).iter().map(text).collect()
    }

    fn messages(&self, field: u64) -> Vec<Self> {
        let message = |field: &Field| match field {
            Field::Bytes(bytes) => Self::read(bytes),
            Field::Number(number) => panic!("{number} is no message"),
        };
        self.all(field).iter().map(message).collect()
    }

    /// The dims of a value: a number, a name, or nothing.
    fn dims(&self) -> Vec<String> {
        let tensor = &self.messages(2)[0].messages(1)[0];
        let dim = |dim: &Self| match (dim.all(1), dim.texts(2).as_slice()) {
            ([Field::Number(extent)], []) => extent.to_string(),
            ([], [name]) => name.clone(),
            _ => String::new(),
        };
        tensor.messages(2)[0].messages(1).iter().map(dim).collect()
    }
}

/// The operators of a graph and of the bodies within; every name that is read is there before.
fn operators(graph: &Message, around: &BTreeSet<String>) -> Vec<String> {
    let mut known = around.clone();
    let named = |message: &Message, field: u64| message.texts(field)[0].clone();
    known.extend(graph.messages(11).iter().map(|input| named(input, 1)));
    known.extend(graph.messages(5).iter().map(|constant| named(constant, 8)));
    let mut found = Vec::new();
    for node in graph.messages(1) {
        for input in node.texts(1) {
            assert!(known.contains(&input), "`{input}` is read before it is there");
        }
        for body in node.messages(5).iter().flat_map(|attribute| attribute.messages(6)) {
            found.extend(operators(&body, &known));
        }
        found.push(named(&node, 4));
        for output in node.texts(2) {
            assert!(known.insert(output.clone()), "`{output}` is there twice");
        }
    }
    for output in graph.messages(12) {
        assert!(known.contains(&named(&output, 1)), "no node gives an output");
    }
    found
}

const CONFIG: &str = "spec: model.anb\ndata: { train: d.csv }\nbatch_size: 4\nepochs: 1\noutput: run\n";

/// A project whose run has ended.
fn trained(spec: &str) -> Project {
    let project = Project::new(spec, CONFIG);
    let rows: Vec<String> =
        (0..8).map(|row| format!("{},{},{}", row as f32 / 8.0, row % 3, row as f32 / 4.0)).collect();
    project.write("d.csv", &format!("x,k,y\n{}\n", rows.join("\n")));
    project.succeeds(&["run", "run.yaml", "--log", "quiet"]);
    project
}

fn exported(project: &Project, more: &[&str]) -> Message {
    project.succeeds(&[&["export", "onnx", "run", "-o", "m.onnx", "--replace"], more].concat());
    Message::read(&std::fs::read(project.path("m.onnx")).unwrap())
}

const CONVOLUTION: &str = "\
input x: f32[batch]
target y: f32[batch]
let image = reshape(x, [batch, 1, 1, 1]) * full([4, 4, 2], 0.5)
let deep = image |> conv2d(filters=3, kernel=3) |> relu |> conv2d(filters=2, kernel=2)
output guess = deep |> flatten |> dense(units=1) |> squeeze(axes=[1])
loss l = square(y - guess)
train { minimize l optimizer sgd(lr=0.01) }
";

#[test]
fn a_model_says_its_versions_its_interface_and_its_params() {
    let project = trained(CONVOLUTION);
    let model = exported(&project, &[]);
    assert_eq!((model.number(1), model.messages(8)[0].number(2)), (10, 21), "file format and operators");
    let keys: Vec<String> = model.messages(14).iter().map(|entry| entry.texts(1)[0].clone()).collect();
    assert!(keys.contains(&"anabranch.spec_hash".to_string()), "{keys:?}");
    let graph = &model.messages(7)[0];
    let (inputs, outputs) = (graph.messages(11), graph.messages(12));
    assert_eq!((inputs.len(), outputs.len()), (1, 1));
    assert_eq!((inputs[0].texts(1), inputs[0].dims()), (vec!["x".to_string()], vec!["batch".to_string()]));
    assert_eq!((outputs[0].texts(1), outputs[0].dims()), (vec!["guess".to_string()], vec!["batch".to_string()]));
    let operators = operators(graph, &BTreeSet::new());
    let count = |name: &str| operators.iter().filter(|operator| *operator == name).count();
    assert_eq!(count("Conv"), 2);
    // Into channels first and out again: none between the two convolutions, and the kernels were turned in the file.
    assert_eq!(count("Transpose"), 2, "{operators:?}");
    let constants: Vec<String> = graph.messages(5).iter().map(|constant| constant.texts(8)[0].clone()).collect();
    assert!(constants.iter().any(|name| name == "param/guess.dense.kernel"), "{constants:?}");
    assert!(!constants.iter().any(|name| name == "param/deep.conv2d.kernel"), "{constants:?}");
}

#[test]
fn loops_and_parts_of_programs_are_models() {
    let project = trained(
        "input x: f32[batch]\ninput k: i32[batch]\ntarget y: f32[batch]\n\
         let row = reshape(x, [batch, 1, 1]) * full([3, 2], 0.5)\nlet code = row |> lstm(units=2)\n\
         output guess = sum(code, axes=[1]) + f32(k)\nloss l = square(y - guess)\ntrain { minimize l optimizer sgd(lr=0.01) }\n",
    );
    let model = exported(&project, &[]);
    let found = operators(&model.messages(7)[0], &BTreeSet::new());
    assert!(found.iter().any(|operator| operator == "Scan") && found.iter().any(|operator| operator == "Cast"));
    let model = exported(&project, &["--outputs", "code"]);
    let graph = &model.messages(7)[0];
    assert_eq!(graph.messages(11).len(), 1, "`k` is not read");
    assert_eq!(graph.messages(12)[0].texts(1), ["code"]);
    let model = exported(&project, &["--from", "code"]);
    let inputs: Vec<String> = model.messages(7)[0].messages(11).iter().map(|input| input.texts(1)[0].clone()).collect();
    assert_eq!(inputs.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&"code".to_string(), &"k".to_string()]));
}

#[test]
fn what_has_no_form_is_a_finding_at_its_line() {
    let project = trained(
        "input x: f32[batch]\ntarget y: f32[batch]\nparam w: f32 = 1\noutput plain = x * w\noutput drawn = x * w + random_normal([batch])\n\
         output gamma = lgamma(plain + 2)\nloss l = square(y - plain)\ntrain { minimize l optimizer sgd(lr=0.01) }\n",
    );
    let message = project.fails(&["export", "onnx", "run", "-o", "m.onnx"]);
    for expected in [
        "E0703",
        "`drawn` has no form in ONNX",
        "random draws random numbers",
        "`gamma` has no form",
        "model.anb:5",
        "model.anb:6",
    ] {
        assert!(message.contains(expected), "{expected}:\n{message}");
    }
    assert!(!project.path("m.onnx").exists());
    exported(&project, &["--outputs", "plain"]);
}

#[test]
fn a_file_that_exists_is_kept_without_being_told() {
    let project = trained(CONVOLUTION);
    project.write("m.onnx", "mine");
    let message = project.fails(&["export", "onnx", "run", "-o", "m.onnx"]);
    assert!(message.contains("E0605"), "{message}");
    assert_eq!(project.read("m.onnx"), "mine");
    let message = project.fails(&["export", "onnx", "run", "-o", "run/params.safetensors", "--replace"]);
    assert!(message.contains("E0605"), "{message}");
}
