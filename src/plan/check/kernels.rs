//! Kernels: the op and the operands of a node, and what a product does before it writes.

use super::super::{Bias, IndexMap, Operand, Storage};
use super::{Checker, maps, same_op};
use crate::ir::NodeId;
use crate::ops::Op;

impl Checker<'_> {
    /// Proves that a kernel computes `node` from what its operands hold.
    pub(super) fn kernel(
        &self,
        op: &Op,
        operands: &[Operand],
        bias: Option<Bias>,
        shape: &[usize],
        node: NodeId,
    ) -> Result<(), String> {
        self.values.knows(node)?;
        let computed = match bias {
            None => node,
            Some(bias) => self.product(node, bias)?,
        };
        same_op(op, self.graph.op(computed))?;
        if self.shape(computed).as_deref() != Some(shape) {
            return Err(format!("computes {shape:?}, the graph says {}", self.graph.ty(computed)));
        }
        let wanted = self.graph.operands(computed);
        if wanted.len() != operands.len() {
            return Err(format!("{} operands, the graph says {}", operands.len(), wanted.len()));
        }
        for (slot, (operand, wanted)) in operands.iter().zip(wanted).enumerate() {
            self.kernel_operand(operand, wanted).map_err(|mistake| format!("operand {slot}: {mistake}"))?;
        }
        Ok(())
    }

    fn shape(&self, node: NodeId) -> Option<Vec<usize>> {
        self.graph.ty(node).known_shape()
    }

    fn kernel_operand(&self, operand: &Operand, node: NodeId) -> Result<(), String> {
        let ty = self.graph.ty(node);
        if self.shape(node).as_deref() != Some(&operand.shape) || operand.dtype != ty.dtype {
            return Err(format!("read as {:?} {:?}, the graph says {ty}", operand.dtype, operand.shape));
        }
        self.has_size(operand.buffer, node, Storage::of(ty.dtype))?;
        self.holds(operand.buffer, node)
    }

    /// The product that `node` is when its bias, and perhaps ReLU, is taken off.
    fn product(&self, node: NodeId, bias: Bias) -> Result<NodeId, String> {
        let not = |what: &str| format!("{node:?} is no {what}");
        let sum = if bias.relu { self.values.rectified(node).ok_or_else(|| not("ReLU"))? } else { node };
        let sum = self.values.node(sum).filter(|sum| matches!(self.graph.op(*sum), Op::Add(_)));
        let sum = sum.ok_or_else(|| not("sum"))?;
        let [x, y] = *self.graph.operands(sum).as_slice() else { return Err(not("sum")) };
        let product = |id: NodeId| {
            let id = self.values.node(id)?;
            matches!(self.graph.op(id), Op::MatMul(_) | Op::Convolution(_)).then_some(id)
        };
        let mut mistake = not("sum of a product and a bias");
        for (x, y) in [(x, y), (y, x)] {
            let Some(product) = product(x) else { continue };
            match self.is_row(product, y, bias) {
                Ok(()) => return Ok(product),
                Err(reason) => mistake = reason,
            }
        }
        Err(mistake)
    }

    /// Whether what is added to a product is a bias' one number for each column.
    fn is_row(&self, product: NodeId, added: NodeId, bias: Bias) -> Result<(), String> {
        let columns = self.shape(product).and_then(|shape| shape.last().copied()).unwrap_or(0);
        let (n, buffer) = (self.values.count(added), self.buffer(bias.buffer));
        if buffer.storage != Storage::Float || buffer.len != columns || n != self.values.count(product) {
            return Err(format!("a bias of {} for {columns} columns", buffer.len));
        }
        if n == 0 {
            return Ok(());
        }
        let map = IndexMap::from_dims(vec![(n / columns, 0), (columns, 1)]);
        let content = self.read(bias.buffer)?;
        maps::reads(self.graph, &self.values, added, &map, content).map_err(|mistake| format!("bias: {mistake}"))
    }
}
