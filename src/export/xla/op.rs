//! A row for each op: the match has no other arm, so that an op without one does not compile.

use super::text::{Element, Value, array, list};
use super::{Emitter, Refused};
use crate::ir::{DType, Dim, TensorType};
use crate::ops::{CumulativeSum, LinearRecurrence, Op, Pad, Slice};

type Emitted = Result<Value, Refused>;

pub(super) fn element(dtype: DType) -> Element {
    match dtype {
        DType::F32 => Element::Float,
        DType::I32 => Element::I32,
        DType::Bool => Element::Bool,
    }
}

pub(super) fn extents(dims: &[Dim]) -> Vec<usize> {
    dims.iter().map(|dim| dim.as_known().unwrap_or(0)).collect()
}

impl Emitter {
    /// The value of a node that is no leaf and no loop.
    pub(super) fn op(&mut self, op: &Op, x: &[Value], ty: &TensorType) -> Emitted {
        let (kind, shape) = (element(ty.dtype), extents(&ty.shape));
        let none = |why: &str| Err(Refused(format!("{} {why}", op.name())));
        let t = &mut self.text;
        Ok(match op {
            Op::Input(_) | Op::Scan(_) => return none("stands alone"),
            Op::Constant(constant) => t.full(constant.value.0, kind, &shape),
            Op::Size(size) => t.full(size.dim.as_known().unwrap_or(0) as f64, Element::Float, &[]),
            Op::Iota(iota) => t.iota(iota.axis, kind, &shape),
            Op::Random(random) => self.random(random, x, &shape),
            Op::Neg(_) => t.map("negate", &[&x[0]]),
            Op::Abs(_) => t.map("abs", &[&x[0]]),
            Op::Sign(_) => t.map("sign", &[&x[0]]),
            Op::Exp(_) => t.map("exponential", &[&x[0]]),
            Op::Expm1(_) => t.map("exponential_minus_one", &[&x[0]]),
            Op::Log(_) => t.map("log", &[&x[0]]),
            Op::Log1p(_) => t.map("log_plus_one", &[&x[0]]),
            Op::Sqrt(_) => t.map("sqrt", &[&x[0]]),
            // As the definition, 1 / √x: `rsqrt` is an approximation on some devices.
            Op::Rsqrt(_) => {
                let (one, root) = (t.like(1.0, &x[0]), t.map("sqrt", &[&x[0]]));
                t.div(&one, &root)
            }
            Op::Sin(_) => t.map("sine", &[&x[0]]),
            Op::Cos(_) => t.map("cosine", &[&x[0]]),
            Op::Tan(_) => t.map("tan", &[&x[0]]),
            Op::Asin(_) => {
                let leg = self.leg(&x[0]);
                self.text.map("atan2", &[&x[0], &leg])
            }
            Op::Acos(_) => {
                let leg = self.leg(&x[0]);
                self.text.map("atan2", &[&leg, &x[0]])
            }
            Op::Atan(_) => {
                let one = t.like(1.0, &x[0]);
                t.map("atan2", &[&x[0], &one])
            }
            Op::Sinh(_) => {
                // With e = eˣ - 1: (e + e / (e + 1)) / 2.
                let less = t.map("exponential_minus_one", &[&x[0]]);
                let power = t.offset(&less, 1.0);
                let quotient = t.div(&less, &power);
                let sum = t.add(&less, &quotient);
                t.scale(0.5, &sum)
            }
            Op::Cosh(_) => {
                let minus = t.map("negate", &[&x[0]]);
                let (up, down) = (t.map("exponential", &[&x[0]]), t.map("exponential", &[&minus]));
                let sum = t.add(&up, &down);
                t.scale(0.5, &sum)
            }
            Op::Tanh(_) => t.map("tanh", &[&x[0]]),
            Op::Asinh(_) => {
                // sign(x) ln(1 + |x| + x² / (1 + √(1 + x²)))
                let (size, sign) = (t.map("abs", &[&x[0]]), t.map("sign", &[&x[0]]));
                let square = t.mul(&size, &size);
                let sum = t.offset(&square, 1.0);
                let root = t.map("sqrt", &[&sum]);
                let divisor = t.offset(&root, 1.0);
                let quotient = t.div(&square, &divisor);
                let inner = t.add(&size, &quotient);
                let log = t.map("log_plus_one", &[&inner]);
                t.mul(&sign, &log)
            }
            Op::Acosh(_) => {
                let (less, more) = (t.offset(&x[0], -1.0), t.offset(&x[0], 1.0));
                let product = t.mul(&less, &more);
                let root = t.map("sqrt", &[&product]);
                let inner = t.add(&less, &root);
                t.map("log_plus_one", &[&inner])
            }
            Op::Atanh(_) => {
                let minus = t.map("negate", &[&x[0]]);
                let (up, down) = (t.map("log_plus_one", &[&x[0]]), t.map("log_plus_one", &[&minus]));
                let difference = t.sub(&up, &down);
                t.scale(0.5, &difference)
            }
            Op::Sigmoid(_) => t.map("logistic", &[&x[0]]),
            Op::Softplus(_) => {
                let zero = t.like(0.0, &x[0]);
                let top = t.map("maximum", &[&x[0], &zero]);
                let size = t.map("abs", &[&x[0]]);
                let minus = t.map("negate", &[&size]);
                let power = t.map("exponential", &[&minus]);
                let log = t.map("log_plus_one", &[&power]);
                t.add(&top, &log)
            }
            Op::Erf(_) => self.erf(&x[0]),
            Op::Floor(_) => t.map("floor", &[&x[0]]),
            Op::Ceil(_) => t.map("ceil", &[&x[0]]),
            Op::Round(_) => t.map("round_nearest_even", &[&x[0]]),
            Op::Add(_) => t.add(&x[0], &x[1]),
            Op::Sub(_) => t.sub(&x[0], &x[1]),
            Op::Mul(_) => t.mul(&x[0], &x[1]),
            Op::Div(_) => self.quotient(&x[0], &x[1]),
            Op::Rem(_) => self.remainder(&x[0], &x[1]),
            Op::Pow(_) => t.map("power", &[&x[0], &x[1]]),
            Op::Max(_) => t.map("maximum", &[&x[0], &x[1]]),
            Op::Min(_) => t.map("minimum", &[&x[0], &x[1]]),
            Op::Atan2(_) => t.map("atan2", &[&x[0], &x[1]]),
            Op::LogGamma(_) => self.log_gamma(&x[0]),
            Op::Polygamma(op) => self.polygamma(op.order, &x[0]),
            Op::ErfInverse(_) => self.erf_inverse(&x[0]),
            Op::Less(_) => t.compare("LT", &x[0], &x[1]),
            Op::LessEqual(_) => t.compare("LE", &x[0], &x[1]),
            Op::Equal(_) => t.compare("EQ", &x[0], &x[1]),
            Op::IsNan(_) => t.is_nan(&x[0]),
            Op::And(_) => t.and(&x[0], &x[1]),
            Op::Or(_) => t.or(&x[0], &x[1]),
            Op::Not(_) => t.not(&x[0]),
            Op::Select(_) => t.select(&x[0], &x[1], &x[2]),
            Op::Cast(_) => self.cast(&x[0], kind),
            Op::MatMul(op) => t.dot(&x[0], &x[1], op.transpose_x, op.transpose_y),
            Op::Convolution(op) => self.convolution(&op.attributes, &x[0], &x[1], &shape),
            Op::ConvolutionInputGradient(op) => self.input_gradient(&op.attributes, &x[0], &x[1], &shape),
            Op::ConvolutionKernelGradient(op) => self.kernel_gradient(&op.attributes, &x[0], &x[1], &shape),
            Op::MaxPool(op) => self.max_pool(&op.attributes, &x[0], &shape),
            Op::MaxPoolScatter(op) => self.max_pool_scatter(&op.attributes, &x[0], &x[1], &shape),
            Op::MaxPoolSelect(op) => self.max_pool_select(&op.attributes, &x[0], &x[1], &shape),
            Op::AveragePool(op) => self.average_pool(&op.attributes, &x[0], &shape),
            Op::AveragePoolScatter(op) => self.average_pool_scatter(&op.attributes, &x[0], &shape),
            Op::Sum(op) => t.reduce(&x[0], "add", 0.0, &op.axes),
            Op::Product(op) => t.reduce(&x[0], "multiply", 1.0, &op.axes),
            Op::MaxReduce(op) => {
                let least = if kind == Element::I32 { f64::from(i32::MIN) } else { f64::NEG_INFINITY };
                t.reduce(&x[0], "maximum", least, &op.axes)
            }
            Op::LogSumExp(op) => {
                let (_, powers, top) = self.powers(&x[0], &op.axes);
                let t = &mut self.text;
                let sum = t.reduce(&powers, "add", 0.0, &op.axes);
                let log = t.map("log", &[&sum]);
                t.add(&log, &top)
            }
            Op::ArgMax(op) => self.argmax(op.axis, &x[0]),
            Op::CumulativeSum(op) => self.cumulative_sum(op, &x[0]),
            Op::LinearRecurrence(op) => self.linear_recurrence(op, &x[0], &x[1]),
            Op::Softmax(op) => {
                let (_, powers, _) = self.powers(&x[0], &[op.axis]);
                let t = &mut self.text;
                let sum = t.reduce(&powers, "add", 0.0, &[op.axis]);
                let sum = t.repeat(&sum, &shape, &[op.axis]);
                t.div(&powers, &sum)
            }
            Op::LogSoftmax(op) => {
                let (centred, powers, _) = self.powers(&x[0], &[op.axis]);
                let t = &mut self.text;
                let sum = t.reduce(&powers, "add", 0.0, &[op.axis]);
                let log = t.map("log", &[&sum]);
                let log = t.repeat(&log, &shape, &[op.axis]);
                t.sub(&centred, &log)
            }
            Op::Sort(op) => self.sort(op.axis, op.descending, &x[0], false),
            Op::ArgSort(op) => self.sort(op.axis, op.descending, &x[0], true),
            Op::Reshape(_) => t.reshape(&x[0], &shape),
            Op::Transpose(op) => t.transpose(&x[0], &op.permutation),
            Op::Broadcast(op) => t.broadcast(&x[0], &shape, &op.axes),
            Op::Concat(op) => t.concat(x, op.axis),
            Op::Slice(op) => self.slice(op, &x[0]),
            Op::Pad(op) => self.pad(op, &x[0], &shape),
            Op::Reverse(op) => t.reverse(&x[0], &op.axes),
            Op::Gather(op) => self.gather(op.fill.0, &x[0], &x[1], &shape),
            Op::ScatterAdd(_) => self.scatter_add(&x[0], &x[1], &shape),
            Op::TakeAlong(op) => self.take_along(op.axis, op.fill.0, &x[0], &x[1]),
            Op::PutAlong(op) => self.put_along(op.axis, &x[0], &x[1], &shape),
            Op::Cholesky(_) => self.cholesky(&x[0]),
            Op::TriangularSolve(op) => self.triangular_solve(op, &x[0], &x[1]),
            Op::Orthonormal(_) => self.orthonormal(&x[0]),
            Op::Solve(op) => self.solve(op.transpose, &x[0], &x[1]),
            Op::Eigh(_) => self.eigh(&x[0]),
            Op::Pinv(op) => self.pinv(op.tolerance.0, &x[0]),
            Op::SimplexQp(_) => self.simplex_qp(&x[0], x.get(1)),
            Op::NonnegQp(_) => self.nonneg_qp(&x[0], &x[1]),
            // Chosen and written out before a program runs.
            Op::ByMode(_) => x[crate::ops::ByMode::TRAINING].clone(),
            Op::StopGradient(_) => x[0].clone(),
            Op::Directed(_) => x[crate::ops::Directed::VALUE].clone(),
            Op::Gradient(_) => return none("is a derivative that was not written out"),
        })
    }

    /// `√((1 - x)(1 + x))`
    fn leg(&mut self, x: &Value) -> Value {
        let t = &mut self.text;
        let one = t.like(1.0, x);
        let (less, more) = (t.sub(&one, x), t.add(&one, x));
        let product = t.mul(&less, &more);
        t.map("sqrt", &[&product])
    }

    /// `x / y`; of integers cut off towards 0, and 0 where there is none.
    fn quotient(&mut self, x: &Value, y: &Value) -> Value {
        let t = &mut self.text;
        if x.element != Element::I32 {
            return t.div(x, y);
        }
        let is_bad = self.has_no_quotient(x, y);
        let t = &mut self.text;
        let (one, zero) = (t.like(1.0, y), t.like(0.0, y));
        let divisor = t.select(&is_bad, &one, y);
        let quotient = t.div(x, &divisor);
        t.select(&is_bad, &zero, &quotient)
    }

    /// Where integers have no quotient that is one: by 0, and of the least by -1.
    fn has_no_quotient(&mut self, x: &Value, y: &Value) -> Value {
        let t = &mut self.text;
        let (is_zero, is_minus) = (t.is("EQ", y, 0.0), t.is("EQ", y, -1.0));
        let is_least = t.is("EQ", x, f64::from(i32::MIN));
        let overflows = t.and(&is_minus, &is_least);
        t.or(&is_zero, &overflows)
    }

    /// The floored modulo.
    fn remainder(&mut self, x: &Value, y: &Value) -> Value {
        let zero = self.text.like(0.0, x);
        let is_bad = (x.element == Element::I32).then(|| self.has_no_quotient(x, y));
        let t = &mut self.text;
        let divisor = match &is_bad {
            Some(is_bad) => {
                let one = t.like(1.0, y);
                t.select(is_bad, &one, y)
            }
            None => y.clone(),
        };
        let rest = t.map("remainder", &[x, &divisor]);
        let is_some = t.compare("NE", &rest, &zero);
        let (sign, other) = (t.compare("LT", &rest, &zero), t.compare("LT", &divisor, &zero));
        let differs = t.compare("NE", &sign, &other);
        let is_moved = t.and(&is_some, &differs);
        let moved = t.add(&rest, &divisor);
        let floored = t.select(&is_moved, &moved, &rest);
        match &is_bad {
            Some(is_bad) => t.select(is_bad, &zero, &floored),
            None => floored,
        }
    }

    /// Floats to integers round towards 0 and saturate, and NaN gives 0, which StableHLO leaves open.
    fn cast(&mut self, x: &Value, to: Element) -> Value {
        let t = &mut self.text;
        match (x.element, to) {
            (from, to) if from == to => x.clone(),
            (_, Element::Bool) => t.is("NE", x, 0.0),
            (Element::Float, Element::I32) => {
                let zero = t.like(0.0, x);
                let is_nan = t.is_nan(x);
                let known = t.select(&is_nan, &zero, x);
                let wide = t.convert(&known, Element::F64);
                let (low, high) = (t.like(f64::from(i32::MIN), &wide), t.like(f64::from(i32::MAX), &wide));
                let below = t.map("minimum", &[&wide, &high]);
                let within = t.map("maximum", &[&below, &low]);
                t.convert(&within, Element::I32)
            }
            (_, to) => t.convert(x, to),
        }
    }

    /// `x` less its largest along axes, the exponentials of that, and the largest; 0 stands for one that is infinite.
    fn powers(&mut self, x: &Value, axes: &[usize]) -> (Value, Value, Value) {
        let t = &mut self.text;
        let top = t.reduce(x, "maximum", f64::NEG_INFINITY, axes);
        let size = t.map("abs", &[&top]);
        let is_infinite = t.is("EQ", &size, f64::INFINITY);
        let zero = t.like(0.0, &top);
        let top = t.select(&is_infinite, &zero, &top);
        let spread = t.repeat(&top, &x.shape, axes);
        let centred = t.sub(x, &spread);
        let powers = t.map("exponential", &[&centred]);
        (centred, powers, top)
    }

    /// The first position of the largest, NaN counting as largest.
    fn argmax(&mut self, axis: usize, x: &Value) -> Value {
        let is_float = x.element == Element::Float;
        let t = &mut self.text;
        let least = if is_float { f64::NEG_INFINITY } else { f64::from(i32::MIN) };
        let top = t.reduce(x, "maximum", least, &[axis]);
        let top = t.repeat(&top, &x.shape, &[axis]);
        let mut is_top = t.compare("EQ", x, &top);
        if is_float {
            let is_nan = t.is_nan(x);
            is_top = t.or(&is_top, &is_nan);
        }
        let place = t.iota(axis, Element::I32, &x.shape);
        let beyond = t.like(x.shape[axis] as f64, &place);
        let places = t.select(&is_top, &place, &beyond);
        t.reduce(&places, "minimum", f64::from(i32::MAX), &[axis])
    }

    /// `x` moved by some places along an axis, away from where a recurrence begins.
    fn shifted(&mut self, x: &Value, axis: usize, places: usize, reverse: bool, fill: f64) -> Value {
        let (mut low, mut high) = (vec![0; x.rank()], vec![0; x.rank()]);
        let by = places as i64;
        (low[axis], high[axis]) = if reverse { (-by, by) } else { (by, -by) };
        self.text.pad(x, &low, &high, &vec![0; x.rank()], fill)
    }

    /// By doubling: after step k each element is the sum of 2ᵏ.
    fn cumulative_sum(&mut self, op: &CumulativeSum, x: &Value) -> Value {
        let mut sum = if op.exclusive { self.shifted(x, op.axis, 1, op.reverse, 0.0) } else { x.clone() };
        let mut places = 1;
        while places < x.shape[op.axis] {
            let moved = self.shifted(&sum, op.axis, places, op.reverse, 0.0);
            sum = self.text.add(&sum, &moved);
            places *= 2;
        }
        sum
    }

    /// By doubling on the pairs (a, b): two steps of a recurrence are one.
    fn linear_recurrence(&mut self, op: &LinearRecurrence, a: &Value, b: &Value) -> Value {
        let (mut a, mut b) = (a.clone(), b.clone());
        let mut places = 1;
        while places < b.shape[op.axis] {
            let before = self.shifted(&b, op.axis, places, op.reverse, 0.0);
            let carried = self.text.mul(&a, &before);
            b = self.text.add(&b, &carried);
            let before = self.shifted(&a, op.axis, places, op.reverse, 1.0);
            a = self.text.mul(&a, &before);
            places *= 2;
        }
        b
    }

    /// Stable; NaN stand last in both directions.
    fn sort(&mut self, axis: usize, descending: bool, x: &Value, wants_order: bool) -> Value {
        let place = self.text.iota(axis, Element::I32, &x.shape);
        let operands = if wants_order { vec![x.clone(), place] } else { vec![x.clone()] };
        let elements: Vec<Element> = operands.iter().flat_map(|operand| [operand.element; 2]).collect();
        let is_float = x.element == Element::Float;
        let region = self.text.region(&elements, |t, pair| {
            let is_first = t.compare(if descending { "GT" } else { "LT" }, &pair[0], &pair[1]);
            if !is_float {
                return vec![is_first];
            }
            let (left, right) = (t.is_nan(&pair[0]), t.is_nan(&pair[1]));
            let is_known = t.not(&left);
            let beats = t.and(&is_known, &right);
            vec![t.or(&is_first, &beats)]
        });
        let t = &mut self.text;
        let kinds: Vec<(Element, Vec<usize>)> =
            operands.iter().map(|operand| (operand.element, operand.shape.clone())).collect();
        let results = if wants_order { format!("({})", t.types(&operands)) } else { t.ty(x) };
        let text = format!(
            "\"stablehlo.sort\"({}) <{{dimension = {axis} : i64, is_stable = true}}> ({region}) : ({}) -> {results}",
            super::text::names(&operands),
            t.types(&operands)
        );
        t.values(&text, &kinds).pop().unwrap_or_else(|| x.clone())
    }

    fn slice(&mut self, op: &Slice, x: &Value) -> Value {
        let (starts, counts) = (extents(&op.starts), extents(&op.extents));
        let limit = |axis: usize| match counts[axis] {
            0 => starts[axis],
            count => starts[axis] + (count - 1) * op.strides[axis] + 1,
        };
        let limits: Vec<usize> = (0..x.rank()).map(limit).collect();
        self.text.slice(x, &starts, &limits, &op.strides)
    }

    fn pad(&mut self, op: &Pad, x: &Value, shape: &[usize]) -> Value {
        let low: Vec<i64> = extents(&op.starts).iter().map(|start| *start as i64).collect();
        let interior: Vec<usize> = op.strides.iter().map(|stride| stride - 1).collect();
        let held = |axis: usize| x.shape[axis] + x.shape[axis].saturating_sub(1) * interior[axis];
        let high: Vec<i64> = (0..x.rank()).map(|axis| shape[axis] as i64 - low[axis] - held(axis) as i64).collect();
        self.text.pad(x, &low, &high, &interior, 0.0)
    }

    /// Whether indices lie within an extent.
    fn is_inside(&mut self, indices: &Value, extent: usize) -> Value {
        let t = &mut self.text;
        let (low, high) = (t.is("GE", indices, 0.0), t.is("LT", indices, extent as f64));
        t.and(&low, &high)
    }

    fn gather(&mut self, fill: f64, table: &Value, indices: &Value, shape: &[usize]) -> Value {
        let (rank, rest) = (indices.rank(), table.rank() - 1);
        let offsets: Vec<usize> = (rank..rank + rest).collect();
        let sizes: Vec<usize> = [1].into_iter().chain(table.shape[1..].iter().copied()).collect();
        let t = &mut self.text;
        let text = format!(
            "\"stablehlo.gather\"({}, {}) <{{dimension_numbers = #stablehlo.gather<offset_dims = {}, collapsed_slice_dims = [0], \
             start_index_map = [0], index_vector_dim = {rank}>, slice_sizes = {}}}> : ({}, {}) -> {}",
            table.name,
            indices.name,
            list(&offsets),
            array(&sizes),
            t.ty(table),
            t.ty(indices),
            t.tensor(table.element, shape)
        );
        let rows = t.value(&text, table.element, shape);
        let mask = self.is_inside(indices, table.shape[0]);
        let t = &mut self.text;
        let mask = t.broadcast(&mask, shape, &(0..rank).collect::<Vec<_>>());
        let fill = t.like(fill, &rows);
        t.select(&mask, &rows, &fill)
    }

    /// Updates outside are left out by the operation itself.
    fn scatter_add(&mut self, indices: &Value, updates: &Value, shape: &[usize]) -> Value {
        let rank = indices.rank();
        let windows: Vec<usize> = (rank..updates.rank()).collect();
        let region = self.text.adding(updates.element);
        let t = &mut self.text;
        let zeros = t.full(0.0, updates.element, shape);
        let text = format!(
            "\"stablehlo.scatter\"({}, {}, {}) <{{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = {}, \
             inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = {rank}>}}> ({region}) : ({}, {}, {}) -> {}",
            zeros.name,
            indices.name,
            updates.name,
            list(&windows),
            t.ty(&zeros),
            t.ty(indices),
            t.ty(updates),
            t.ty(&zeros)
        );
        t.value(&text, updates.element, shape)
    }

    fn take_along(&mut self, axis: usize, fill: f64, x: &Value, indices: &Value) -> Value {
        let rank = x.rank();
        let others: Vec<usize> = (0..rank).filter(|at| *at != axis).collect();
        let t = &mut self.text;
        let text = format!(
            "\"stablehlo.gather\"({}, {}) <{{dimension_numbers = #stablehlo.gather<collapsed_slice_dims = [{axis}], \
             operand_batching_dims = {}, start_indices_batching_dims = {}, start_index_map = [{axis}], index_vector_dim = {rank}>, \
             slice_sizes = {}}}> : ({}, {}) -> {}",
            x.name,
            indices.name,
            list(&others),
            list(&others),
            array(&vec![1; rank]),
            t.ty(x),
            t.ty(indices),
            t.tensor(x.element, &indices.shape)
        );
        let found = t.value(&text, x.element, &indices.shape);
        let mask = self.is_inside(indices, x.shape[axis]);
        let t = &mut self.text;
        let fill = t.like(fill, &found);
        t.select(&mask, &found, &fill)
    }

    fn put_along(&mut self, axis: usize, indices: &Value, updates: &Value, shape: &[usize]) -> Value {
        let rank = indices.rank();
        let others: Vec<usize> = (0..rank).filter(|at| *at != axis).collect();
        let region = self.text.adding(updates.element);
        let t = &mut self.text;
        let zeros = t.full(0.0, updates.element, shape);
        let text = format!(
            "\"stablehlo.scatter\"({}, {}, {}) <{{scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [{axis}], \
             input_batching_dims = {}, scatter_indices_batching_dims = {}, scatter_dims_to_operand_dims = [{axis}], \
             index_vector_dim = {rank}>}}> ({region}) : ({}, {}, {}) -> {}",
            zeros.name,
            indices.name,
            updates.name,
            list(&others),
            list(&others),
            t.ty(&zeros),
            t.ty(indices),
            t.ty(updates),
            t.ty(&zeros)
        );
        t.value(&text, updates.element, shape)
    }
}
