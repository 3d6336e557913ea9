//! One value repeated: `y[i] = value`.
//!
//! Results: `T[...]`. For `i32` the value is whole, for `bool` 0 or 1.

use crate::ops::prelude::*;

/// A number compared by its bits, so that ops can be compared and hashed.
#[derive(Clone, Copy, Debug)]
pub struct Scalar(pub f64);

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Scalar {}

impl std::hash::Hash for Scalar {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// A number where it is finite; a text, `inf` or `NaN`, where JSON has no number for it.
impl serde::Serialize for Scalar {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() { serializer.serialize_f64(self.0) } else { serializer.collect_str(&self.0) }
    }
}

impl<'de> serde::Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(f64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(value) => Ok(Self(value)),
            Form::Text(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Constant {
    pub value: Scalar,
    pub ty: TensorType,
}

impl Primitive for Constant {
    const NAME: &'static str = "constant";
    primitive!(leaf, kernel, mixing, free);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [] = take(Self::NAME, operands)?;
        Ok(self.ty.clone())
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("value", self.to_string())]
    }

    fn evaluate<T: Element>(&self, _operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        Tensor::full(result, self.value.0)
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        Self { value: self.value, ty: self.ty.bind(sizes) }
    }

    fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
        Interval::point(self.value.0)
    }
}

impl std::fmt::Display for Constant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.value.0;
        match self.ty.dtype {
            DType::F32 => write!(f, "{value:?}"),
            DType::I32 => write!(f, "{value}"),
            DType::Bool => write!(f, "{}", value != 0.0),
        }
    }
}
