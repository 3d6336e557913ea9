//! A graph of ONNX nodes under construction: values in their layouts, constants, sizes of run-time dims, scopes of loops.
//!
//! A value is *whole* when its tensor has the shape of its type; else the tensor has extents of 1 where it repeats, which ONNX's
//! elementwise operators stretch by themselves. So constants and broadcasts of `[batch, …]` fix no batch. A value's *layout* says
//! which axis of the type each axis of the tensor is: convolutions want channels first, and elementwise operators between two
//! of them keep that, so that no transposition stands between.

use super::proto::{Attribute, Constant, Elements, Graph, Node, element_type};
use crate::ir::{DType, Dim, TensorType};
use std::collections::HashMap;
use std::sync::Arc;

/// Why an op has no form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// A value of the program as an ONNX tensor.
#[derive(Clone, Debug)]
pub struct Value {
    pub name: String,
    pub ty: TensorType,
    pub is_whole: bool,
    /// the axis of the type that each axis of the tensor is
    pub layout: Vec<usize>,
    /// the elements, where they are known: a param, a state or made of one
    pub constant: Option<Arc<Constant>>,
}

impl Value {
    pub fn is_plain(&self) -> bool {
        self.layout.iter().enumerate().all(|(at, axis)| at == *axis)
    }
}

/// The nodes of the graph, or of the body of a loop within it.
#[derive(Debug, Default)]
struct Scope {
    nodes: Vec<Node>,
    /// nodes by what they compute, so that each is there once
    seen: HashMap<String, Vec<String>>,
}

#[derive(Debug)]
pub struct Scopes {
    scopes: Vec<Scope>,
    constants: Vec<(String, Constant)>,
    by_content: HashMap<String, String>,
    /// an input and its axis for each run-time dim
    symbols: HashMap<Arc<str>, (String, usize)>,
    n_names: usize,
    provenance: Arc<str>,
}

impl Scopes {
    pub fn new(symbols: HashMap<Arc<str>, (String, usize)>) -> Self {
        Self {
            scopes: vec![Scope::default()],
            constants: Vec::new(),
            by_content: HashMap::new(),
            symbols,
            n_names: 0,
            provenance: "".into(),
        }
    }

    /// The value of the spec that the nodes from here on help to compute.
    pub fn set_provenance(&mut self, name: &Arc<str>) {
        self.provenance = name.clone();
    }

    /// A name that no value of a spec has.
    pub fn fresh(&mut self) -> String {
        self.n_names += 1;
        format!("%{}", self.n_names)
    }

    pub fn enter(&mut self) {
        self.scopes.push(Scope::default());
    }

    /// Ends the body of a loop.
    pub fn leave(&mut self) -> Vec<Node> {
        self.scopes.pop().map(|scope| scope.nodes).unwrap_or_default()
    }

    /// The graph of all that was added, without what no output needs.
    pub fn finish(
        mut self,
        name: &str,
        inputs: Vec<(String, TensorType)>,
        outputs: Vec<(String, TensorType)>,
    ) -> Graph {
        let mut nodes = self.leave();
        let mut needed: std::collections::HashSet<String> = outputs.iter().map(|(name, _)| name.clone()).collect();
        let mut kept = Vec::with_capacity(nodes.len());
        while let Some(node) = nodes.pop() {
            if node.outputs.iter().any(|output| needed.contains(output)) {
                reads(&node, &mut |name| {
                    needed.insert(name.to_string());
                });
                kept.push(node);
            }
        }
        kept.reverse();
        let constants = self.constants.into_iter().filter(|(name, _)| needed.contains(name)).collect();
        Graph { name: name.to_string(), nodes: kept, inputs, outputs, constants }
    }

    /// A node with one result.
    pub fn node(&mut self, op: &'static str, inputs: &[&str], attributes: &[(&'static str, Attribute)]) -> String {
        self.nodes(op, inputs, attributes, 1).swap_remove(0)
    }

    pub fn nodes(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        attributes: &[(&'static str, Attribute)],
        n_outputs: usize,
    ) -> Vec<String> {
        let key = format!("{op} {inputs:?} {attributes:?}");
        // What an outer graph computed before the loop is seen in its body.
        if let Some(found) = self.scopes.iter().rev().find_map(|scope| scope.seen.get(&key)) {
            return found.clone();
        }
        let outputs: Vec<String> = (0..n_outputs).map(|_| self.fresh()).collect();
        let provenance = self.provenance.clone();
        if let Some(scope) = self.scopes.last_mut() {
            scope.nodes.push(Node {
                op,
                inputs: inputs.iter().map(ToString::to_string).collect(),
                outputs: outputs.clone(),
                attributes: attributes.to_vec(),
                provenance,
            });
            scope.seen.insert(key, outputs.clone());
        }
        outputs
    }

    /// A node that gives the names that it is told.
    pub fn named(&mut self, op: &'static str, inputs: &[&str], output: &str) {
        let provenance = self.provenance.clone();
        if let Some(scope) = self.scopes.last_mut() {
            let inputs = inputs.iter().map(ToString::to_string).collect();
            scope.nodes.push(Node {
                op,
                inputs,
                outputs: vec![output.to_string()],
                attributes: Vec::new(),
                provenance,
            });
        }
    }

    /// A constant tensor, there once for all readers; small ones are compared by their elements.
    pub fn constant(&mut self, shape: &[usize], elements: Elements) -> String {
        let key = format!("{shape:?} {elements:?}");
        if let Some(name) = self.by_content.get(&key) {
            return name.clone();
        }
        let name = self.fresh();
        self.constants.push((name.clone(), Constant { shape: shape.to_vec(), elements }));
        self.by_content.insert(key, name.clone());
        name
    }

    /// A param or state, or such a tensor in another layout, under its own name.
    pub fn stored(&mut self, name: &str, constant: &Constant) {
        if !self.constants.iter().any(|(known, _)| known == name) {
            self.constants.push((name.to_string(), constant.clone()));
        }
    }

    pub fn indices(&mut self, values: &[i64]) -> String {
        self.constant(&[values.len()], Elements::Index(values.to_vec()))
    }

    pub fn index(&mut self, value: i64) -> String {
        self.constant(&[], Elements::Index(vec![value]))
    }

    pub fn float(&mut self, value: f32) -> String {
        self.constant(&[], Elements::Float(vec![value]))
    }

    pub fn int(&mut self, value: i32) -> String {
        self.constant(&[], Elements::Int(vec![value]))
    }

    /// One number of an element type.
    pub fn number(&mut self, value: f64, dtype: DType) -> String {
        match dtype {
            DType::F32 => self.float(value as f32),
            DType::I32 => self.int(value as i32),
            DType::Bool => self.constant(&[], Elements::Bool(vec![value != 0.0])),
        }
    }

    pub fn cast(&mut self, x: &str, to: i64) -> String {
        self.node("Cast", &[x], &[("to", Attribute::Int(to))])
    }

    pub fn cast_to(&mut self, x: &str, to: DType) -> String {
        self.cast(x, element_type(to))
    }

    /// A dim as an index tensor of one element.
    pub fn size(&mut self, dim: &Dim) -> Result<String, Refused> {
        if let Some(known) = dim.as_known() {
            return Ok(self.indices(&[known as i64]));
        }
        if let Some(symbol) = dim.as_symbol() {
            let found = self.symbols.get(symbol).cloned();
            let (input, axis) =
                found.ok_or_else(|| Refused(format!("no input has the size `{symbol}` as an axis of its own")))?;
            let axis = axis as i64;
            let ends = [("start", Attribute::Int(axis)), ("end", Attribute::Int(axis + 1))];
            return Ok(self.node("Shape", &[&input], &ends));
        }
        let mut sum = None;
        for (coefficient, factors) in dim.terms() {
            let mut product = self.indices(&[coefficient]);
            for (factor, divisor) in factors {
                let mut size = self.size(&factor)?;
                if divisor != 1 {
                    // Whole numbers that are not negative: the quotient is cut off as it is floored.
                    let divisor = self.indices(&[divisor]);
                    size = self.node("Div", &[&size, &divisor], &[]);
                }
                product = self.node("Mul", &[&product, &size], &[]);
            }
            sum = Some(match sum {
                None => product,
                Some(sum) => self.node("Add", &[&sum as &str, &product], &[]),
            });
        }
        Ok(sum.unwrap_or_else(|| self.indices(&[0])))
    }

    /// A shape as an index tensor.
    pub fn shape(&mut self, dims: &[Dim]) -> Result<String, Refused> {
        let known: Option<Vec<i64>> = dims.iter().map(|dim| dim.as_known().map(|known| known as i64)).collect();
        if let Some(known) = known {
            return Ok(self.indices(&known));
        }
        let sizes: Vec<String> = dims.iter().map(|dim| self.size(dim)).collect::<Result<_, _>>()?;
        let sizes: Vec<&str> = sizes.iter().map(String::as_str).collect();
        Ok(if sizes.len() == 1 {
            sizes[0].to_string()
        } else {
            self.node("Concat", &sizes, &[("axis", Attribute::Int(0))])
        })
    }

    /// `x` under another shape.
    pub fn reshape(&mut self, x: &str, dims: &[Dim]) -> Result<String, Refused> {
        let n_open = dims.iter().filter(|dim| dim.as_known().is_none()).count();
        let has_zero = dims.iter().any(Dim::is_zero);
        // One open extent follows from the others, so that the file needs no arithmetic of sizes.
        let shape = if n_open == 1 && !has_zero {
            let extents: Vec<i64> = dims.iter().map(|dim| dim.as_known().map_or(-1, |known| known as i64)).collect();
            self.indices(&extents)
        } else {
            self.shape(dims)?
        };
        Ok(self.node("Reshape", &[x, &shape], &[("allowzero", Attribute::Int(i64::from(has_zero || n_open != 1)))]))
    }

    /// The tensor of a value in a layout, with its whole extents when `is_whole`.
    pub fn tensor(&mut self, value: &Value, layout: &[usize], is_whole: bool) -> Result<String, Refused> {
        let value = if is_whole { self.whole(value)? } else { value.clone() };
        // Scalars and single elements look alike in every layout.
        if value.layout == layout || (!value.is_whole && value.layout.is_empty()) {
            return Ok(value.name);
        }
        let permutation: Vec<usize> =
            layout.iter().map(|axis| value.layout.iter().position(|held| held == axis).unwrap_or(0)).collect();
        Ok(self.transpose(&value, &permutation))
    }

    /// The tensor of a value as its type says.
    pub fn plain(&mut self, value: &Value) -> Result<String, Refused> {
        let layout: Vec<usize> = (0..value.ty.rank()).collect();
        self.tensor(value, &layout, true)
    }

    fn transpose(&mut self, value: &Value, permutation: &[usize]) -> String {
        if let Some(constant) = &value.constant {
            let name = format!("{}.{}", value.name, permutation.iter().map(ToString::to_string).collect::<String>());
            let turned = constant.transposed(permutation);
            self.stored(&name, &turned);
            return name;
        }
        let permutation = permutation.iter().map(|axis| *axis as i64).collect();
        self.node("Transpose", &[&value.name], &[("perm", Attribute::Ints(permutation))])
    }

    /// The value with the extents of its type.
    fn whole(&mut self, value: &Value) -> Result<Value, Refused> {
        if value.is_whole {
            return Ok(value.clone());
        }
        let layout: Vec<usize> =
            if value.layout.is_empty() { (0..value.ty.rank()).collect() } else { value.layout.clone() };
        let dims: Vec<Dim> = layout.iter().map(|axis| value.ty.shape[*axis].clone()).collect();
        let shape = self.shape(&dims)?;
        let name = self.node("Expand", &[&value.name, &shape], &[]);
        Ok(Value { name, is_whole: true, layout, constant: None, ty: value.ty.clone() })
    }
}

/// Calls `see` with every name that a node reads, in the bodies of loops too.
fn reads(node: &Node, see: &mut dyn FnMut(&str)) {
    node.inputs.iter().for_each(|input| see(input));
    for (_, attribute) in &node.attributes {
        if let Attribute::Graph(body) = attribute {
            body.outputs.iter().for_each(|(name, _)| see(name));
            body.nodes.iter().for_each(|node| reads(node, see));
        }
    }
}

impl Constant {
    /// The same elements with the axes in another order.
    fn transposed(&self, permutation: &[usize]) -> Self {
        fn turn<T: Clone>(shape: &[usize], permutation: &[usize], values: &[T]) -> Vec<T> {
            let view = ndarray::ArrayView::from_shape(ndarray::IxDyn(shape), values);
            view.map(|view| view.permuted_axes(ndarray::IxDyn(permutation)).iter().cloned().collect())
                .unwrap_or_default()
        }
        let shape = permutation.iter().map(|axis| self.shape[*axis]).collect();
        let elements = match &self.elements {
            Elements::Float(values) => Elements::Float(turn(&self.shape, permutation, values)),
            Elements::Int(values) => Elements::Int(turn(&self.shape, permutation, values)),
            Elements::Index(values) => Elements::Index(turn(&self.shape, permutation, values)),
            Elements::Bool(values) => Elements::Bool(turn(&self.shape, permutation, values)),
        };
        Self { shape, elements }
    }
}
