//! Loops as `while`: what the body reads is carried, nothing is captured.

use super::op::{element, extents};
use super::text::{Element, Value};
use super::{Emitter, Loops, Refused};
use crate::ir::{Graph, NodeId};
use crate::ops::{LoopResult, Scan};

impl Emitter {
    /// A result of a loop. Nodes that differ in the result alone are one loop.
    pub(super) fn scan(
        &mut self,
        graph: &Graph,
        id: NodeId,
        scan: &Scan,
        x: &[Value],
        loops: &mut Loops,
    ) -> Result<Value, Refused> {
        let key = (scan.loop_key(), graph.operands(id));
        let found = match loops.get(&key) {
            Some(found) => found.clone(),
            None => {
                let found = self.scan_loop(scan, x)?;
                loops.insert(key, found.clone());
                found
            }
        };
        let at = match scan.result {
            LoopResult::Carry(carry) => carry,
            LoopResult::Stacked(output) => scan.carries + output,
            LoopResult::Incoming(carry) => scan.carries + scan.n_stacked() + carry,
        };
        Ok(found[at].clone())
    }

    /// The last carries, what is stacked, and the carries as they entered.
    fn scan_loop(&mut self, scan: &Scan, x: &[Value]) -> Result<Vec<Value>, Refused> {
        let (n_carries, n_sequences, n_stacked) = (scan.carries, scan.sequences, scan.n_stacked());
        let length = scan.length.as_known().unwrap_or(0);
        let body = scan.body.graph();
        let rows = |element: Element, shape: &[usize]| (element, [&[length], shape].concat());
        let stacked = (n_carries..n_carries + n_stacked).map(|output| {
            let ty = body.ty(scan.body.output(output));
            rows(element(ty.dtype), &extents(&ty.shape))
        });
        let incoming = x[..n_carries].iter().map(|carry| rows(carry.element, &carry.shape));
        let kinds: Vec<(Element, Vec<usize>)> = stacked.chain(incoming).collect();
        let buffers: Vec<Value> = kinds.iter().map(|(element, shape)| self.text.full(0.0, *element, shape)).collect();
        if length == 0 {
            return Ok(x[..n_carries].iter().cloned().chain(buffers).collect());
        }
        let time = self.text.full(0.0, Element::I32, &[]);
        let first: Vec<Value> = [time]
            .into_iter()
            .chain(x[..n_carries].iter().cloned())
            .chain(buffers)
            .chain(x[n_carries..].iter().cloned())
            .collect();
        let n_buffers = n_stacked + n_carries;
        let mut refused = None;
        // `repeat_while` takes the text alone, and the body is written by the whole emitter: the two regions are put together here.
        let inside = |emitter: &mut Self| -> Vec<Value> {
            first.iter().map(|value| Value { name: emitter.text.fresh(), ..value.clone() }).collect()
        };
        let carried = inside(self);
        let (lines, goes_on) = self.text.block(|t| t.is("LT", &carried[0], length as f64));
        let head = self.text.region_text(&carried, &lines, &[goes_on]);
        let carried = inside(self);
        self.text.open();
        let step = carried[0].clone();
        let at = if scan.reverse {
            let last = self.text.full(length as f64 - 1.0, Element::I32, &[]);
            self.text.sub(&last, &step)
        } else {
            step.clone()
        };
        let (carries, rest) = carried[1..].split_at(n_carries);
        let (buffers, given) = rest.split_at(n_buffers);
        let mut ports = carries.to_vec();
        ports.extend(given[..n_sequences].iter().map(|sequence| self.text.row(sequence, &at)));
        ports.extend(given[n_sequences..].iter().cloned());
        let mut next = vec![self.text.offset(&step, 1.0)];
        match self.body(body, &ports) {
            Ok(outputs) => {
                next.extend(outputs[..n_carries].iter().cloned());
                let written = outputs[n_carries..].iter().chain(carries);
                for (buffer, row) in buffers.iter().zip(written) {
                    next.push(self.text.with_row(buffer, row, &at));
                }
            }
            Err(reason) => {
                refused = Some(reason);
                next.extend(carries.iter().chain(buffers).cloned());
            }
        }
        next.extend(given.iter().cloned());
        let lines = self.text.close();
        if let Some(reason) = refused {
            return Err(reason);
        }
        let tail = self.text.region_text(&carried, &lines, &next);
        let types = self.text.types(&first);
        let text =
            format!("\"stablehlo.while\"({}) ({head}, {tail}) : ({types}) -> ({types})", super::text::names(&first));
        let kinds: Vec<(Element, Vec<usize>)> =
            first.iter().map(|value| (value.element, value.shape.clone())).collect();
        let done = self.text.values(&text, &kinds);
        Ok(done[1..=n_carries + n_buffers].to_vec())
    }
}
