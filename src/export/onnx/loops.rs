//! Loops: ONNX's `Scan`, whose body is a graph of its own that sees the values around it.

use super::Lowering;
use super::op::whole;
use super::proto::{Attribute, Graph};
use super::scope::{Refused, Value};
use crate::ir::{DType, Dim, Graph as Program, NodeId, Operands, TensorType};
use crate::ops::{LinearRecurrence, LoopResult, Scan};
use std::collections::HashMap;

type Lowered = Result<Value, Refused>;

/// The results of loops by what they are, without the result, and their operands: carries, stacked, incoming.
pub(super) type Loops = HashMap<(Scan, Operands), Vec<String>>;

impl Lowering<'_> {
    /// A result of a loop. Nodes that differ in the result alone are one loop.
    pub(super) fn scan(
        &mut self,
        graph: &Program,
        id: NodeId,
        scan: &Scan,
        operands: &[Option<Value>],
        loops: &mut Loops,
    ) -> Lowered {
        // Of a loop whose results differ in what they need, each is a loop of what it needs.
        let used: Vec<bool> = (0..operands.len()).map(|slot| scan.reads(slot)).collect();
        let whole_loop = operands.iter().all(Option::is_some);
        let key = (scan.loop_key(), graph.operands(id));
        let names = match loops.get(&key).filter(|_| whole_loop) {
            Some(names) => names.clone(),
            None if !whole_loop => {
                let missing = used.iter().position(|used| !used).unwrap_or(0);
                return Err(Refused(format!("a loop whose operand {missing} has no form")));
            }
            None => {
                let operands: Vec<Value> = operands.iter().flatten().cloned().collect();
                let names = self.scan_loop(scan, &operands)?;
                loops.insert(key, names.clone());
                names
            }
        };
        let at = match scan.result {
            LoopResult::Carry(carry) => carry,
            LoopResult::Stacked(output) => scan.carries + output,
            LoopResult::Incoming(carry) => scan.carries + scan.n_stacked() + carry,
        };
        Ok(whole(&names[at], graph.ty(id)))
    }

    fn scan_loop(&mut self, scan: &Scan, operands: &[Value]) -> Result<Vec<String>, Refused> {
        let (n_carries, n_sequences) = (scan.carries, scan.sequences);
        let outer = self.source_tensors(&operands[..n_carries + n_sequences])?;
        let mut given: Vec<String> = outer;
        let mut inputs: Vec<(String, TensorType)> = Vec::new();
        let mut ports: Vec<Value> = Vec::new();
        for (slot, operand) in operands.iter().enumerate() {
            if slot >= n_carries + n_sequences {
                ports.push(operand.clone());
                continue;
            }
            let shape = if slot < n_carries { &operand.ty.shape[..] } else { &operand.ty.shape[1..] };
            let ty = TensorType::new(operand.ty.dtype, shape.to_vec());
            let name = self.scopes.fresh();
            ports.push(whole(&name, &ty));
            inputs.push((name, ty));
        }
        let n_scanned = if n_sequences == 0 {
            given.push(self.positions(&scan.length)?);
            inputs.push((self.scopes.fresh(), TensorType::scalar(DType::I32)));
            1
        } else {
            n_sequences
        };
        self.scopes.enter();
        let body = scan.body.graph();
        let values = self.graph(body, &ports);
        let outputs = self.body_outputs(scan, &values, &ports);
        let nodes = self.scopes.leave();
        let outputs = outputs?;
        let n_stacked = outputs.len() - n_carries;
        let directions = |n: usize| Attribute::Ints(vec![i64::from(scan.reverse); n]);
        let n_results = outputs.len();
        let body = Graph { name: "step".to_string(), nodes, inputs, outputs, constants: Vec::new() };
        let attributes = [
            ("body", Attribute::Graph(Box::new(body))),
            ("num_scan_inputs", Attribute::Int(n_scanned as i64)),
            ("scan_input_directions", directions(n_scanned)),
            ("scan_output_directions", directions(n_stacked)),
        ];
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        Ok(self.scopes.nodes("Scan", &given, &attributes, n_results))
    }

    fn source_tensors(&mut self, operands: &[Value]) -> Result<Vec<String>, Refused> {
        operands.iter().map(|operand| self.scopes.plain(operand)).collect()
    }

    /// The next carries, what is stacked, and the carries as they entered, each by a name of the body's own.
    fn body_outputs(
        &mut self,
        scan: &Scan,
        values: &[Option<Value>],
        ports: &[Value],
    ) -> Result<Vec<(String, TensorType)>, Refused> {
        let computed = (0..scan.body.n_outputs()).map(|output| values[scan.body.output(output).index()].clone());
        let outputs: Vec<Option<Value>> = computed.chain(ports[..scan.carries].iter().cloned().map(Some)).collect();
        let mut named = Vec::new();
        for output in outputs {
            let value = output.ok_or_else(|| Refused("a loop whose body has no form".to_string()))?;
            let tensor = self.scopes.plain(&value)?;
            let name = self.scopes.fresh();
            self.scopes.named("Identity", &[&tensor], &name);
            named.push((name, value.ty));
        }
        Ok(named)
    }

    /// `0, 1, …`: what a loop goes over that has no sequence.
    fn positions(&mut self, length: &Dim) -> Result<String, Refused> {
        let length = self.scopes.size(length)?;
        let length = self.scopes.node("Squeeze", &[&length], &[]);
        let length = self.scopes.cast_to(&length, DType::I32);
        let (zero, one) = (self.scopes.int(0), self.scopes.int(1));
        Ok(self.scopes.node("Range", &[&zero, &length, &one], &[]))
    }

    /// `y[i] = a[i] y[i-1] + b[i]` along an axis.
    pub(super) fn linear_recurrence(&mut self, op: &LinearRecurrence, operands: &[Value], ty: &TensorType) -> Lowered {
        let axis = op.axis;
        let front: Vec<usize> = [axis].into_iter().chain((0..ty.rank()).filter(|at| *at != axis)).collect();
        let a = self.scopes.tensor(&operands[0], &front, true)?;
        let b = self.scopes.tensor(&operands[1], &front, true)?;
        let rest: Vec<Dim> = front[1..].iter().map(|at| ty.shape[*at].clone()).collect();
        let row = TensorType::f32(rest);
        let (shape, zero) = (self.scopes.shape(&row.shape)?, self.scopes.float(0.0));
        let first = if row.is_scalar() { zero } else { self.scopes.node("Expand", &[&zero, &shape], &[]) };
        let [carry, factor, term] = [(); 3].map(|()| self.scopes.fresh());
        self.scopes.enter();
        let scaled = self.scopes.node("Mul", &[&factor, &carry], &[]);
        let sum = self.scopes.node("Add", &[&scaled, &term], &[]);
        let outputs = [(); 2].map(|()| self.scopes.fresh());
        outputs.iter().for_each(|output| self.scopes.named("Identity", &[&sum], output));
        let nodes = self.scopes.leave();
        let body = Graph {
            name: "step".to_string(),
            nodes,
            inputs: [carry, factor, term].into_iter().map(|name| (name, row.clone())).collect(),
            outputs: outputs.into_iter().map(|name| (name, row.clone())).collect(),
            constants: Vec::new(),
        };
        let direction = i64::from(op.reverse);
        let attributes = [
            ("body", Attribute::Graph(Box::new(body))),
            ("num_scan_inputs", Attribute::Int(2)),
            ("scan_input_directions", Attribute::Ints(vec![direction; 2])),
            ("scan_output_directions", Attribute::Ints(vec![direction])),
        ];
        let found = self.scopes.nodes("Scan", &[&first, &a, &b], &attributes, 2);
        Ok(Value { layout: front, ..whole(&found[1], ty) })
    }
}
