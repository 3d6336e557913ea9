//! Loops: what goes in, what a step makes of it, and what comes out.
//!
//! The graph's nodes of one loop say which results are wanted; the step's graph is the body narrowed to these, by the op
//! itself. A step's plan is proved like any other, except that its leaves are what the loop binds them to: carries, slices
//! and constants are the ports of the body, and what it stacks is written to leaves that hold nothing before.

use super::super::{BufferId, Loop, Place, Storage};
use super::Checker;
use super::values::Content;
use crate::ir::NodeId;
use crate::ops::{InputKind, LoopResult, Op, Scan};

impl<'p> Checker<'p> {
    /// What a loop leaves where.
    pub(super) fn run_loop(&self, work: &'p Loop) -> Result<Vec<(BufferId, Content)>, String> {
        let scans = self.scans(work)?;
        let mut wanted: Vec<LoopResult> = scans.iter().map(|scan| scan.result).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let (narrow, slots) = scans[0].narrowed(&wanted);
        if Some(work.length) != narrow.length.as_known() || work.reverse != narrow.reverse {
            return Err(format!("{} steps, the graph says {}", work.length, narrow.length));
        }
        let operands = self.graph.operands(work.results[0].0);
        let operands: Vec<NodeId> = slots.iter().map(|slot| operands[*slot]).collect();
        let stacked = self.stacked(work, &scans, &wanted)?;
        Step { outer: self, work, narrow: &narrow, operands: &operands, stacked: &stacked }.check()?;
        self.loop_results(work, &scans, &wanted)
    }

    /// The loop's nodes in the graph, which differ in their result alone.
    fn scans(&self, work: &Loop) -> Result<Vec<&'p Scan>, String> {
        let mut scans: Vec<&'p Scan> = Vec::new();
        for (node, _) in &work.results {
            self.values.knows(*node)?;
            let Op::Scan(scan) = self.graph.op(*node) else { return Err(format!("{node:?} is no loop")) };
            if let Some(first) = scans.first()
                && (scan.loop_key() != first.loop_key()
                    || self.graph.operands(*node) != self.graph.operands(work.results[0].0))
            {
                return Err(format!("{node:?} is of another loop"));
            }
            scans.push(scan);
        }
        if scans.is_empty() { Err("a loop without results".to_string()) } else { Ok(scans) }
    }

    /// The buffers of the step that are stacked, with the body's outputs that they are.
    fn stacked(&self, work: &Loop, scans: &[&Scan], wanted: &[LoopResult]) -> Result<Vec<(BufferId, usize)>, String> {
        let mut stacked = Vec::new();
        for ((node, buffer), scan) in work.results.iter().zip(scans) {
            if let LoopResult::Stacked(output) = scan.renumbered(wanted, scan.result) {
                let leaf = work.stacked.iter().find(|(_, to)| to == buffer).map(|(leaf, _)| *leaf);
                stacked.push((leaf.ok_or_else(|| format!("{node:?} is not stacked"))?, output));
            }
        }
        if stacked.len() != work.stacked.len() {
            return Err("stacks what no result is".to_string());
        }
        Ok(stacked)
    }

    /// What each buffer that a loop writes holds afterwards.
    fn loop_results(
        &self,
        work: &Loop,
        scans: &[&Scan],
        wanted: &[LoopResult],
    ) -> Result<Vec<(BufferId, Content)>, String> {
        let mut results: Vec<(BufferId, Content)> = Vec::new();
        for ((node, buffer), scan) in work.results.iter().zip(scans) {
            let place = match scan.renumbered(wanted, scan.result) {
                LoopResult::Carry(carry) => work.carries.get(carry).map(|carry| carry.home),
                LoopResult::Incoming(carry) => work.incoming.iter().find(|(c, _)| *c == carry).map(|(_, to)| *to),
                LoopResult::Stacked(_) => Some(*buffer),
            };
            if place != Some(*buffer) {
                return Err(format!("{node:?} is not in buffer {}", buffer.0));
            }
            self.has_size(*buffer, *node, Storage::of(self.graph.ty(*node).dtype))?;
            results.push((*buffer, self.values.content(*node)));
        }
        let written = work.writes();
        let is_known = |id: &BufferId| work.results.iter().any(|(_, buffer)| buffer == id);
        results.extend(written.into_iter().filter(|id| !is_known(id)).map(|id| (id, Content::Scratch)));
        Ok(results)
    }
}

/// A step of a loop during the proof.
struct Step<'a, 'p> {
    outer: &'a Checker<'p>,
    work: &'a Loop,
    narrow: &'a Scan,
    /// what the ports stand for
    operands: &'a [NodeId],
    /// leaves of the step, with the stacked outputs that they are written
    stacked: &'a [(BufferId, usize)],
}

impl Step<'_, '_> {
    fn check(&self) -> Result<(), String> {
        let graph = self.narrow.body.graph();
        let mut inner = Checker::new(&self.work.step, graph).map_err(|mistake| format!("in its body: {mistake}"))?;
        let mut bound = vec![0; self.work.step.buffers.len()];
        self.carries(&mut inner, &mut bound)?;
        self.inputs(&mut inner, &mut bound)?;
        for (leaf, to) in &self.work.stacked {
            self.bind(*leaf, *to, self.work.length, &mut bound)?;
        }
        for (buffer, times) in self.work.step.buffers.iter().zip(bound) {
            let wanted = usize::from(matches!(buffer.place, Place::Leaf { .. }));
            if times != wanted {
                return Err(format!("a buffer of the body has {times} places outside, not {wanted}"));
            }
        }
        let scratch = self.work.scratch.map(|scratch| self.outer.buffer(scratch));
        let storage = scratch.map(|buffer| buffer.storage);
        let wanted = [self.work.step.float_len, self.work.step.int_len];
        if scratch.map(|buffer| buffer.len) != wanted || storage != [Storage::Float, Storage::Int] {
            return Err(format!("memory for a body of {} and {} elements", wanted[0], wanted[1]));
        }
        let first = inner.leaves.clone();
        inner.replay().map_err(|mistake| format!("in its body: {mistake}"))?;
        self.ends(&inner, &first)
    }

    /// Gives a leaf of the step its place outside.
    fn bind(&self, leaf: BufferId, place: BufferId, times: usize, bound: &mut [usize]) -> Result<(), String> {
        let inner = self.work.step.buffers.get(leaf.0).ok_or_else(|| format!("the body has no buffer {}", leaf.0))?;
        let outer = self.outer.buffer(place);
        bound[leaf.0] += 1;
        if inner.storage == outer.storage && inner.len.checked_mul(times) == Some(outer.len) {
            return Ok(());
        }
        Err(format!("buffer {} of the body does not fit buffer {}", leaf.0, place.0))
    }

    fn carries(&self, inner: &mut Checker<'_>, bound: &mut [usize]) -> Result<(), String> {
        if self.work.carries.len() != self.narrow.carries {
            return Err(format!("{} carries, the graph says {}", self.work.carries.len(), self.narrow.carries));
        }
        for (at, carry) in self.work.carries.iter().enumerate() {
            let fail = |mistake: String| format!("carry {at}: {mistake}");
            let (first, home) = (self.outer.buffer(carry.first), self.outer.buffer(carry.home));
            if first.len != home.len || first.storage != home.storage {
                return Err(fail(format!("moves from buffer {} to buffer {}", carry.first.0, carry.home.0)));
            }
            self.handed(carry.first, self.operands[at]).map_err(fail)?;
            let Some(leaf) = carry.leaf else { continue };
            self.bind(leaf, carry.home, 1, bound).map_err(fail)?;
            inner.leaves[leaf.0] = self.narrow.body.port(at).map(Content::Node);
            self.has_type(leaf, self.narrow.body.output(at), inner).map_err(fail)?;
        }
        for (carry, to) in &self.work.incoming {
            let home = self.work.carries.get(*carry).map(|carry| self.outer.buffer(carry.home));
            let to = self.outer.buffer(*to);
            let fits = |home: &super::Buffer| {
                home.len.checked_mul(self.work.length) == Some(to.len) && home.storage == to.storage
            };
            if !home.is_some_and(fits) {
                return Err(format!("carry {carry} does not fit where it is collected"));
            }
        }
        Ok(())
    }

    fn inputs(&self, inner: &mut Checker<'_>, bound: &mut [usize]) -> Result<(), String> {
        for input in &self.work.inputs {
            let place = self.work.step.buffers.get(input.leaf.0).map(|buffer| &buffer.place);
            let Some(Place::Leaf { kind: InputKind::Port(slot), .. }) = place else {
                return Err(format!("hands buffer {} to what is no port", input.from.0));
            };
            let fail = |mistake: String| format!("port {slot}: {mistake}");
            let is_constant = *slot >= self.narrow.carries + self.narrow.sequences;
            if *slot < self.narrow.carries || *slot >= self.operands.len() || input.is_sequence == is_constant {
                return Err(fail("is not what the graph says".to_string()));
            }
            let port = self.narrow.body.port(*slot).ok_or_else(|| fail("nothing reads it".to_string()))?;
            self.bind(input.leaf, input.from, if is_constant { 1 } else { self.work.length }, bound).map_err(fail)?;
            self.handed(input.from, self.operands[*slot]).map_err(fail)?;
            self.has_type(input.leaf, port, inner).map_err(fail)?;
            inner.leaves[input.leaf.0] = Some(Content::Node(port));
        }
        Ok(())
    }

    /// Whether what is handed in is the value of the operand.
    fn handed(&self, from: BufferId, operand: NodeId) -> Result<(), String> {
        self.outer.has_size(from, operand, Storage::of(self.outer.graph.ty(operand).dtype))?;
        self.outer.holds(from, operand)
    }

    /// Whether a leaf of the step has room for a value of the body.
    fn has_type(&self, leaf: BufferId, node: NodeId, inner: &Checker<'_>) -> Result<(), String> {
        inner.has_size(leaf, node, Storage::of(inner.graph.ty(node).dtype))
    }

    /// What a step leaves: the next carries, and what is stacked; ports as they were.
    fn ends(&self, inner: &Checker<'_>, first: &[Option<Content>]) -> Result<(), String> {
        let body = &self.narrow.body;
        for (at, carry) in self.work.carries.iter().enumerate() {
            let next = body.output(at);
            let stays = || body.port(at).is_some_and(|port| inner.values.content(next) == Content::Node(port));
            let right = match carry.leaf {
                Some(leaf) => inner.holds(leaf, next),
                None if stays() || inner.values.count(next) == 0 => Ok(()),
                None => Err("the step does not write it".to_string()),
            };
            right.map_err(|mistake| format!("the next carry {at}: {mistake}"))?;
        }
        for (leaf, output) in self.stacked {
            let node = body.output(self.narrow.carries + output);
            self.has_type(*leaf, node, inner)
                .and_then(|()| inner.holds(*leaf, node))
                .map_err(|mistake| format!("stacked {output}: {mistake}"))?;
        }
        for input in &self.work.inputs {
            if inner.leaves[input.leaf.0] != first[input.leaf.0] {
                return Err(format!("overwrites the operand in buffer {}", input.from.0));
            }
        }
        Ok(())
    }
}
