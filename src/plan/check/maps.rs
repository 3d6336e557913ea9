//! Index maps, proved by following one index through the graph's views.
//!
//! A load says that index `i` of a group reads element `Σ digitₖ · strideₖ` of a buffer. Here the index is written as a
//! form over the same digits and taken through the views of the graph one after another, by what each of them does to an
//! index: a broadcast divides it by its extents, drops the digits of new axes and counts the others anew. What comes out
//! must be the load's form, coefficient by coefficient: then the two agree at every index. A digit that an extent cuts
//! in two is split; where the cut is not at a whole number, nothing is proved.

use super::super::IndexMap;
use super::values::{Content, Values};
use crate::ir::{Graph, NodeId};
use crate::ops::{Broadcast, Op};

/// A digit of the index.
#[derive(Clone, Copy, Debug)]
struct Digit {
    extent: usize,
    /// how far a load moves in its buffer
    stride: usize,
    /// how far the value under the view at hand is moved through
    step: usize,
}

/// Proves that a load of `map` of a buffer that holds `content` reads the value of `node`, which has the load's range.
pub(super) fn reads(
    graph: &Graph,
    values: &Values<'_>,
    mut node: NodeId,
    map: &IndexMap,
    content: Content,
) -> Result<(), String> {
    let wanted = node;
    let mut digits = digits(map);
    loop {
        if let Content::Number(bits) = content
            && values.number(node).is_some_and(|number| number.to_bits() == bits)
        {
            return Ok(());
        }
        if values.content(node) == content {
            let is_same = |digit: &Digit| digit.extent == 1 || digit.stride == digit.step;
            return if digits.iter().all(is_same) {
                Ok(())
            } else {
                Err(format!("the load's map {:?} is not that of {wanted:?}", map.dims()))
            };
        }
        match graph.op(node) {
            Op::Reshape(_) | Op::StopGradient(_) => {}
            Op::Broadcast(broadcast) => digits = through(broadcast, digits)?,
            _ => return Err(format!("loads {content:?}, not what {wanted:?} looks at")),
        }
        node = graph.operands(node)[0];
    }
}

/// The index itself, over the digits of a load.
fn digits(map: &IndexMap) -> Vec<Digit> {
    let mut step = 1;
    let mut digits = Vec::with_capacity(map.dims().len());
    for &(extent, stride) in map.dims().iter().rev() {
        digits.push(Digit { extent, stride, step });
        step *= extent;
    }
    digits
}

/// The index of a broadcast's operand, given that of its result.
fn through(broadcast: &Broadcast, digits: Vec<Digit>) -> Result<Vec<Digit>, String> {
    let mut parts = parts(broadcast);
    // The outermost part takes what is left.
    let outermost = parts.pop();
    let (mut rest, mut done) = (digits, Vec::new());
    let mut unit = 1;
    for (extent, is_kept) in parts {
        let mut outside = Vec::new();
        let mut inside = Vec::new();
        for digit in rest {
            divide(digit, extent, &mut inside, &mut outside)?;
        }
        if inside.iter().map(|digit| digit.step * (digit.extent - 1)).sum::<usize>() >= extent {
            return Err("digits of an index carry over".to_string());
        }
        done.extend(inside.into_iter().map(|digit| scaled(digit, if is_kept { unit } else { 0 })));
        unit *= if is_kept { extent } else { 1 };
        rest = outside;
    }
    let is_kept = outermost.is_none_or(|(_, is_kept)| is_kept);
    done.extend(rest.into_iter().map(|digit| scaled(digit, if is_kept { unit } else { 0 })));
    Ok(done)
}

fn scaled(digit: Digit, by: usize) -> Digit {
    Digit { step: digit.step * by, ..digit }
}

/// Neighbouring axes that are all kept or all new, from the last: their extent, and whether they are kept.
fn parts(broadcast: &Broadcast) -> Vec<(usize, bool)> {
    let mut parts: Vec<(usize, bool)> = Vec::new();
    let mut kept = broadcast.axes.iter().rev().peekable();
    for (axis, dim) in broadcast.shape.iter().enumerate().rev() {
        let is_kept = kept.next_if(|next| **next == axis).is_some();
        let extent = dim.as_known().unwrap_or(0);
        match parts.last_mut() {
            _ if extent == 1 => {}
            Some((last, kind)) if *kind == is_kept => *last *= extent,
            _ => parts.push((extent, is_kept)),
        }
    }
    parts
}

/// The parts of a digit below and above `extent`; those above in units of it.
fn divide(digit: Digit, extent: usize, inside: &mut Vec<Digit>, outside: &mut Vec<Digit>) -> Result<(), String> {
    let whole = |part: usize, of: usize| {
        if part != 0 && of.is_multiple_of(part) {
            Ok(of / part)
        } else {
            Err("an index is cut within a digit".to_string())
        }
    };
    if digit.step == 0 || digit.extent <= 1 {
        inside.push(Digit { step: 0, ..digit });
    } else if digit.step >= extent {
        outside.push(Digit { step: whole(extent, digit.step)?, ..digit });
    } else if digit.step * digit.extent <= extent {
        inside.push(digit);
    } else {
        let room = whole(digit.step, extent)?;
        let above = whole(room, digit.extent)?;
        inside.push(Digit { extent: room, ..digit });
        outside.push(Digit { extent: above, stride: digit.stride * room, step: 1 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{SourceId, Span};
    use crate::ir::{Builder, Dim, Provenance, TensorType};
    use crate::ops::{Input, InputKind, Reshape};
    use proptest::prelude::*;

    /// A chain of views over a leaf of so many elements, each made by one of the choices: the leaf and the last view.
    fn chain(graph: &mut Graph, n: usize, choices: &[[usize; 3]]) -> (NodeId, NodeId) {
        let provenance = Provenance { name: "x".into(), span: Span::new(SourceId::NOWHERE, 0, 0) };
        let mut b = Builder::new(graph, provenance);
        let ty = TensorType::f32(vec![Dim::known(n)]);
        let leaf = b.emit(Input { kind: InputKind::Param, ty }, &[]);
        let mut last = leaf;
        for [kind, at, extent] in choices {
            let shape = b.shape(last).to_vec();
            let count: usize = shape.iter().filter_map(Dim::as_known).product();
            if kind % 2 == 0 && count < 300 {
                let at = at % (shape.len() + 1);
                let axes = (0..shape.len()).map(|axis| axis + usize::from(axis >= at)).collect();
                let mut shape = shape;
                shape.insert(at, Dim::known(1 + extent % 4));
                last = b.emit(Broadcast { shape, axes }, &[last]);
            } else {
                let first = (1..=12).filter(|part| count.is_multiple_of(*part)).nth(at % 4).unwrap_or(1);
                let shape = vec![Dim::known(first), Dim::known(count / first)];
                last = b.emit(Reshape { shape }, &[last]);
            }
        }
        (leaf, last)
    }

    /// The element of the leaf that an index of a view is, by the meaning of each view.
    fn element(graph: &Graph, mut node: NodeId, mut index: usize) -> usize {
        loop {
            match graph.op(node) {
                Op::Broadcast(broadcast) => {
                    let extents: Vec<usize> = broadcast.shape.iter().filter_map(Dim::as_known).collect();
                    let mut position = vec![0; extents.len()];
                    for axis in (0..extents.len()).rev() {
                        position[axis] = index % extents[axis];
                        index /= extents[axis];
                    }
                    let kept = broadcast.axes.iter();
                    index = kept.fold(0, |index, axis| index * extents[*axis] + position[*axis]);
                }
                Op::Reshape(_) => {}
                _ => return index,
            }
            node = graph.operands(node)[0];
        }
    }

    fn load(dims: &[(usize, usize)], index: usize) -> usize {
        let mut rest = index;
        dims.iter().rev().fold(0, |element, (extent, stride)| {
            let digit = rest % extent;
            rest /= extent;
            element + digit * stride
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 2000,
            failure_persistence: None,
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            ..ProptestConfig::default()
        })]

        /// What is accepted reads the right elements, be the map random or nearly right.
        #[test]
        fn an_accepted_map_agrees_at_every_index(
            choices in proptest::collection::vec(any::<[usize; 3]>(), 0..5),
            splits in proptest::collection::vec(1usize..5, 0..4),
            strides in proptest::collection::vec(0usize..13, 5),
            is_near in any::<bool>()
        ) {
            let mut graph = Graph::new();
            let (leaf, view) = chain(&mut graph, 6, &choices);
            let values = Values::of(&graph);
            let n = values.count(view);
            let (mut dims, mut rest) = (Vec::new(), n);
            for (split, stride) in splits.iter().zip(&strides) {
                if rest.is_multiple_of(*split) {
                    rest /= split;
                    dims.push((*split, *stride));
                }
            }
            dims.push((rest, strides[4]));
            if is_near {
                // Strides from the view itself, where the digits are independent of each other.
                let mut unit = 1;
                for dim in dims.iter_mut().rev() {
                    dim.1 = if dim.0 > 1 { element(&graph, view, unit) } else { 0 };
                    unit *= dim.0;
                }
            }
            let agrees = (0..n).all(|index| load(&dims, index) == element(&graph, view, index));
            let map = IndexMap::from_dims(dims);
            if reads(&graph, &values, view, &map, values.content(leaf)).is_ok() {
                prop_assert!(agrees, "{:?}", map);
            }
        }
    }
}
