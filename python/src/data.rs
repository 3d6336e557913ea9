//! Arrays of numpy to tensors and back.

use engine::ndarray::ArrayD;
use engine::{Data, Tensor};
use numpy::{IntoPyArray, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Tensors by their names.
pub type Named = Vec<(String, Tensor)>;

/// An array of numbers or truth values, copied once.
pub fn tensor(name: &str, array: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    macro_rules! first_of {
        ($($type:ty),*) => {$(
            if let Ok(array) = array.extract::<PyReadonlyArrayDyn<'_, $type>>() {
                return Ok(Tensor::from(&array.as_array()));
            }
        )*};
    }
    first_of!(f32, f64, i64, i32, bool, u8, i16, i8, u16, u32, u64);
    let found = match array.cast::<PyUntypedArray>() {
        Ok(array) => array.dtype().repr()?.to_string(),
        Err(_) => array.get_type().to_string(),
    };
    Err(PyTypeError::new_err(format!("`{name}` is no array of numbers: {found}")))
}

/// A dict of arrays.
pub fn named(arrays: &Bound<'_, PyDict>) -> PyResult<Named> {
    let pair = |(name, array): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let name: String = name.extract()?;
        let tensor = tensor(&name, &array)?;
        Ok((name, tensor))
    };
    arrays.iter().map(pair).collect()
}

/// Data of such a dict.
pub fn data(arrays: &Bound<'_, PyDict>) -> PyResult<Data> {
    Ok(named(arrays)?.into_iter().collect())
}

/// What `kind` says: `f32`, `f64` or `i32`.
pub fn array<'py>(py: Python<'py>, tensor: &Tensor) -> Bound<'py, PyAny> {
    fn of<'py, T: engine::Number + numpy::Element>(py: Python<'py>, tensor: &Tensor) -> Bound<'py, PyAny> {
        let array: ArrayD<T> = tensor.to_array();
        array.into_pyarray(py).into_any()
    }
    match tensor.type_name() {
        "f32" => of::<f32>(py, tensor),
        "i32" => of::<i32>(py, tensor),
        _ => of::<f64>(py, tensor),
    }
}

/// A dict of arrays.
pub fn arrays<'py, 't>(
    py: Python<'py>,
    tensors: impl IntoIterator<Item = (&'t String, &'t Tensor)>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, tensor) in tensors {
        dict.set_item(name, array(py, tensor))?;
    }
    Ok(dict)
}
