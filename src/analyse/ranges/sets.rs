//! Sets of whole numbers as intervals, and functions of one whole number in linear pieces.

/// Beyond every value of an i32 and every sum of a few of them.
pub(super) const FAR: i64 = 1 << 40;

/// Whole numbers: closed intervals in order, apart from one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set(Vec<(i64, i64)>);

impl Set {
    pub fn none() -> Self {
        Self(Vec::new())
    }

    pub fn all() -> Self {
        Self::between(-FAR, FAR)
    }

    pub fn between(low: i64, high: i64) -> Self {
        Self(if low <= high { vec![(low, high)] } else { Vec::new() })
    }

    pub fn intervals(&self) -> &[(i64, i64)] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, value: i64) -> bool {
        self.0.iter().any(|&(low, high)| low <= value && value <= high)
    }

    pub fn union(&self, other: &Self) -> Self {
        let mut all: Vec<(i64, i64)> = self.0.iter().chain(&other.0).copied().collect();
        all.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::new();
        for (low, high) in all {
            match joined.last_mut() {
                Some(last) if low <= last.1 + 1 => last.1 = last.1.max(high),
                _ => joined.push((low, high)),
            }
        }
        Self(joined)
    }

    pub fn intersection(&self, other: &Self) -> Self {
        self.complement().union(&other.complement()).complement()
    }

    pub fn complement(&self) -> Self {
        let mut gaps = Vec::new();
        let mut next = -FAR;
        for &(low, high) in &self.0 {
            if next < low {
                gaps.push((next, low - 1));
            }
            next = high + 1;
        }
        if next <= FAR {
            gaps.push((next, FAR));
        }
        Self(gaps)
    }

    /// Whether every number of `domain` is in the set.
    pub fn covers(&self, domain: &Self) -> bool {
        domain.intersection(&self.complement()).is_empty()
    }
}

/// `0 to 4`, `at least 1`, `below 0 or 7`: as messages say it.
impl std::fmt::Display for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What lies beyond i32 is no number that data can have.
        let (least, most) = (i64::from(i32::MIN) + 1, i64::from(i32::MAX));
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|&(low, high)| match (low <= least, high >= most) {
                (true, true) => "any".to_string(),
                (true, false) => format!("at most {high}"),
                (false, true) => format!("at least {low}"),
                _ if low == high => low.to_string(),
                _ => format!("{low} to {high}"),
            })
            .collect();
        f.write_str(if parts.is_empty() { "none".into() } else { parts.join(" or ") }.as_str())
    }
}

/// On the whole numbers from `from` to `to` the value `slope * v` plus something between `low` and `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    pub from: i64,
    pub to: i64,
    pub slope: f64,
    pub low: f64,
    pub high: f64,
}

impl Piece {
    /// Without numbers that are none: from infinities that meet, nothing follows.
    fn sound(self) -> Self {
        if self.slope.is_finite() && !self.low.is_nan() && !self.high.is_nan() {
            return self;
        }
        self.constant(f64::NEG_INFINITY, f64::INFINITY)
    }

    fn is_exact(&self) -> bool {
        self.low == self.high
    }

    /// The least and the largest value.
    fn bounds(&self) -> (f64, f64) {
        let ends = [self.slope * self.from as f64, self.slope * self.to as f64];
        (ends[0].min(ends[1]) + self.low, ends[0].max(ends[1]) + self.high)
    }

    fn constant(self, low: f64, high: f64) -> Self {
        Self { slope: 0.0, low, high, ..self }
    }

    fn is_whole(&self) -> bool {
        self.slope.fract() == 0.0 && self.low.fract() == 0.0 && self.high.fract() == 0.0
    }

    /// The part on which an exact piece is below 0, 0, and above 0, each with its sign; the whole with 0 for unknown.
    fn by_sign(self) -> Vec<(Piece, Option<i8>)> {
        let (low, high) = self.bounds();
        let sign = |low: f64, high: f64| match () {
            () if low > 0.0 => Some(1),
            () if high < 0.0 => Some(-1),
            () if low == 0.0 && high == 0.0 => Some(0),
            () => None,
        };
        if !self.is_exact() || self.slope == 0.0 || sign(low, high).is_some() {
            return vec![(self, sign(low, high))];
        }
        // The root lies within the piece; whole numbers before it, at it, behind it.
        let root = -self.low / self.slope;
        let (before, behind) = if self.slope > 0.0 { (-1, 1) } else { (1, -1) };
        let (floor, ceil) = (root.floor() as i64, root.ceil() as i64);
        let mut parts = Vec::new();
        let mut part = |from: i64, to: i64, sign: i8| {
            if from <= to {
                parts.push((Piece { from, to, ..self }, Some(sign)));
            }
        };
        if floor == ceil {
            part(self.from, floor - 1, before);
            part(floor, floor, 0);
            part(floor + 1, self.to, behind);
        } else {
            part(self.from, floor, before);
            part(ceil, self.to, behind);
        }
        parts
    }
}

/// A function of one whole number, or a number that does not depend on it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Function(Vec<Piece>);

/// More pieces than this are one that says nothing.
const MOST_PIECES: usize = 24;

impl Function {
    /// The number itself, from `from` to `to`.
    pub fn identity(from: i64, to: i64) -> Self {
        Self(vec![Piece { from, to, slope: 1.0, low: 0.0, high: 0.0 }])
    }

    /// Something between two numbers, whatever the argument is.
    pub fn between(low: f64, high: f64) -> Self {
        Self(vec![Piece { from: -FAR, to: FAR, slope: 0.0, low, high }])
    }

    /// The one value, where there is but one.
    pub fn as_constant(&self) -> Option<f64> {
        let (low, high) = self.bounds();
        (low == high).then_some(low)
    }

    /// Slope and offset, where it is one line.
    pub fn as_line(&self) -> Option<(f64, f64)> {
        match self.0.as_slice() {
            [piece] if piece.is_exact() => Some((piece.slope, piece.low)),
            _ => None,
        }
    }

    pub fn bounds(&self) -> (f64, f64) {
        let each = self.0.iter().map(Piece::bounds);
        each.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (l, h)| (low.min(l), high.max(h)))
    }

    /// The same bounds, whatever the argument is.
    pub fn hull(&self) -> Self {
        let (low, high) = self.bounds();
        Self::between(low, high)
    }

    fn of(pieces: Vec<Piece>) -> Self {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces.into_iter().map(Piece::sound) {
            match joined.last_mut() {
                Some(last)
                    if last.to + 1 == piece.from
                        && Piece { to: piece.to, ..*last } == Piece { from: last.from, ..piece } =>
                {
                    last.to = piece.to;
                }
                _ => joined.push(piece),
            }
        }
        if joined.len() > MOST_PIECES {
            let (from, to) = (joined[0].from, joined[joined.len() - 1].to);
            joined = vec![Piece { from, to, slope: 0.0, low: f64::NEG_INFINITY, high: f64::INFINITY }];
        }
        Self(joined)
    }

    fn map(&self, f: impl Fn(Piece) -> Vec<Piece>) -> Self {
        Self::of(self.0.iter().flat_map(|piece| f(*piece)).collect())
    }

    /// Piece by piece of both, on the arguments that both know.
    fn zip(&self, other: &Self, f: impl Fn(Piece, Piece) -> Vec<Piece>) -> Self {
        let mut pieces = Vec::new();
        for a in &self.0 {
            for b in &other.0 {
                let (from, to) = (a.from.max(b.from), a.to.min(b.to));
                if from <= to {
                    pieces.extend(f(Piece { from, to, ..*a }, Piece { from, to, ..*b }));
                }
            }
        }
        Self::of(pieces)
    }

    pub fn neg(&self) -> Self {
        self.map(|p| vec![Piece { slope: -p.slope, low: -p.high, high: -p.low, ..p }])
    }

    pub fn add(&self, other: &Self) -> Self {
        self.zip(other, |a, b| vec![Piece { slope: a.slope + b.slope, low: a.low + b.low, high: a.high + b.high, ..a }])
    }

    pub fn mul(&self, other: &Self) -> Self {
        let scaled = |p: Piece, factor: f64| {
            // 0 times an unknown number is 0.
            let ends = [p.low, p.high].map(|end| if factor == 0.0 { 0.0 } else { end * factor });
            Piece { slope: p.slope * factor, low: ends[0].min(ends[1]), high: ends[0].max(ends[1]), ..p }
        };
        self.zip(other, |a, b| {
            let constant = |p: Piece| (p.slope == 0.0 && p.is_exact()).then_some(p.low);
            match (constant(a), constant(b)) {
                (_, Some(factor)) => vec![scaled(a, factor)],
                (Some(factor), _) => vec![scaled(b, factor)],
                _ => {
                    let ((al, ah), (bl, bh)) = (a.bounds(), b.bounds());
                    let product = |x: f64, y: f64| if x == 0.0 || y == 0.0 { 0.0 } else { x * y };
                    let corners = [product(al, bl), product(al, bh), product(ah, bl), product(ah, bh)];
                    let low = corners.iter().copied().fold(f64::INFINITY, f64::min);
                    vec![a.constant(low, corners.iter().copied().fold(f64::NEG_INFINITY, f64::max))]
                }
            }
        })
    }

    /// Divided by a constant, as floats are.
    pub fn divided_by(&self, divisor: f64) -> Self {
        if divisor == 0.0 {
            Self::between(f64::NEG_INFINITY, f64::INFINITY)
        } else {
            self.mul(&Self::between(1.0 / divisor, 1.0 / divisor))
        }
    }

    /// The floored modulo by a constant.
    pub fn modulo(&self, divisor: f64) -> Self {
        let ends = (divisor.min(0.0), divisor.max(0.0));
        self.map(|p| vec![p.constant(ends.0, ends.1)])
    }

    /// Rounded in some way to a whole number.
    pub fn rounded(&self) -> Self {
        self.map(|p| vec![if p.is_whole() { p } else { Piece { low: p.low - 1.0, high: p.high + 1.0, ..p } }])
    }

    /// The larger one where `larger`, else the smaller one.
    pub fn choose(&self, other: &Self, larger: bool) -> Self {
        self.zip(other, |a, b| {
            let difference = Piece { slope: a.slope - b.slope, low: a.low - b.high, high: a.high - b.low, ..a };
            let on = |part: Piece, p: Piece| Piece { from: part.from, to: part.to, ..p };
            let parts = difference.by_sign().into_iter();
            parts
                .map(|(part, sign)| match sign {
                    Some(sign) => on(part, if (sign >= 0) == larger { a } else { b }),
                    None => {
                        let ((al, ah), (bl, bh)) = (on(part, a).bounds(), on(part, b).bounds());
                        let pick = |x: f64, y: f64| if larger { x.max(y) } else { x.min(y) };
                        on(part, a).constant(pick(al, bl), pick(ah, bh))
                    }
                })
                .collect()
        })
    }

    /// 1 where the sign of the difference is one of `signs`, else 0.
    pub fn compare(&self, other: &Self, signs: &[i8]) -> Self {
        self.zip(other, |a, b| {
            let difference = Piece { slope: a.slope - b.slope, low: a.low - b.high, high: a.high - b.low, ..a };
            let parts = difference.by_sign().into_iter();
            parts
                .map(|(part, sign)| match sign.map(|sign| signs.contains(&sign)) {
                    Some(holds) => part.constant(f64::from(u8::from(holds)), f64::from(u8::from(holds))),
                    None => {
                        let (low, high) = part.bounds();
                        // By the ends of what is not exact something can still be ruled out.
                        let possible = |sign: &i8| match sign {
                            -1 => low < 0.0,
                            0 => low <= 0.0 && high >= 0.0,
                            _ => high > 0.0,
                        };
                        let any = signs.iter().any(possible);
                        let every = [-1, 0, 1].iter().filter(|sign| possible(sign)).all(|sign| signs.contains(sign));
                        part.constant(f64::from(u8::from(every)), f64::from(u8::from(any)))
                    }
                })
                .collect()
        })
    }

    /// `then` where this is 1, `otherwise` where it is 0, unknown where it may be either and they differ.
    pub fn select(&self, then: &Self, otherwise: &Self) -> Self {
        let mut pieces = Vec::new();
        for condition in &self.0 {
            let within = Self(vec![*condition]);
            match condition.bounds() {
                (1.0, 1.0) => pieces.extend(within.zip(then, |_, a| vec![a]).0),
                (0.0, 0.0) => pieces.extend(within.zip(otherwise, |_, b| vec![b]).0),
                _ => {
                    let both = then.zip(otherwise, |a, b| {
                        let same = a.slope == b.slope;
                        vec![if same {
                            Piece { low: a.low.min(b.low), high: a.high.max(b.high), ..a }
                        } else {
                            a.constant(f64::NEG_INFINITY, f64::INFINITY)
                        }]
                    });
                    pieces.extend(within.zip(&both, |_, p| vec![p]).0);
                }
            }
        }
        Self::of(pieces)
    }

    /// The arguments for which the value may lie between two numbers.
    pub fn may_be(&self, least: f64, most: f64) -> Set {
        let mut set = Set::none();
        for p in &self.0 {
            let part = if p.slope == 0.0 {
                if p.high >= least && p.low <= most { Set::between(p.from, p.to) } else { Set::none() }
            } else {
                let ends = [(least - p.high) / p.slope, (most - p.low) / p.slope];
                let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
                let clamp = |x: f64| x.clamp(-(FAR as f64), FAR as f64) as i64;
                Set::between(p.from.max(clamp(low.ceil())), p.to.min(clamp(high.floor())))
            };
            set = set.union(&part);
        }
        set
    }

    /// The arguments for which a condition surely does not hold.
    pub fn is_false(&self) -> Set {
        self.may_be(1.0, 1.0).complement().intersection(&self.may_be(0.0, 0.0))
    }

    /// The arguments for which a condition surely holds.
    pub fn is_true(&self) -> Set {
        self.may_be(0.0, 0.0).complement().intersection(&self.may_be(1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sets_are_joined_and_cut() {
        let set = Set::between(0, 4).union(&Set::between(5, 6)).union(&Set::between(9, 9));
        assert_eq!(set.intervals(), [(0, 6), (9, 9)]);
        assert_eq!(set.intersection(&Set::between(6, 20)).intervals(), [(6, 6), (9, 9)]);
        assert_eq!(set.complement().complement(), set);
        assert_eq!(set.to_string(), "0 to 6 or 9");
        assert_eq!(Set::between(-FAR, 4).to_string(), "at most 4");
        assert!(Set::all().covers(&set) && !set.covers(&Set::all()));
    }

    /// A function of one number, built at random beside its plain evaluation.
    #[derive(Clone, Debug)]
    enum Term {
        Argument,
        Number(i64),
        Neg(Box<Term>),
        Two(u8, Box<Term>, Box<Term>),
        Select(Box<Term>, Box<Term>, Box<Term>),
    }

    impl Term {
        fn value(&self, v: i64) -> f64 {
            match self {
                Self::Argument => v as f64,
                Self::Number(number) => *number as f64,
                Self::Neg(a) => -a.value(v),
                Self::Two(op, a, b) => {
                    let (a, b) = (a.value(v), b.value(v));
                    match op {
                        0 => a + b,
                        1 => a * b,
                        2 => a.max(b),
                        3 => a.min(b),
                        4 => f64::from(u8::from(a < b)),
                        5 => f64::from(u8::from(a <= b)),
                        6 => f64::from(u8::from(a == b)),
                        _ => a.rem_euclid(7.0),
                    }
                }
                Self::Select(c, a, b) => {
                    if c.value(v) > 0.0 {
                        a.value(v)
                    } else {
                        b.value(v)
                    }
                }
            }
        }

        fn function(&self) -> Function {
            match self {
                Self::Argument => Function::identity(-40, 40),
                Self::Number(number) => Function::between(*number as f64, *number as f64),
                Self::Neg(a) => a.function().neg(),
                Self::Two(op, a, b) => {
                    let (a, b) = (a.function(), b.function());
                    match op {
                        0 => a.add(&b),
                        1 => a.mul(&b),
                        2 => a.choose(&b, true),
                        3 => a.choose(&b, false),
                        4 => a.compare(&b, &[-1]),
                        5 => a.compare(&b, &[-1, 0]),
                        6 => a.compare(&b, &[0]),
                        _ => a.modulo(7.0),
                    }
                }
                Self::Select(c, a, b) => {
                    let zero = Function::between(0.0, 0.0);
                    c.function().compare(&zero, &[1]).select(&a.function(), &b.function())
                }
            }
        }
    }

    fn term() -> impl Strategy<Value = Term> {
        let leaf = prop_oneof![Just(Term::Argument), (-6_i64..6).prop_map(Term::Number)];
        leaf.prop_recursive(4, 24, 3, |inner| {
            let boxed = inner.clone().prop_map(Box::new);
            prop_oneof![
                boxed.clone().prop_map(Term::Neg),
                (0_u8..8, boxed.clone(), boxed.clone()).prop_map(|(op, a, b)| Term::Two(op, a, b)),
                (boxed.clone(), boxed.clone(), boxed).prop_map(|(c, a, b)| Term::Select(c, a, b)),
            ]
        })
    }

    proptest! {
        /// What the value is at an argument is possible there by the pieces, and what is surely true is true.
        #[test]
        fn pieces_hold_what_evaluation_gives(term in term(), v in -40_i64..40) {
            let (value, function) = (term.value(v), term.function());
            prop_assert!(function.may_be(value, value).contains(v), "{term:?} at {v}: {value}, {function:?}");
            let positive = function.compare(&Function::between(0.0, 0.0), &[1]).is_true();
            prop_assert!(!positive.contains(v) || value > 0.0, "{term:?} at {v}: {value}, {function:?}");
        }
    }

    #[test]
    fn pieces_are_as_narrow_as_they_can_be() {
        let y = Function::identity(-100, 100);
        let number = |x: f64| Function::between(x, x);
        let padded = y.compare(&number(0.0), &[-1]).select(&number(0.0), &y);
        assert_eq!(padded.may_be(0.0, 4.0).to_string(), Set::between(-100, 4).to_string());
        assert_eq!(y.add(&number(-1.0)).may_be(0.0, 4.0), Set::between(1, 5));
        assert_eq!(y.mul(&number(2.0)).may_be(0.0, 5.0), Set::between(0, 2));
        assert_eq!(y.choose(&number(0.0), true).choose(&number(3.0), false).may_be(0.0, 3.0), Set::between(-100, 100));
        assert_eq!(y.compare(&number(7.0), &[0]).is_true(), Set::between(7, 7));
    }
}
