//! What ops of one kind have in common.

/// Parts of [`Primitive`](super::Primitive) by the name of a kind, for use within an op's `impl`. An op names every kind that it is of; what no
/// kind of it says it says itself, and what nobody says does not compile.
///
/// - `leaf`: nothing flows into it
/// - `flat`: its derivative is zero wherever it exists
/// - `differentiable`: by each of its operands
/// - `linear`: in each operand alone, so the op itself maps tangents; it says its `vjp`
/// - `diagonal`: `differential` is both its vjp and its jvp
/// - `bare`: without attributes
/// - `of_axis`, `of_axes`: its attributes are `axis`, or `axes`
/// - `lanes`: of floats along its `axis`, in the operand's shape; `number_lanes` of ints too
/// - `sizeless`: no run-time dim in its attributes
/// - `elementwise`: element by element, all operands in the result's shape; it says its `pointwise`
/// - `kernel`: the register machine does not run it, rewrites know no law of it, and it picks nothing by indices
/// - `indexing`: as `kernel`, but by indices; it says its `demand`
/// - `moving`: its elements are the operand's, in other places; perhaps not all of them, or more than once
/// - `mixing`: no axis of an operand is known to stay apart
/// - `free`: nothing is computed
/// - `plain`: an operation for each element of its largest value
macro_rules! primitive {
    ($($kind:ident),+) => { $($crate::ops::classes::primitive!(@ $kind);)+ };
    (@ leaf) => {
        fn flow(&self, _slot: usize) -> $crate::ops::Flow {
            $crate::ops::Flow::Zero
        }

        fn vjp(&self, _b: &mut Builder<'_>, _site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
            cotangent
        }

        fn jvp(&self, _b: &mut Builder<'_>, _site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
            tangent
        }
    };
    (@ flat) => {
        fn flow(&self, _slot: usize) -> $crate::ops::Flow {
            $crate::ops::Flow::Zero
        }

        fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, _cotangent: NodeId, slot: usize) -> NodeId {
            b.zeros_like(site.operands[slot])
        }

        fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, _tangent: NodeId, _slot: usize) -> NodeId {
            b.zeros_like(site.result)
        }
    };
    (@ differentiable) => {
        fn flow(&self, _slot: usize) -> $crate::ops::Flow {
            $crate::ops::Flow::Differentiable
        }
    };
    (@ linear) => {
        $crate::ops::classes::primitive!(@ differentiable);

        fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId {
            let mut operands = site.operands.to_vec();
            operands[slot] = tangent;
            b.emit(self.clone(), &operands)
        }
    };
    (@ diagonal) => {
        fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
            self.differential(b, site, cotangent, slot)
        }

        fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId {
            self.differential(b, site, tangent, slot)
        }
    };
    (@ bare) => {
        fn attributes(&self) -> Vec<(&'static str, String)> {
            Vec::new()
        }
    };
    (@ of_axis) => {
        fn attributes(&self) -> Vec<(&'static str, String)> {
            vec![("axis", self.axis.to_string())]
        }
    };
    (@ of_axes) => {
        fn attributes(&self) -> Vec<(&'static str, String)> {
            vec![("axes", $crate::ops::show_list(&self.axes))]
        }
    };
    (@ lanes) => {
        $crate::ops::classes::primitive!(@ lanes_of one_float);
    };
    (@ number_lanes) => {
        $crate::ops::classes::primitive!(@ lanes_of one_number);
    };
    (@ lanes_of $operand:ident) => {
        fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
            let x = $crate::ops::$operand(Self::NAME, operands)?;
            check_axes(Self::NAME, &[self.axis], x.rank())?;
            Ok(x.clone())
        }

        fn locality(&self, types: Types<'_>) -> Locality {
            Locality::but(types, &[self.axis], Along::Mixed)
        }
    };
    (@ sizeless) => {
        fn bind(&self, _sizes: &DimSizes) -> Self {
            self.clone()
        }
    };
    (@ elementwise) => {
        $crate::ops::classes::primitive!(@ indexless);

        fn locality(&self, _types: Types<'_>) -> Locality {
            Locality::Pointwise
        }
    };
    (@ kernel) => {
        $crate::ops::classes::primitive!(@ indexing);
        $crate::ops::classes::primitive!(@ indexless);
    };
    (@ indexless) => {
        fn demand(&self, _types: Types<'_>) -> Option<$crate::ops::Indexed> {
            None
        }
    };
    (@ indexing) => {
        const ALGEBRA: Algebra = Algebra::NONE;

        fn pointwise(&self) -> Option<Pointwise> {
            None
        }
    };
    (@ moving) => {
        fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
            ranges.of(0)
        }
    };
    (@ mixing) => {
        fn locality(&self, _types: Types<'_>) -> Locality {
            Locality::Mixes
        }
    };
    (@ free) => {
        fn work(&self, _extents: Extents<'_>) -> Work<'_> {
            Work::Free
        }
    };
    (@ plain) => {
        fn work(&self, extents: Extents<'_>) -> Work<'_> {
            Work::plain(extents)
        }
    };
}
pub(crate) use primitive;
