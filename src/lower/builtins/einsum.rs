//! `einsum(equation, a, b)`: sums of products over named axes, written with transposes, reshapes and one matrix product.
//!
//! Takes an equation such as `"bqhd,bkhd->bhqk"`: one letter an axis. A letter in both operands and the result is a batch
//! axis; in both operands only, it is contracted; in one operand and the result, it is a row or column; in one operand
//! alone, it is summed first. A letter stands once in each term, so no diagonals. Relies on matrix products over equal
//! leading axes.

use super::{Builtin, row};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Dim, Shape, element_count};
use crate::lower::Lowered;
use crate::lower::arguments::Matched;
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, TensorValue, Value};
use crate::ops;

pub(super) static ROWS: &[Builtin] =
    &[row("einsum", &["equation", "a", "b?"], "sums of products over axes named by letters", einsum)];

/// A tensor whose axes have letters.
#[derive(Clone)]
struct Term {
    tensor: TensorValue,
    letters: Vec<char>,
}

fn einsum(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let Some((Value::Text(equation), at)) = m.get(0).cloned() else {
        return Err(l.error(Code::E0304, m.span, "an equation is a text", "such as \"ij,jk->ik\""));
    };
    let a = l.tensor_argument(frame, m, 1)?;
    let b = if m.get(2).is_some() { Some(l.tensor_argument(frame, m, 2)?) } else { None };
    let (terms, result) = parse(&equation).ok_or_else(|| malformed(l, &equation, at))?;
    let tensors: Vec<TensorValue> = [Some(a), b].into_iter().flatten().collect();
    if terms.len() != tensors.len() {
        return Err(l.error(
            Code::E0304,
            at,
            format!("an equation of {} operands for {}", terms.len(), tensors.len()),
            "one term an operand",
        ));
    }
    let mut operands: Vec<Term> =
        tensors.into_iter().zip(terms).map(|(tensor, letters)| Term { tensor, letters }).collect();
    check(l, &operands, at)?;
    for i in 0..operands.len() {
        let others: Vec<char> =
            operands.iter().enumerate().filter(|(j, _)| *j != i).flat_map(|(_, term)| term.letters.clone()).collect();
        operands[i] = sum_lonely(l, frame, m, operands[i].clone(), |letter| {
            result.contains(&letter) || others.contains(&letter)
        })?;
    }
    let product = match operands.as_slice() {
        [a, b] => multiply(l, frame, m, a, b, &result)?,
        _ => operands[0].clone(),
    };
    arrange(l, frame, m, &product, &result).map(Value::Tensor)
}

/// `"ab,bc->ac"` as terms and result; `None` when it is not of this form.
fn parse(equation: &str) -> Option<(Vec<Vec<char>>, Vec<char>)> {
    let (operands, result) = equation.split_once("->")?;
    let term = |text: &str| -> Option<Vec<char>> {
        let letters: Vec<char> = text.trim().chars().collect();
        let distinct = letters.iter().enumerate().all(|(i, letter)| !letters[..i].contains(letter));
        (distinct && letters.iter().all(char::is_ascii_alphabetic)).then_some(letters)
    };
    let terms: Vec<Vec<char>> = operands.split(',').map(term).collect::<Option<_>>()?;
    let result = term(result)?;
    let known = result.iter().all(|letter| terms.iter().any(|term| term.contains(letter)));
    (known && terms.len() <= 2).then_some((terms, result))
}

fn malformed(l: &mut Emitter<'_>, equation: &str, at: Span) -> crate::lower::Reported {
    l.report(
        Diagnostic::error(Code::E0304, format!("{equation:?} is not an equation of axes"))
            .at(at, "expected one letter an axis, such as \"ij,jk->ik\"")
            .with_help(
                "one or two operands; a letter stands once in each term; the result's letters are the operands'",
            ),
    )
}

/// Each term has a letter for each axis, and equal letters have equal extents.
fn check(l: &mut Emitter<'_>, operands: &[Term], at: Span) -> Lowered<()> {
    let mut extents: Vec<(char, Dim)> = Vec::new();
    for term in operands {
        let ty = l.ty(term.tensor).clone();
        if ty.rank() != term.letters.len() || !ty.is_float() {
            let letters: String = term.letters.iter().collect();
            return Err(l.error(
                Code::E0301,
                at,
                format!("the term `{letters}` for {ty}"),
                "one letter an axis of f32",
            ));
        }
        for (letter, dim) in term.letters.iter().zip(ty.shape) {
            match extents.iter().find(|(other, _)| other == letter) {
                Some((_, other)) if *other != dim => {
                    let types: Vec<String> = operands.iter().map(|term| l.ty(term.tensor).to_string()).collect();
                    let headline =
                        format!("einsum of {}: the axis `{letter}` is {other} and {dim}", types.join(" and "));
                    return Err(l.error(Code::E0301, at, headline, "must be equal"));
                }
                Some(_) => {}
                None => extents.push((*letter, dim)),
            }
        }
    }
    Ok(())
}

/// Sums the axes that nothing else asks for.
fn sum_lonely(
    l: &mut Emitter<'_>,
    frame: &Frame,
    m: &Matched,
    term: Term,
    is_wanted: impl Fn(char) -> bool,
) -> Lowered<Term> {
    let axes: Vec<usize> = (0..term.letters.len()).filter(|axis| !is_wanted(term.letters[*axis])).collect();
    if axes.is_empty() {
        return Ok(term);
    }
    let letters = term.letters.iter().copied().filter(|letter| is_wanted(*letter)).collect();
    Ok(Term { tensor: l.add(frame, m.span, ops::Sum { axes }, &[term.tensor])?, letters })
}

fn multiply(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, a: &Term, b: &Term, result: &[char]) -> Lowered<Term> {
    let both = |letter: &&char| a.letters.contains(letter) && b.letters.contains(letter);
    let batch: Vec<char> = result.iter().filter(both).copied().collect();
    let inner: Vec<char> = a.letters.iter().filter(both).filter(|letter| !result.contains(letter)).copied().collect();
    let rows: Vec<char> = result.iter().filter(|letter| !b.letters.contains(letter)).copied().collect();
    let columns: Vec<char> = result.iter().filter(|letter| !a.letters.contains(letter)).copied().collect();
    let left = matrix(l, frame, m, a, [&batch, &rows, &inner])?;
    let right = matrix(l, frame, m, b, [&batch, &inner, &columns])?;
    let product = l.add(frame, m.span, ops::MatMul::default(), &[left, right])?;
    let mut shape: Shape = Vec::new();
    for (letters, term) in [(&batch, a), (&rows, a), (&columns, b)] {
        shape.extend(extents(l, term, letters));
    }
    let tensor = reshape(l, frame, m, product, shape)?;
    Ok(Term { tensor, letters: [batch, rows, columns].concat() })
}

/// A term as `[batch..., M, N]`.
fn matrix(
    l: &mut Emitter<'_>,
    frame: &Frame,
    m: &Matched,
    term: &Term,
    [batch, rows, columns]: [&Vec<char>; 3],
) -> Lowered<TensorValue> {
    let order = [batch.as_slice(), rows, columns].concat();
    let tensor = arrange(l, frame, m, term, &order)?;
    let mut shape = extents(l, term, batch);
    for letters in [rows, columns] {
        let Some(count) = element_count(&extents(l, term, letters)) else {
            return Err(l.error(Code::E0701, m.span, "this product has too many elements", "beyond the limits"));
        };
        shape.push(count);
    }
    reshape(l, frame, m, tensor, shape)
}

fn extents(l: &Emitter<'_>, term: &Term, letters: &[char]) -> Shape {
    let shape = &l.ty(term.tensor).shape;
    let axes = letters.iter().filter_map(|letter| term.letters.iter().position(|other| other == letter));
    axes.map(|axis| shape[axis].clone()).collect()
}

/// The axes in the order of `letters`.
fn arrange(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, term: &Term, letters: &[char]) -> Lowered<TensorValue> {
    let permutation: Vec<usize> =
        letters.iter().filter_map(|letter| term.letters.iter().position(|other| other == letter)).collect();
    if permutation.is_sorted() {
        return Ok(term.tensor);
    }
    l.add(frame, m.span, ops::Transpose { permutation }, &[term.tensor])
}

fn reshape(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, x: TensorValue, shape: Shape) -> Lowered<TensorValue> {
    if l.ty(x).shape == shape { Ok(x) } else { l.add(frame, m.span, ops::Reshape { shape }, &[x]) }
}
