//! The written form of a dim: a number, a name, or a sum of terms.
//!
//! Reading goes through the checked arithmetic of [`Dim`], so a read dim is canonical and within the limits whatever the
//! file said.

use super::{Atom, Dim, Poly, Repr};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Known(i64),
    Symbol(String),
    Sum(Vec<Term>),
}

#[derive(Serialize, Deserialize)]
struct Term {
    coefficient: i64,
    factors: Vec<Factor>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Factor {
    Symbol(String),
    Floor { floor: Vec<Term>, by: usize },
}

fn terms(poly: &Poly) -> Vec<Term> {
    let factor = |atom: &Atom| match atom {
        Atom::Symbol(name) => Factor::Symbol(name.to_string()),
        Atom::Floor(inner, by) => Factor::Floor { floor: terms(inner), by: usize::try_from(*by).unwrap_or(1) },
    };
    let term = |(monomial, coefficient): (&Vec<Atom>, &i64)| Term {
        coefficient: *coefficient,
        factors: monomial.iter().map(factor).collect(),
    };
    poly.iter().map(term).collect()
}

fn sum(terms: &[Term]) -> Option<Dim> {
    terms.iter().try_fold(Dim::known(0), |sum, term| {
        let start = Dim::known(0).offset(term.coefficient)?;
        let product = term.factors.iter().try_fold(start, |product, factor| match factor {
            Factor::Symbol(name) => product.mul(&Dim::symbol(name)),
            Factor::Floor { floor, by } => product.mul(&self::sum(floor)?.div_floor(*by)?),
        })?;
        sum.add(&product)
    })
}

impl Serialize for Dim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match (&self.0, self.as_symbol()) {
            (Repr::Known(value), _) => Form::Known(*value),
            (_, Some(name)) => Form::Symbol(name.to_string()),
            (Repr::Poly(poly), None) => Form::Sum(terms(poly)),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Dim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dim = match Form::deserialize(deserializer)? {
            Form::Known(value) => Dim::known(0).offset(value),
            Form::Symbol(name) => Some(Dim::symbol(&name)),
            Form::Sum(terms) => sum(&terms),
        };
        dim.ok_or_else(|| D::Error::custom("an extent beyond the limits"))
    }
}

#[cfg(test)]
mod tests {
    use super::Dim;

    #[test]
    fn dims_read_back_as_they_were() {
        let t = Dim::symbol("T");
        let strided = t.offset(-3).and_then(|dim| dim.div_floor(2)).and_then(|dim| dim.offset(1)).unwrap();
        let product = strided.mul(&Dim::batch()).unwrap();
        for dim in [Dim::known(7), Dim::batch(), strided, product] {
            let text = serde_json::to_string(&dim).unwrap();
            assert_eq!(serde_json::from_str::<Dim>(&text).unwrap(), dim, "{text}");
        }
    }

    #[test]
    fn extents_beyond_the_limits_are_refused() {
        let refused = |text: &str| serde_json::from_str::<Dim>(text).unwrap_err().to_string();
        assert!(
            refused("9223372036854775807").contains("an extent beyond the limits"),
            "{}",
            refused("9223372036854775807")
        );
        let term = r#"{"coefficient": 1099511627776, "factors": []}"#;
        let sum = format!("[{term}, {term}]");
        assert!(refused(&sum).contains("an extent beyond the limits"), "{}", refused(&sum));
        let halves = r#"[{"coefficient": 1, "factors": [{"floor": [{"coefficient": 1, "factors": ["T"]}], "by": 0}]}]"#;
        assert!(refused(halves).contains("an extent beyond the limits"), "{}", refused(halves));
    }
}
