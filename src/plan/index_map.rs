//! Which element of a buffer belongs to each index of a reader's range: an affine map over the digits of the index.
//!
//! A reader's range `0..n` is written row-major over the extents of `dims`; index `i` with the digits `d` reads element
//! `Σ dₖ · strideₖ`. A broadcast is such a map, a reshape changes nothing of it (both sides count elements row-major), and
//! maps compose where the digits of the one split along the digits of the other ([`IndexMap::of`]). Where they do not, no
//! affine map says what is read, and the value in between must be written out.
//!
//! Two views of the same elements have one canonical map ([`IndexMap::canonical`]): no extents of 1, and neighbours that
//! are stepped through alike are one dimension. Before that a map keeps every extent it was made of, so that whether a
//! chain composes does not depend on what happened to merge.

use crate::ops::Broadcast;

/// An affine map from a reader's range to the elements of a buffer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IndexMap {
    /// `(extent, stride)`, the last steps fastest
    dims: Vec<(usize, usize)>,
}

/// The shapes of a map that loops over a range know how to read fast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// element `i`
    Contiguous,
    /// element 0
    Scalar,
    /// element `i % period`: repeated along leading axes, as a bias is
    Cyclic { period: usize },
    /// element `i / inner`: repeated along trailing axes, as a row's mean is
    Stretched { inner: usize },
    /// row-major over `(extent, stride)`
    Strided(Vec<(usize, usize)>),
}

impl IndexMap {
    /// Element `i` for index `i`, of a range of `n`.
    pub fn identity(n: usize) -> Self {
        Self { dims: if n == 1 { Vec::new() } else { vec![(n, 1)] } }
    }

    /// A map by its dimensions, for those who change a plan to see whether that is found out.
    pub fn from_dims(dims: Vec<(usize, usize)>) -> Self {
        Self { dims }
    }

    /// How a broadcast's result reads its operand; `None` while a dim is not known.
    pub(super) fn broadcast(op: &Broadcast) -> Option<Self> {
        let shape: Option<Vec<usize>> = op.shape.iter().map(|dim| dim.as_known()).collect();
        let shape = shape?;
        let mut strides = vec![0; shape.len()];
        let mut stride = 1;
        for &axis in op.axes.iter().rev() {
            strides[axis] = stride;
            stride *= shape[axis];
        }
        Some(Self { dims: shape.into_iter().zip(strides).collect() }.canonical())
    }

    /// What this map reads of `operand`'s elements when it reads them through `operand`: first this map, then that one.
    /// `None` where the composition is not affine. This map's strides must be those of digits of one number, as a
    /// broadcast's are.
    pub(super) fn of(&self, operand: &Self) -> Option<Self> {
        if self.is_empty() {
            return Some(Self::identity(0));
        }
        let mut dims = Vec::with_capacity(self.dims.len() + operand.dims.len());
        for &(extent, stride) in self.dims.iter().rev() {
            if stride == 0 {
                dims.push((extent, 0));
            } else {
                operand.split(extent, stride, &mut dims)?;
            }
        }
        dims.reverse();
        Some(Self { dims })
    }

    /// Steps of `stride`, `extent` of them, through the range of this map: appends their dimensions, the fastest first.
    fn split(&self, mut extent: usize, mut stride: usize, dims: &mut Vec<(usize, usize)>) -> Option<()> {
        let mut unit = 1;
        for &(digit, step) in self.dims.iter().rev() {
            let end = unit * digit;
            if stride < end && extent > 1 {
                if !stride.is_multiple_of(unit) {
                    return None;
                }
                let scaled = stride / unit * step;
                if extent * stride <= end {
                    dims.push((extent, scaled));
                    return Some(());
                }
                // The steps go on into the next digit, which they must reach with all of this one done.
                let room = end / stride;
                if !end.is_multiple_of(stride) || !extent.is_multiple_of(room) {
                    return None;
                }
                dims.push((room, scaled));
                extent /= room;
                stride = end;
            }
            unit = end;
        }
        (extent == 1).then_some(())
    }

    /// The one way to write this map.
    pub(super) fn canonical(&self) -> Self {
        if self.is_empty() {
            return Self::identity(0);
        }
        let mut dims: Vec<(usize, usize)> = Vec::new();
        for &(extent, stride) in self.dims.iter().filter(|(extent, _)| *extent != 1) {
            match dims.last_mut() {
                Some((last_extent, last_stride)) if *last_stride == stride * extent => {
                    *last_extent *= extent;
                    *last_stride = stride;
                }
                _ => dims.push((extent, stride)),
            }
        }
        Self { dims }
    }

    /// The length of the range.
    pub fn len(&self) -> usize {
        self.dims.iter().map(|(extent, _)| extent).product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `(extent, stride)` of each dimension, the last steps fastest.
    pub fn dims(&self) -> &[(usize, usize)] {
        &self.dims
    }

    /// Whether index `i` reads element `i`.
    pub fn is_identity(&self) -> bool {
        matches!(self.canonical().dims.as_slice(), [] | [(_, 1)])
    }

    /// What kind of canonical map this is.
    pub fn pattern(&self) -> Pattern {
        match *self.dims.as_slice() {
            [] | [(_, 0)] => Pattern::Scalar,
            [(_, 1)] => Pattern::Contiguous,
            [(_, 0), (period, 1)] => Pattern::Cyclic { period },
            [(_, 1), (inner, 0)] => Pattern::Stretched { inner },
            _ => Pattern::Strided(self.dims.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Dim;
    use proptest::prelude::*;

    fn broadcast(shape: &[usize], axes: &[usize]) -> IndexMap {
        let shape = shape.iter().map(|extent| Dim::known(*extent)).collect();
        IndexMap::broadcast(&Broadcast { shape, axes: axes.to_vec() }).unwrap()
    }

    /// The element that an index reads.
    fn at(map: &IndexMap, index: usize) -> usize {
        let mut rest = index;
        let digit = |&(extent, stride): &(usize, usize)| {
            let digit = rest % extent;
            rest /= extent;
            digit * stride
        };
        map.dims.iter().rev().map(digit).sum()
    }

    #[test]
    fn broadcasts_are_recognised() {
        let pattern = |shape: &[usize], axes: &[usize]| broadcast(shape, axes).pattern();
        assert_eq!(pattern(&[7, 3], &[]), Pattern::Scalar);
        assert_eq!(pattern(&[7, 3], &[1]), Pattern::Cyclic { period: 3 });
        assert_eq!(pattern(&[7, 3], &[0]), Pattern::Stretched { inner: 3 });
        assert_eq!(pattern(&[7, 3, 1], &[0, 1]), Pattern::Contiguous);
        assert_eq!(pattern(&[2, 7, 3, 5], &[0, 3]), Pattern::Strided(vec![(2, 5), (21, 0), (5, 1)]));
        assert_eq!(pattern(&[1, 7, 3], &[0, 2]), Pattern::Cyclic { period: 3 });
        assert_eq!(pattern(&[0, 3], &[1]), Pattern::Contiguous);
        assert_eq!(pattern(&[1, 1], &[1]), Pattern::Scalar);
    }

    #[test]
    fn an_image_upsampled_by_rows_and_columns_is_one_map() {
        // [3, 1, 4, 1] -> [3, 2, 4, 2], the repetition along both axes in one broadcast.
        let image = broadcast(&[3, 2, 4, 2], &[0, 2]);
        assert_eq!(image.pattern(), Pattern::Strided(vec![(3, 4), (2, 0), (4, 1), (2, 0)]));
        // Upsampled once more: [6, 8] -> [6, 2, 8, 2].
        let twice = broadcast(&[6, 2, 8, 2], &[0, 2]).of(&image).unwrap().canonical();
        assert_eq!(twice.pattern(), Pattern::Strided(vec![(3, 4), (4, 0), (4, 1), (4, 0)]));
    }

    #[test]
    fn digits_that_do_not_split_are_no_map() {
        // [3] stretched to 12 by 4, read as [2, 6] with the last axis repeated: 6 is no multiple of 4.
        let stretched = broadcast(&[3, 4], &[0]);
        assert_eq!(broadcast(&[2, 5, 6], &[0, 2]).of(&stretched), None);
        assert!(broadcast(&[5, 3, 4], &[1, 2]).of(&stretched).is_some());
    }

    /// A broadcast of `n` elements under some shape: extents and which of them are new.
    fn over(n: usize, choices: &[(usize, bool)]) -> IndexMap {
        let (mut rest, mut shape, mut axes) = (n, Vec::new(), Vec::new());
        for &(extent, is_new) in choices {
            if is_new {
                shape.push(extent);
            } else if rest != 0 && rest.is_multiple_of(extent) {
                axes.push(shape.len());
                shape.push(extent);
                rest /= extent;
            }
        }
        axes.push(shape.len());
        shape.push(rest);
        broadcast(&shape, &axes)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 1000,
            failure_persistence: None,
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_composition_reads_what_its_parts_read(
            chain in proptest::collection::vec(proptest::collection::vec((1usize..5, any::<bool>()), 0..4), 1..4)
        ) {
            let mut n = 12;
            let mut maps: Vec<IndexMap> = Vec::new();
            let mut whole = IndexMap::identity(n);
            for choices in &chain {
                let outer = over(n, choices);
                if outer.len() > 5000 {
                    break;
                }
                let Some(composed) = outer.of(&whole) else { break };
                n = outer.len();
                prop_assert_eq!(composed.len(), n);
                maps.push(outer);
                whole = composed;
            }
            for index in 0..n {
                let wanted = maps.iter().rev().fold(index, |index, map| at(map, index));
                prop_assert_eq!(at(&whole, index), wanted);
                prop_assert_eq!(at(&whole.canonical(), index), wanted);
            }
            prop_assert_eq!(whole.canonical().canonical(), whole.canonical());
        }
    }
}
