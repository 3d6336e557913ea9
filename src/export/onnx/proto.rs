//! The bytes of an ONNX model: the messages of `onnx.proto3` that are needed, in protobuf's wire form.
//!
//! Field numbers are those of onnx.proto3 (IR version 10). A message is written into a buffer of its own and then into its
//! parent's, as its length stands before it.

use crate::ir::{DType, Dim, TensorType};
use std::sync::Arc;

/// What operators mean: the version of the default operator set.
pub const OPSET: i64 = 21;
/// The version of the file format.
const IR_VERSION: i64 = 10;

/// The value of an attribute of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Text(&'static str),
    Graph(Box<Graph>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub op: &'static str,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<(&'static str, Attribute)>,
    /// the value of the spec that it computes or helps to compute
    pub provenance: Arc<str>,
}

/// Elements of a constant tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    Float(Vec<f32>),
    Int(Vec<i32>),
    Index(Vec<i64>),
    Bool(Vec<bool>),
}

/// A constant tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    pub shape: Vec<usize>,
    pub elements: Elements,
}

/// A graph, or the body of a loop.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    pub name: String,
    pub nodes: Vec<Node>,
    pub inputs: Vec<(String, TensorType)>,
    pub outputs: Vec<(String, TensorType)>,
    pub constants: Vec<(String, Constant)>,
}

/// The whole model; `metadata` are pairs of key and value.
pub fn model(graph: &Graph, metadata: &[(String, String)]) -> Vec<u8> {
    let mut model = Message::default();
    model.int(1, IR_VERSION);
    model.text(2, "anabranch");
    model.text(3, env!("CARGO_PKG_VERSION"));
    model.message(7, &graph_message(graph));
    let mut opset = Message::default();
    opset.int(2, OPSET);
    model.message(8, &opset);
    for (key, value) in metadata {
        let mut entry = Message::default();
        entry.text(1, key);
        entry.text(2, value);
        model.message(14, &entry);
    }
    model.0
}

fn graph_message(graph: &Graph) -> Message {
    let mut message = Message::default();
    for (position, node) in graph.nodes.iter().enumerate() {
        message.message(1, &node_message(node, position));
    }
    message.text(2, &graph.name);
    for (name, constant) in &graph.constants {
        message.message(5, &constant_message(name, constant));
    }
    for (field, values) in [(11, &graph.inputs), (12, &graph.outputs)] {
        for (name, ty) in values {
            message.message(field, &value_message(name, ty));
        }
    }
    message
}

fn node_message(node: &Node, position: usize) -> Message {
    let mut message = Message::default();
    node.inputs.iter().for_each(|input| message.text(1, input));
    node.outputs.iter().for_each(|output| message.text(2, output));
    message.text(3, &format!("{}#{position}", node.provenance));
    message.text(4, node.op);
    for (name, attribute) in &node.attributes {
        let mut value = Message::default();
        value.text(1, name);
        let kind = match attribute {
            Attribute::Int(int) => {
                value.int(3, *int);
                2
            }
            Attribute::Text(text) => {
                value.text(4, text);
                3
            }
            Attribute::Graph(graph) => {
                value.message(6, &graph_message(graph));
                5
            }
            Attribute::Ints(ints) => {
                ints.iter().for_each(|int| value.int(8, *int));
                7
            }
        };
        value.int(20, kind);
        message.message(5, &value);
    }
    message
}

/// The number by which ONNX knows an element type.
pub fn element_type(dtype: DType) -> i64 {
    match dtype {
        DType::F32 => 1,
        DType::I32 => 6,
        DType::Bool => 9,
    }
}

/// The number of the type of shapes and indices.
pub const INDEX_TYPE: i64 = 7;

fn constant_message(name: &str, constant: &Constant) -> Message {
    let (kind, bytes): (i64, Vec<u8>) = match &constant.elements {
        Elements::Float(values) => (element_type(DType::F32), values.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Elements::Int(values) => (element_type(DType::I32), values.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Elements::Index(values) => (INDEX_TYPE, values.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Elements::Bool(values) => (element_type(DType::Bool), values.iter().map(|x| u8::from(*x)).collect()),
    };
    let mut message = Message::default();
    constant.shape.iter().for_each(|extent| message.int(1, *extent as i64));
    message.int(2, kind);
    message.text(8, name);
    message.bytes(9, &bytes);
    message
}

/// A value with its type. A dim that is neither a number nor a name is left open.
fn value_message(name: &str, ty: &TensorType) -> Message {
    let mut shape = Message::default();
    for extent in &ty.shape {
        let mut dim = Message::default();
        match (extent.as_known(), Dim::as_symbol(extent)) {
            (Some(known), _) => dim.int(1, known as i64),
            (None, Some(symbol)) => dim.text(2, symbol),
            (None, None) => {}
        }
        shape.message(1, &dim);
    }
    let mut tensor = Message::default();
    tensor.int(1, element_type(ty.dtype));
    tensor.message(2, &shape);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut message = Message::default();
    message.text(1, name);
    message.message(2, &kind);
    message
}

/// A message as bytes: fields one after another, each a key and a value.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A field of wire type 0: a number, negative ones in two's complement.
    fn int(&mut self, field: u64, value: i64) {
        self.varint(field << 3);
        self.varint(value as u64);
    }

    /// A field of wire type 2: a length and so many bytes.
    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }
}
