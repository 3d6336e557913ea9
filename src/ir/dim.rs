//! Extents of axes: known numbers, or polynomials over dims whose size is known only at run time.
//!
//! Two dims are equal when their canonical forms are, so `2*T + T` equals `3*T`, while `floor(T/2)*2` stays distinct
//! from `T`. Arithmetic is checked: an extent beyond `MAX_EXTENT` is refused, never wrapped.

mod form;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The largest extent or coefficient (2^40): far above what a machine holds, far below overflow in products of two.
pub const MAX_EXTENT: i64 = 1 << 40;

/// The name of the sample axis.
pub const BATCH: &str = "batch";

/// The extent of one axis.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dim(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    Known(i64),
    Poly(Arc<Poly>),
}

/// Terms in canonical order, none with coefficient 0; at least one non-constant monomial.
type Poly = BTreeMap<Vec<Atom>, i64>;

/// A factor of a monomial.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Atom {
    Symbol(Arc<str>),
    /// floor(poly / divisor)
    Floor(Arc<Poly>, i64),
}

/// Sizes of run-time dims.
pub type DimSizes = BTreeMap<Arc<str>, usize>;

impl Dim {
    pub fn known(extent: usize) -> Self {
        Self(Repr::Known(i64::try_from(extent).unwrap_or(i64::MAX).min(MAX_EXTENT)))
    }

    pub fn symbol(name: &str) -> Self {
        Self::from_poly(BTreeMap::from([(vec![Atom::Symbol(name.into())], 1)]))
    }

    pub fn batch() -> Self {
        Self::symbol(BATCH)
    }

    pub fn is_batch(&self) -> bool {
        self.as_symbol() == Some(BATCH)
    }

    /// The name, when the dim is just a run-time name.
    pub fn as_symbol(&self) -> Option<&str> {
        match &self.0 {
            Repr::Poly(poly) if poly.len() == 1 => match poly.iter().next() {
                Some((monomial, 1)) => match monomial.as_slice() {
                    [Atom::Symbol(name)] => Some(name),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// The extent, when known at compile time and not negative.
    pub fn as_known(&self) -> Option<usize> {
        match self.0 {
            Repr::Known(value) => usize::try_from(value).ok(),
            Repr::Poly(_) => None,
        }
    }

    pub fn is_one(&self) -> bool {
        self.0 == Repr::Known(1)
    }

    pub fn is_zero(&self) -> bool {
        self.0 == Repr::Known(0)
    }

    /// Known and negative: the result of a subtraction that no shape may have.
    pub fn is_negative(&self) -> bool {
        matches!(self.0, Repr::Known(value) if value < 0)
    }

    fn from_poly(mut poly: Poly) -> Self {
        poly.retain(|_, coefficient| *coefficient != 0);
        match poly.len() {
            0 => Self(Repr::Known(0)),
            1 if poly.contains_key(&Vec::new()) => Self(Repr::Known(poly[&Vec::new()])),
            _ => Self(Repr::Poly(Arc::new(poly))),
        }
    }

    fn to_poly(&self) -> Poly {
        match &self.0 {
            Repr::Known(0) => Poly::new(),
            Repr::Known(value) => BTreeMap::from([(Vec::new(), *value)]),
            Repr::Poly(poly) => (**poly).clone(),
        }
    }

    /// `self + other`, or `None` beyond the limits.
    pub fn add(&self, other: &Dim) -> Option<Dim> {
        if let (Repr::Known(a), Repr::Known(b)) = (&self.0, &other.0) {
            return bounded(a.checked_add(*b)).map(|value| Self(Repr::Known(value)));
        }
        let mut poly = self.to_poly();
        for (monomial, coefficient) in other.to_poly() {
            let sum = poly.get(&monomial).copied().unwrap_or(0).checked_add(coefficient);
            poly.insert(monomial, bounded(sum)?);
        }
        Some(Self::from_poly(poly))
    }

    /// `self * other`, or `None` beyond the limits.
    pub fn mul(&self, other: &Dim) -> Option<Dim> {
        if let (Repr::Known(a), Repr::Known(b)) = (&self.0, &other.0) {
            return bounded(a.checked_mul(*b)).map(|value| Self(Repr::Known(value)));
        }
        // Longer polynomials are no shape that a person wrote.
        const MAX_TERMS: usize = 64;
        let (left, right) = (self.to_poly(), other.to_poly());
        if left.len() * right.len() > MAX_TERMS {
            return None;
        }
        let mut poly = Poly::new();
        for (a, x) in &left {
            for (b, y) in &right {
                let mut monomial = [a.as_slice(), b.as_slice()].concat();
                monomial.sort();
                let product = x.checked_mul(*y)?;
                let sum = poly.get(&monomial).copied().unwrap_or(0).checked_add(product);
                poly.insert(monomial, bounded(sum)?);
            }
        }
        Some(Self::from_poly(poly))
    }

    /// `self - other`; may be negative when known.
    pub fn sub(&self, other: &Dim) -> Option<Dim> {
        self.add(&other.mul(&Self(Repr::Known(-1)))?)
    }

    /// `self + number`.
    pub fn offset(&self, number: i64) -> Option<Dim> {
        self.add(&Self(Repr::Known(bounded(Some(number))?)))
    }

    /// `floor(self / divisor)` for a positive divisor.
    pub fn div_floor(&self, divisor: usize) -> Option<Dim> {
        let divisor = i64::try_from(divisor).ok().filter(|d| *d > 0)?;
        match &self.0 {
            _ if divisor == 1 => Some(self.clone()),
            Repr::Known(value) => Some(Self(Repr::Known(value.div_euclid(divisor)))),
            Repr::Poly(poly) => {
                // The part that divides exactly comes out of the floor; so does the multiple of the constant.
                let (mut outside, mut inside) = (Poly::new(), Poly::new());
                for (monomial, &coefficient) in poly.iter() {
                    let quotient = coefficient.div_euclid(divisor);
                    let remainder = coefficient.rem_euclid(divisor);
                    outside.insert(monomial.clone(), quotient);
                    inside.insert(monomial.clone(), remainder);
                }
                let inside = Self::from_poly(inside);
                let floor = match &inside.0 {
                    Repr::Known(value) => Self(Repr::Known(value.div_euclid(divisor))),
                    Repr::Poly(poly) => Self::from_poly(Poly::from([(vec![Atom::Floor(poly.clone(), divisor)], 1)])),
                };
                Self::from_poly(outside).add(&floor)
            }
        }
    }

    /// The quotient when the division is exact for every value of the run-time dims.
    pub fn div_exact(&self, divisor: &Dim) -> Option<Dim> {
        if divisor.is_zero() {
            return None;
        }
        if self == divisor {
            return Some(Self::known(1));
        }
        let divisor_poly = divisor.to_poly();
        let (factors, scale) = divisor_poly.iter().next().filter(|_| divisor_poly.len() == 1)?;
        let mut quotient = Poly::new();
        for (monomial, coefficient) in self.to_poly() {
            let mut rest = monomial;
            for factor in factors {
                let at = rest.iter().position(|atom| atom == factor)?;
                rest.remove(at);
            }
            if coefficient % scale != 0 {
                return None;
            }
            quotient.insert(rest, coefficient / scale);
        }
        Some(Self::from_poly(quotient))
    }

    /// The extent under given sizes; `None` when a name has none or the result is negative or too large.
    pub fn evaluate(&self, sizes: &DimSizes) -> Option<usize> {
        match &self.0 {
            Repr::Known(value) => usize::try_from(*value).ok(),
            Repr::Poly(poly) => usize::try_from(evaluate_poly(poly, sizes)?).ok(),
        }
    }

    /// The dim with known sizes put in; names without a size stay.
    pub fn bind(&self, sizes: &DimSizes) -> Dim {
        self.evaluate(sizes).map_or_else(|| self.clone(), Self::known)
    }

    /// The terms that it is the sum of: a coefficient, and factors, each to be divided by a number and rounded down.
    pub fn terms(&self) -> Vec<(i64, Vec<(Dim, i64)>)> {
        let factor = |atom: &Atom| match atom {
            Atom::Symbol(name) => (Self::symbol(name), 1),
            Atom::Floor(inner, divisor) => (Self::from_poly((**inner).clone()), *divisor),
        };
        let terms = self.to_poly().into_iter();
        terms.map(|(monomial, coefficient)| (coefficient, monomial.iter().map(factor).collect())).collect()
    }

    /// The run-time names in it.
    pub fn symbols(&self) -> Vec<Arc<str>> {
        fn collect(poly: &Poly, names: &mut Vec<Arc<str>>) {
            for atom in poly.keys().flatten() {
                match atom {
                    Atom::Symbol(name) if !names.contains(name) => names.push(name.clone()),
                    Atom::Symbol(_) => {}
                    Atom::Floor(inner, _) => collect(inner, names),
                }
            }
        }
        let mut names = Vec::new();
        if let Repr::Poly(poly) = &self.0 {
            collect(poly, &mut names);
        }
        names
    }
}

fn bounded(value: Option<i64>) -> Option<i64> {
    value.filter(|v| v.abs() <= MAX_EXTENT)
}

fn evaluate_poly(poly: &Poly, sizes: &DimSizes) -> Option<i64> {
    let mut total = 0i64;
    for (monomial, coefficient) in poly {
        let mut product = *coefficient;
        for atom in monomial {
            let factor = match atom {
                Atom::Symbol(name) => i64::try_from(*sizes.get(name)?).ok()?,
                Atom::Floor(inner, divisor) => evaluate_poly(inner, sizes)?.div_euclid(*divisor),
            };
            product = bounded(product.checked_mul(factor))?;
        }
        total = bounded(total.checked_add(product))?;
    }
    Some(total)
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Known(value) => write!(f, "{value}"),
            Repr::Poly(poly) => write_poly(poly, f),
        }
    }
}

fn write_poly(poly: &Poly, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // Constants last, as people write them: `batch*T + 1`.
    let terms = poly.iter().filter(|(m, _)| !m.is_empty()).chain(poly.iter().filter(|(m, _)| m.is_empty()));
    for (i, (monomial, coefficient)) in terms.enumerate() {
        let magnitude = coefficient.abs();
        match (i, *coefficient < 0) {
            (0, true) => write!(f, "-")?,
            (0, false) => {}
            (_, true) => write!(f, " - ")?,
            (_, false) => write!(f, " + ")?,
        }
        if monomial.is_empty() || magnitude != 1 {
            write!(f, "{magnitude}")?;
        }
        for (j, atom) in monomial.iter().enumerate() {
            if j > 0 || magnitude != 1 {
                write!(f, "*")?;
            }
            match atom {
                Atom::Symbol(name) => write!(f, "{name}")?,
                Atom::Floor(inner, divisor) => {
                    write!(f, "floor((")?;
                    write_poly(inner, f)?;
                    write!(f, ")/{divisor})")?;
                }
            }
        }
    }
    Ok(())
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms_are_equal() {
        let t = Dim::symbol("T");
        let two_t = t.add(&t).unwrap();
        assert_eq!(two_t.add(&t).unwrap(), t.mul(&Dim::known(3)).unwrap());
        assert_eq!(two_t.sub(&two_t).unwrap(), Dim::known(0));
        assert_eq!(two_t.div_floor(2).unwrap(), t);
        assert_ne!(t.div_floor(2).unwrap().mul(&Dim::known(2)).unwrap(), t);
        assert_eq!(Dim::batch().mul(&t).unwrap().div_exact(&t).unwrap(), Dim::batch());
        assert_eq!(Dim::batch().div_exact(&t), None);
    }

    #[test]
    fn evaluates_and_prints() {
        let t = Dim::symbol("T");
        let strided = t.offset(-3).unwrap().div_floor(2).unwrap().offset(1).unwrap();
        assert_eq!(strided.to_string(), "floor((T + 1)/2) - 1");
        assert_eq!(strided.evaluate(&DimSizes::from([("T".into(), 9)])), Some(4));
        assert_eq!(strided.evaluate(&DimSizes::new()), None);
    }

    #[test]
    fn overflow_is_refused() {
        let big = Dim::known(usize::MAX);
        assert_eq!(big.mul(&big), None);
        assert_eq!(big.add(&big), None);
    }
}
