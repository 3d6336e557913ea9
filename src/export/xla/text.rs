//! StableHLO text under construction: blocks of lines, values with their element types and extents, and the operations that are
//! written often.

use std::fmt::Write as _;

/// The element type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// the float of the spec, in the precision of the module
    Float,
    F64,
    I32,
    Bool,
    U32,
    U64,
}

/// The width of the spec's float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    F32,
    F64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub name: String,
    pub element: Element,
    pub shape: Vec<usize>,
}

impl Value {
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

#[derive(Debug)]
pub struct Text {
    /// the blocks that are open, the innermost last
    blocks: Vec<Vec<String>>,
    n_names: usize,
    pub width: Width,
    /// whether products are taken in the full precision of their operands
    pub is_highest: bool,
}

/// `[1, 2]`
pub fn list<T: std::fmt::Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    format!("[{}]", items.join(", "))
}

/// `array<i64: 1, 2>`
pub fn array<T: std::fmt::Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    if items.is_empty() { "array<i64>".to_string() } else { format!("array<i64: {}>", items.join(", ")) }
}

pub fn names(values: &[Value]) -> String {
    values.iter().map(|value| value.name.as_str()).collect::<Vec<_>>().join(", ")
}

impl Text {
    pub fn new(width: Width, is_highest: bool) -> Self {
        Self { blocks: vec![Vec::new()], n_names: 0, width, is_highest }
    }

    pub fn fresh(&mut self) -> String {
        self.n_names += 1;
        format!("%{}", self.n_names)
    }

    pub fn line(&mut self, line: String) {
        if let Some(block) = self.blocks.last_mut() {
            block.push(line);
        }
    }

    /// Begins a block, which [`close`](Self::close) ends.
    pub fn open(&mut self) {
        self.blocks.push(Vec::new());
    }

    pub fn close(&mut self) -> Vec<String> {
        self.blocks.pop().unwrap_or_default()
    }

    /// The lines that `write` adds, apart.
    pub fn block<R>(&mut self, write: impl FnOnce(&mut Self) -> R) -> (Vec<String>, R) {
        self.open();
        let result = write(self);
        (self.close(), result)
    }

    pub fn element(&self, element: Element) -> &'static str {
        match (element, self.width) {
            (Element::Float, Width::F32) => "f32",
            (Element::Float, Width::F64) | (Element::F64, _) => "f64",
            (Element::I32, _) => "i32",
            (Element::Bool, _) => "i1",
            (Element::U32, _) => "ui32",
            (Element::U64, _) => "ui64",
        }
    }

    pub fn tensor(&self, element: Element, shape: &[usize]) -> String {
        let extents: String = shape.iter().map(|extent| format!("{extent}x")).collect();
        format!("tensor<{extents}{}>", self.element(element))
    }

    pub fn ty(&self, value: &Value) -> String {
        self.tensor(value.element, &value.shape)
    }

    pub fn types(&self, values: &[Value]) -> String {
        values.iter().map(|value| self.ty(value)).collect::<Vec<_>>().join(", ")
    }

    /// A line that gives one value.
    pub fn value(&mut self, text: &str, element: Element, shape: &[usize]) -> Value {
        let name = self.fresh();
        self.line(format!("{name} = {text}"));
        Value { name, element, shape: shape.to_vec() }
    }

    /// A line that gives several values.
    pub fn values(&mut self, text: &str, types: &[(Element, Vec<usize>)]) -> Vec<Value> {
        let name = self.fresh();
        if types.len() == 1 {
            self.line(format!("{name} = {text}"));
            return vec![Value { name, element: types[0].0, shape: types[0].1.clone() }];
        }
        self.line(format!("{name}:{} = {text}", types.len()));
        let value = |(at, (element, shape)): (usize, &(Element, Vec<usize>))| Value {
            name: format!("{name}#{at}"),
            element: *element,
            shape: shape.clone(),
        };
        types.iter().enumerate().map(value).collect()
    }

    /// A number as MLIR writes it: floats by their bits, the only spelling that is exact and knows NaN.
    fn literal(&self, value: f64, element: Element) -> String {
        match self.element(element) {
            "f32" => format!("0x{:08X}", (value as f32).to_bits()),
            "f64" => format!("0x{:016X}", value.to_bits()),
            "i1" => (value != 0.0).to_string(),
            "i32" => (value as i32).to_string(),
            _ => (value as u64).to_string(),
        }
    }

    /// A tensor of one number.
    pub fn full(&mut self, value: f64, element: Element, shape: &[usize]) -> Value {
        let text =
            format!("stablehlo.constant dense<{}> : {}", self.literal(value, element), self.tensor(element, shape));
        self.value(&text, element, shape)
    }

    pub fn unsigned(&mut self, value: u64, element: Element) -> Value {
        let text = format!("stablehlo.constant dense<{value}> : {}", self.tensor(element, &[]));
        self.value(&text, element, &[])
    }

    /// A tensor of one number like another.
    pub fn like(&mut self, value: f64, x: &Value) -> Value {
        self.full(value, x.element, &x.shape)
    }

    /// An operation of elements that keeps their type.
    pub fn map(&mut self, op: &str, operands: &[&Value]) -> Value {
        let names: Vec<&str> = operands.iter().map(|operand| operand.name.as_str()).collect();
        let text = format!("stablehlo.{op} {} : {}", names.join(", "), self.ty(operands[0]));
        self.value(&text, operands[0].element, &operands[0].shape)
    }

    pub fn add(&mut self, x: &Value, y: &Value) -> Value {
        self.map("add", &[x, y])
    }

    pub fn sub(&mut self, x: &Value, y: &Value) -> Value {
        self.map("subtract", &[x, y])
    }

    pub fn mul(&mut self, x: &Value, y: &Value) -> Value {
        self.map("multiply", &[x, y])
    }

    pub fn div(&mut self, x: &Value, y: &Value) -> Value {
        self.map("divide", &[x, y])
    }

    pub fn and(&mut self, x: &Value, y: &Value) -> Value {
        self.map("and", &[x, y])
    }

    pub fn or(&mut self, x: &Value, y: &Value) -> Value {
        self.map("or", &[x, y])
    }

    pub fn not(&mut self, x: &Value) -> Value {
        self.map("not", &[x])
    }

    pub fn scale(&mut self, factor: f64, x: &Value) -> Value {
        let factor = self.like(factor, x);
        self.mul(&factor, x)
    }

    pub fn offset(&mut self, x: &Value, by: f64) -> Value {
        let by = self.like(by, x);
        self.add(x, &by)
    }

    pub fn compare(&mut self, direction: &str, x: &Value, y: &Value) -> Value {
        let kind = match x.element {
            Element::Float | Element::F64 => "FLOAT",
            Element::I32 => "SIGNED",
            Element::Bool | Element::U32 | Element::U64 => "UNSIGNED",
        };
        let result = self.tensor(Element::Bool, &x.shape);
        let text = format!(
            "stablehlo.compare {direction}, {}, {}, {kind} : ({}, {}) -> {result}",
            x.name,
            y.name,
            self.ty(x),
            self.ty(y)
        );
        self.value(&text, Element::Bool, &x.shape)
    }

    /// Compared with one number.
    pub fn is(&mut self, direction: &str, x: &Value, number: f64) -> Value {
        let number = self.like(number, x);
        self.compare(direction, x, &number)
    }

    pub fn is_nan(&mut self, x: &Value) -> Value {
        self.compare("NE", x, x)
    }

    pub fn select(&mut self, mask: &Value, x: &Value, y: &Value) -> Value {
        let text =
            format!("stablehlo.select {}, {}, {} : {}, {}", mask.name, x.name, y.name, self.ty(mask), self.ty(x));
        self.value(&text, x.element, &x.shape)
    }

    pub fn convert(&mut self, x: &Value, element: Element) -> Value {
        if self.element(x.element) == self.element(element) {
            return Value { element, ..x.clone() };
        }
        let text = format!("stablehlo.convert {} : ({}) -> {}", x.name, self.ty(x), self.tensor(element, &x.shape));
        self.value(&text, element, &x.shape)
    }

    pub fn broadcast(&mut self, x: &Value, shape: &[usize], axes: &[usize]) -> Value {
        if x.shape == shape {
            return x.clone();
        }
        let result = self.tensor(x.element, shape);
        let text =
            format!("stablehlo.broadcast_in_dim {}, dims = {} : ({}) -> {result}", x.name, list(axes), self.ty(x));
        self.value(&text, x.element, shape)
    }

    /// A single number in a shape.
    pub fn splat(&mut self, x: &Value, shape: &[usize]) -> Value {
        self.broadcast(x, shape, &[])
    }

    pub fn reshape(&mut self, x: &Value, shape: &[usize]) -> Value {
        if x.shape == shape {
            return x.clone();
        }
        let text = format!("stablehlo.reshape {} : ({}) -> {}", x.name, self.ty(x), self.tensor(x.element, shape));
        self.value(&text, x.element, shape)
    }

    pub fn transpose(&mut self, x: &Value, permutation: &[usize]) -> Value {
        let shape: Vec<usize> = permutation.iter().map(|axis| x.shape[*axis]).collect();
        let result = self.tensor(x.element, &shape);
        let text =
            format!("stablehlo.transpose {}, dims = {} : ({}) -> {result}", x.name, list(permutation), self.ty(x));
        self.value(&text, x.element, &shape)
    }

    pub fn reduce(&mut self, x: &Value, op: &str, start: f64, axes: &[usize]) -> Value {
        if axes.is_empty() {
            return x.clone();
        }
        let start = self.full(start, x.element, &[]);
        let kept = x.shape.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
        let shape: Vec<usize> = kept.map(|(_, extent)| *extent).collect();
        let text = format!(
            "stablehlo.reduce({} init: {}) applies stablehlo.{op} across dimensions = {} : ({}, {}) -> {}",
            x.name,
            start.name,
            list(axes),
            self.ty(x),
            self.ty(&start),
            self.tensor(x.element, &shape)
        );
        self.value(&text, x.element, &shape)
    }

    /// What was reduced over axes, repeated along them again.
    pub fn repeat(&mut self, x: &Value, shape: &[usize], axes: &[usize]) -> Value {
        let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
        self.broadcast(x, shape, &kept)
    }

    pub fn iota(&mut self, axis: usize, element: Element, shape: &[usize]) -> Value {
        let text = format!("stablehlo.iota dim = {axis} : {}", self.tensor(element, shape));
        self.value(&text, element, shape)
    }

    /// `x` with `fill` before, behind and between its elements; less than none cuts off.
    pub fn pad(&mut self, x: &Value, low: &[i64], high: &[i64], interior: &[usize], fill: f64) -> Value {
        let start = self.full(fill, x.element, &[]);
        let extent = |axis: usize| {
            let inner = x.shape[axis] + x.shape[axis].saturating_sub(1) * interior[axis];
            usize::try_from(low[axis] + high[axis] + inner as i64).unwrap_or(0)
        };
        let shape: Vec<usize> = (0..x.rank()).map(extent).collect();
        let text = format!(
            "stablehlo.pad {}, {}, low = {}, high = {}, interior = {} : ({}, {}) -> {}",
            x.name,
            start.name,
            list(low),
            list(high),
            list(interior),
            self.ty(x),
            self.ty(&start),
            self.tensor(x.element, &shape)
        );
        self.value(&text, x.element, &shape)
    }

    pub fn slice(&mut self, x: &Value, starts: &[usize], limits: &[usize], strides: &[usize]) -> Value {
        let extent = |axis: usize| limits[axis].saturating_sub(starts[axis]).div_ceil(strides[axis]);
        let shape: Vec<usize> = (0..x.rank()).map(extent).collect();
        let mut parts = String::new();
        for axis in 0..x.rank() {
            let comma = if axis == 0 { "" } else { ", " };
            let _ = write!(parts, "{comma}{}:{}:{}", starts[axis], limits[axis], strides[axis]);
        }
        let text =
            format!("stablehlo.slice {} [{parts}] : ({}) -> {}", x.name, self.ty(x), self.tensor(x.element, &shape));
        self.value(&text, x.element, &shape)
    }

    /// The part of `x` from `start` to before `end` along an axis.
    pub fn part(&mut self, x: &Value, axis: usize, start: usize, end: usize) -> Value {
        let mut starts = vec![0; x.rank()];
        let mut limits = x.shape.clone();
        (starts[axis], limits[axis]) = (start, end);
        self.slice(x, &starts, &limits, &vec![1; x.rank()])
    }

    pub fn reverse(&mut self, x: &Value, axes: &[usize]) -> Value {
        let text = format!("stablehlo.reverse {}, dims = {} : {}", x.name, list(axes), self.ty(x));
        self.value(&text, x.element, &x.shape)
    }

    pub fn concat(&mut self, values: &[Value], axis: usize) -> Value {
        let mut shape = values[0].shape.clone();
        shape[axis] = values.iter().map(|value| value.shape[axis]).sum();
        let result = self.tensor(values[0].element, &shape);
        let text =
            format!("stablehlo.concatenate {}, dim = {axis} : ({}) -> {result}", names(values), self.types(values));
        self.value(&text, values[0].element, &shape)
    }

    /// A matrix product over the last two axes, the others being batches.
    pub fn dot(&mut self, x: &Value, y: &Value, turn_x: bool, turn_y: bool) -> Value {
        let rank = x.rank();
        let batches: Vec<usize> = (0..rank - 2).collect();
        let (inner_x, outer_x) = if turn_x { (rank - 2, rank - 1) } else { (rank - 1, rank - 2) };
        let (inner_y, outer_y) = if turn_y { (rank - 1, rank - 2) } else { (rank - 2, rank - 1) };
        let mut shape = x.shape[..rank - 2].to_vec();
        shape.extend([x.shape[outer_x], y.shape[outer_y]]);
        let batching = if batches.is_empty() {
            String::new()
        } else {
            format!("batching_dims = {} x {}, ", list(&batches), list(&batches))
        };
        let precision = if self.is_highest { ", precision = [HIGHEST, HIGHEST]" } else { "" };
        let text = format!(
            "stablehlo.dot_general {}, {}, {batching}contracting_dims = [{inner_x}] x [{inner_y}]{precision} : ({}, {}) -> {}",
            x.name,
            y.name,
            self.ty(x),
            self.ty(y),
            self.tensor(x.element, &shape)
        );
        self.value(&text, x.element, &shape)
    }

    /// A region over scalars, as the generic form of an operation takes it.
    pub fn region(&mut self, elements: &[Element], write: impl FnOnce(&mut Self, &[Value]) -> Vec<Value>) -> String {
        let arguments: Vec<Value> =
            elements.iter().map(|element| Value { name: self.fresh(), element: *element, shape: Vec::new() }).collect();
        let (lines, results) = self.block(|text| write(text, &arguments));
        self.region_text(&arguments, &lines, &results)
    }

    pub fn region_text(&self, arguments: &[Value], lines: &[String], results: &[Value]) -> String {
        let head: Vec<String> =
            arguments.iter().map(|argument| format!("{}: {}", argument.name, self.ty(argument))).collect();
        let body: String = lines.iter().map(|line| format!("  {}\n", line.replace('\n', "\n  "))).collect();
        format!(
            "{{\n^bb0({}):\n{body}  \"stablehlo.return\"({}) : ({}) -> ()\n}}",
            head.join(", "),
            names(results),
            self.types(results)
        )
    }

    /// The region that adds two numbers.
    pub fn adding(&mut self, element: Element) -> String {
        self.region(&[element, element], |text, pair| vec![text.add(&pair[0], &pair[1])])
    }

    /// A loop: `condition` of the carried values, and the next ones.
    pub fn repeat_while(
        &mut self,
        first: &[Value],
        condition: impl FnOnce(&mut Self, &[Value]) -> Value,
        step: impl FnOnce(&mut Self, &[Value]) -> Vec<Value>,
    ) -> Vec<Value> {
        let carried: Vec<Value> = first.iter().map(|value| Value { name: self.fresh(), ..value.clone() }).collect();
        let (lines, goes_on) = self.block(|text| condition(text, &carried));
        let head = self.region_text(&carried, &lines, &[goes_on]);
        let carried: Vec<Value> = first.iter().map(|value| Value { name: self.fresh(), ..value.clone() }).collect();
        let (lines, next) = self.block(|text| step(text, &carried));
        let body = self.region_text(&carried, &lines, &next);
        let types = self.types(first);
        let text = format!("\"stablehlo.while\"({}) ({head}, {body}) : ({types}) -> ({types})", names(first));
        let kinds: Vec<(Element, Vec<usize>)> =
            first.iter().map(|value| (value.element, value.shape.clone())).collect();
        self.values(&text, &kinds)
    }

    /// The row of `x` at a position along the first axis.
    pub fn row(&mut self, x: &Value, at: &Value) -> Value {
        let zero = self.full(0.0, Element::I32, &[]);
        let mut places = vec![at.clone()];
        places.resize(x.rank(), zero);
        let mut shape = x.shape.clone();
        shape[0] = 1;
        let text = format!(
            "stablehlo.dynamic_slice {}, {}, sizes = {} : ({}, {}) -> {}",
            x.name,
            names(&places),
            list(&shape),
            self.ty(x),
            self.types(&places),
            self.tensor(x.element, &shape)
        );
        let row = self.value(&text, x.element, &shape);
        self.reshape(&row, &x.shape[1..])
    }

    /// `x` with another row at a position along the first axis.
    pub fn with_row(&mut self, x: &Value, row: &Value, at: &Value) -> Value {
        let zero = self.full(0.0, Element::I32, &[]);
        let mut places = vec![at.clone()];
        places.resize(x.rank(), zero);
        let mut shape = x.shape.clone();
        shape[0] = 1;
        let row = self.reshape(row, &shape);
        let text = format!(
            "stablehlo.dynamic_update_slice {}, {}, {} : ({}, {}, {}) -> {}",
            x.name,
            row.name,
            names(&places),
            self.ty(x),
            self.ty(&row),
            self.types(&places),
            self.ty(x)
        );
        self.value(&text, x.element, &x.shape)
    }
}
