//! The primitive ops by their definitions: what their shape rules refuse, and what they compute.

mod binding;
mod evaluation;
mod facts;
mod loops;
mod shape_rules;
mod sources;

use anabranch::ir::{DType, Dim, TensorType};

/// Types as a spec writes them: `f32[batch, 2], i32`.
fn types(text: &str) -> Vec<TensorType> {
    let mut types = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let name_end = rest.find([',', '[']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(name_end);
        let (extents, after) = match after.strip_prefix('[') {
            Some(after) => after.split_once(']').expect("brackets are closed"),
            None => ("", after),
        };
        let dtype = [DType::F32, DType::I32, DType::Bool].into_iter().find(|dtype| dtype.as_str() == name);
        types.push(TensorType::new(dtype.unwrap_or_else(|| panic!("no type {name}")), dims(extents)));
        rest = after.trim_start_matches([',', ' ']);
    }
    types
}

/// `batch, 2, n - 1`
fn dims(text: &str) -> Vec<Dim> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(dim).collect()
}

fn dim(text: &str) -> Dim {
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        [name, sign, number] => {
            let number: i64 = format!("{sign}{number}").parse().expect("a number");
            Dim::symbol(name).offset(number).expect("within limits")
        }
        _ => text.parse().map_or_else(|_| Dim::symbol(text), Dim::known),
    }
}

fn ty(text: &str) -> TensorType {
    types(text).swap_remove(0)
}
