//! Laws of an op that rewrites make use of.

/// Which laws hold, for every operand that is a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Algebra {
    /// `f(x, y) = f(y, x)`
    pub is_commutative: bool,
    /// `f(f(x)) = f(x)`, or of two operands `f(x, x) = x`
    pub is_idempotent: bool,
    pub parity: Option<Parity>,
}

/// What a negated operand does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// `f(-x) = f(x)`
    Even,
    /// `f(-x) = -f(x)`
    Odd,
}

impl Algebra {
    /// No law is known.
    pub const NONE: Self = Self { is_commutative: false, is_idempotent: false, parity: None };
    pub const COMMUTATIVE: Self = Self { is_commutative: true, ..Self::NONE };
    pub const EVEN: Self = Self { parity: Some(Parity::Even), ..Self::NONE };
    pub const ODD: Self = Self { parity: Some(Parity::Odd), ..Self::NONE };

    pub const fn idempotent(self) -> Self {
        Self { is_idempotent: true, ..self }
    }
}
