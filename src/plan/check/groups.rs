//! Fused groups: every load, instruction and write against the graph.

use super::super::{BufferId, Group, IndexMap, Instruction, Load, Reference, Storage, Write};
use super::values::Content;
use super::{Checker, maps, same_op};
use crate::ir::{DType, NodeId};
use crate::ops::Op;

impl<'p> Checker<'p> {
    /// What a group writes where, each value being the one that the graph says.
    pub(super) fn group(&self, group: &'p Group) -> Result<Vec<(BufferId, Content)>, String> {
        let mut held = Vec::with_capacity(group.loads.len());
        for (l, load) in group.loads.iter().enumerate() {
            held.push(self.load(group.n, load).map_err(|mistake| format!("load {l}: {mistake}"))?);
        }
        for (i, instruction) in group.instructions.iter().enumerate() {
            self.instruction(group, &held, i, instruction).map_err(|mistake| {
                format!("instruction {i}, {} ({}): {mistake}", instruction.op.name(), instruction.name)
            })?;
        }
        let mut results = Vec::with_capacity(group.writes.len());
        let mut sums = group.writes.iter().filter_map(|write| write.sum_inner);
        if let Some(first) = sums.next()
            && sums.any(|other| other != first)
        {
            return Err("sums over runs of different lengths".to_string());
        }
        for (w, write) in group.writes.iter().enumerate() {
            let content = self.group_write(group, &held, write).map_err(|mistake| format!("write {w}: {mistake}"))?;
            results.push((write.buffer, content));
        }
        Ok(results)
    }

    /// What a load reads, all of it being there.
    fn load(&self, n: usize, load: &Load) -> Result<Content, String> {
        let buffer = self.buffer(load.buffer);
        if load.is_int != (buffer.storage == Storage::Int) {
            return Err(format!("buffer {} is in the storage of the other element type", load.buffer.0));
        }
        if n > 0 {
            let furthest = reach(&load.map, n).ok_or_else(|| format!("its map is not over {n} elements"))?;
            if furthest >= buffer.len {
                return Err(format!("element {furthest} of buffer {}, which has {}", load.buffer.0, buffer.len));
            }
        }
        self.read(load.buffer)
    }

    fn instruction(&self, group: &Group, held: &[Content], at: usize, instruction: &Instruction) -> Result<(), String> {
        let node = instruction.node;
        self.values.knows(node)?;
        same_op(&instruction.op, self.graph.op(node))?;
        if instruction.op.pointwise().is_none() || self.graph.ty(node).dtype == DType::I32 {
            return Err("groups do not compute it".to_string());
        }
        if self.values.count(node) != group.n {
            return Err(format!("{} elements in a group over {}", self.values.count(node), group.n));
        }
        let operands = self.graph.operands(node);
        if operands.len() != instruction.operands.len() {
            return Err(format!("{} operands, the graph says {}", instruction.operands.len(), operands.len()));
        }
        for (slot, (operand, reference)) in operands.iter().zip(&instruction.operands).enumerate() {
            // Ints become floats where they are loaded: what reads them must be a cast.
            if self.graph.ty(*operand).dtype == DType::I32 && !matches!(instruction.op, Op::Cast(_)) {
                return Err(format!("operand {slot}: an int in a group"));
            }
            let found = self.operand(group, held, at, *operand, *reference);
            found
                .or_else(|mistake| self.rectified_instead(group, held, at, node, slot, *reference).ok_or(mistake))
                .map_err(|mistake| format!("operand {slot}: {mistake}"))?;
        }
        Ok(())
    }

    /// Whether a reference of instruction `at` is the value of a node.
    fn operand(
        &self,
        group: &Group,
        held: &[Content],
        at: usize,
        node: NodeId,
        reference: Reference,
    ) -> Result<(), String> {
        match reference {
            Reference::Constant(number) => match self.values.number(node) {
                Some(wanted) if wanted.to_bits() == number.to_bits() => Ok(()),
                _ => Err(format!("{number:?} is not {node:?}")),
            },
            Reference::Instruction(earlier) => match group.instructions.get(earlier).filter(|_| earlier < at) {
                Some(earlier) if self.values.content(earlier.node) == self.values.content(node) => Ok(()),
                _ => Err(format!("instruction {earlier} is not {node:?}")),
            },
            Reference::Load(load) => {
                let content = held.get(load).ok_or_else(|| format!("there is no load {load}"))?;
                if group.n == 0 {
                    return Ok(());
                }
                maps::reads(self.graph, &self.values, node, &group.loads[load].map, *content)
            }
        }
    }

    /// `0 < max(0, x)` stands for `0 < x`: the two are one for every number, and for NaN.
    fn rectified_instead(
        &self,
        group: &Group,
        held: &[Content],
        at: usize,
        node: NodeId,
        slot: usize,
        reference: Reference,
    ) -> Option<()> {
        let operands = self.graph.operands(node);
        let is_positive = matches!(self.graph.op(node), Op::Less(_)) && self.values.number(operands[0]) == Some(0.0);
        if !is_positive || slot != 1 {
            return None;
        }
        let content = match reference {
            Reference::Instruction(earlier) => self.values.content(group.instructions.get(earlier)?.node),
            Reference::Load(load) => *held.get(load)?,
            Reference::Constant(_) => return None,
        };
        let Content::Node(larger) = content else { return None };
        let rectified = self.values.rectified(larger)?;
        let is_same = self.values.content(rectified) == self.values.content(operands[1]);
        if is_same { self.operand(group, held, at, larger, reference).ok() } else { None }
    }

    /// What a write leaves behind.
    fn group_write(&self, group: &Group, held: &[Content], write: &Write) -> Result<Content, String> {
        self.values.knows(write.node)?;
        let value = match write.value {
            Reference::Instruction(value) => {
                let instruction = group.instructions.get(value);
                self.values.content(instruction.ok_or_else(|| format!("there is no instruction {value}"))?.node)
            }
            Reference::Load(load) if group.loads.get(load).is_some_and(|load| load.map.is_identity()) => held[load],
            Reference::Load(_) | Reference::Constant(_) => return Err("what it writes was not computed".to_string()),
        };
        self.has_size(write.buffer, write.node, Storage::Float)?;
        let written = self.values.content(write.node);
        let is_right = match write.sum_inner {
            None => group.n == 0 || (value == written && self.values.count(write.node) == group.n),
            Some(inner) => self.is_sum(write.node, value, inner, group.n),
        };
        if is_right { Ok(written) } else { Err(format!("{value:?} is not what it says, {:?}", write.node)) }
    }

    /// Whether a node sums runs of `inner` of the `n` elements of a value.
    fn is_sum(&self, node: NodeId, value: Content, inner: usize, n: usize) -> bool {
        let Op::Sum(sum) = self.graph.op(node) else { return false };
        let operand = self.graph.operands(node)[0];
        let ty = self.graph.ty(operand);
        let first = ty.rank() - sum.axes.len().min(ty.rank());
        let trailing: Vec<usize> = (first..ty.rank()).collect();
        let mut axes = sum.axes.clone();
        axes.sort_unstable();
        let run: usize = ty.shape[first..].iter().map(|dim| dim.as_known().unwrap_or(0)).product();
        axes == trailing
            && inner > 0
            && run == inner
            && self.values.count(operand) == n
            && self.values.content(operand) == value
            && ty.is_float()
    }
}

/// The furthest element that a map over `n` indices reads; `None` when it is over another number, or beyond counting.
fn reach(map: &IndexMap, n: usize) -> Option<usize> {
    let mut count: usize = 1;
    let mut furthest: usize = 0;
    for (extent, stride) in map.dims() {
        count = count.checked_mul(*extent)?;
        furthest = furthest.checked_add(extent.saturating_sub(1).checked_mul(*stride)?)?;
    }
    (count == n).then_some(furthest)
}
