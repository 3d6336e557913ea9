//! `einsum(equation, a, b, …)`: sums of products over named axes, written with transposes, reshapes and products of matrices.
//!
//! Takes an equation such as `"bqhd,bkhd->bhqk"`: one letter an axis. A letter in both operands and the result is a batch
//! axis; in both operands only, it is contracted; in one operand and the result, it is a row or column; in one operand
//! alone, it is summed first. A letter that stands twice in a term is its diagonal. `...` stands for the axes that have no
//! letter, those of all operands aligned at the last one. Without `->` the result has the axes of `...`, then the letters that
//! stand once, in the order of the alphabet. Of three and more operands the pair whose product is smallest is taken first.

use super::{Builtin, row};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{DType, Dim, Shape, TensorType, element_count};
use crate::lower::Lowered;
use crate::lower::arguments::Matched;
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, TensorValue, Value};
use crate::ops;

pub(super) static ROWS: &[Builtin] = &[row(
    "einsum",
    &["equation", "a", "b?", "c?", "d?", "e?", "f?"],
    "sums of products over axes named by letters, of up to six operands: `einsum(\"...i,ij->...j\", x, m)`",
    einsum,
)];

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
    let mut tensors = Vec::new();
    for slot in 1..m.values.len() {
        if m.get(slot).is_some() {
            tensors.push(l.tensor_argument(frame, m, slot)?);
        }
    }
    let (terms, result) = parse(&equation).ok_or_else(|| malformed(l, &equation, at))?;
    if terms.len() != tensors.len() {
        let headline = format!("an equation of {} for {}", operands(terms.len()), tensors.len());
        return Err(l.error(Code::E0304, at, headline, "one term an operand"));
    }
    let mut operands: Vec<Term> = Vec::with_capacity(tensors.len());
    for (tensor, letters) in tensors.into_iter().zip(terms) {
        let letters = with_letters(l, letters, tensor, at)?;
        operands.push(Term { tensor, letters });
    }
    check(l, &operands, at)?;
    let result = result_letters(&operands, result);
    if let Some(letter) = result.iter().find(|letter| !operands.iter().any(|term| term.letters.contains(letter))) {
        let headline = format!("the result's axis `{letter}` stands in no operand");
        return Err(l.error(Code::E0304, at, headline, "expected letters of the operands"));
    }
    for operand in &mut operands {
        *operand = diagonal(l, frame, m, operand.clone())?;
    }
    while operands.len() > 1 {
        let (i, j) = smallest_pair(l, &operands, &result);
        let (b, a) = (operands.remove(j), operands.remove(i));
        let is_wanted = |letter| result.contains(&letter) || operands.iter().any(|term| term.letters.contains(&letter));
        let left = sum_lonely(l, frame, m, a.clone(), |letter| is_wanted(letter) || b.letters.contains(&letter))?;
        let right = sum_lonely(l, frame, m, b, |letter| is_wanted(letter) || a.letters.contains(&letter))?;
        let kept: Vec<char> = if operands.is_empty() {
            result.clone()
        } else {
            let both = left.letters.iter().chain(right.letters.iter().filter(|letter| !left.letters.contains(letter)));
            both.copied().filter(|letter| is_wanted(*letter)).collect()
        };
        let product = multiply(l, frame, m, &left, &right, &kept)?;
        operands.insert(i, product);
    }
    let product = sum_lonely(l, frame, m, operands[0].clone(), |letter| result.contains(&letter))?;
    arrange(l, frame, m, &product, &result).map(Value::Tensor)
}

fn operands(count: usize) -> String {
    if count == 1 { "one operand".into() } else { format!("{count} operands") }
}

/// The letter of `...` in a term, before it is known for how many axes it stands.
const ELLIPSIS: char = '…';

/// The letter of the axis so many before the last of those that `...` stands for.
fn hidden(from_last: usize) -> char {
    char::from_u32(0xE000 + from_last as u32).unwrap_or(ELLIPSIS)
}

/// The letters of a term.
type Letters = Vec<char>;

/// `"ab,bc->ac"` as terms and, where it is said, the result; `None` when it is not of this form.
fn parse(equation: &str) -> Option<(Vec<Letters>, Option<Letters>)> {
    let (operands, result) = match equation.split_once("->") {
        Some((operands, result)) => (operands, Some(result)),
        None => (equation, None),
    };
    let term = |text: &str| -> Option<Vec<char>> {
        let letters: Vec<char> = text.replace("...", "…").chars().filter(|letter| *letter != ' ').collect();
        let n_ellipses = letters.iter().filter(|letter| **letter == ELLIPSIS).count();
        let are_letters = letters.iter().all(|letter| letter.is_ascii_alphabetic() || *letter == ELLIPSIS);
        (are_letters && n_ellipses <= 1).then_some(letters)
    };
    let terms: Vec<Letters> = operands.split(',').map(term).collect::<Option<_>>()?;
    let result = match result {
        Some(text) => {
            let letters = term(text)?;
            let distinct = letters.iter().enumerate().all(|(i, letter)| !letters[..i].contains(letter));
            Some(letters).filter(|_| distinct)?
        }
        None => return Some((terms, None)),
    };
    Some((terms, Some(result)))
}

fn malformed(l: &mut Emitter<'_>, equation: &str, at: Span) -> crate::lower::Reported {
    l.report(
        Diagnostic::error(Code::E0304, format!("{equation:?} is not an equation of axes"))
            .at(at, "expected one letter an axis, such as \"ij,jk->ik\"")
            .with_help("a term for each operand, with `,` between them; a letter stands once in the result; `...` for all other axes"),
    )
}

/// A term's letters with one for each axis that `...` stands for.
fn with_letters(l: &mut Emitter<'_>, letters: Vec<char>, tensor: TensorValue, at: Span) -> Lowered<Vec<char>> {
    let ty = l.ty(tensor).clone();
    let n_named = letters.iter().filter(|letter| **letter != ELLIPSIS).count();
    let is_open = n_named < letters.len();
    if !ty.is_float() || n_named > ty.rank() || (!is_open && n_named < ty.rank()) {
        let shown: String = letters.iter().collect::<String>().replace(ELLIPSIS, "...");
        let headline = format!("the term `{shown}` for {ty}");
        return Err(l.error(Code::E0301, at, headline, "one letter an axis of f32"));
    }
    let n_hidden = ty.rank() - n_named;
    let of_ellipsis = (0..n_hidden).rev().map(hidden);
    Ok(letters
        .into_iter()
        .flat_map(|letter| if letter == ELLIPSIS { of_ellipsis.clone().collect() } else { vec![letter] })
        .collect())
}

/// The result's letters, those of `...` included.
fn result_letters(operands: &[Term], result: Option<Vec<char>>) -> Vec<char> {
    let all: Vec<char> = operands.iter().flat_map(|term| term.letters.iter().copied()).collect();
    let n_hidden = (0..).take_while(|from_last| all.contains(&hidden(*from_last))).count();
    let of_ellipsis: Vec<char> = (0..n_hidden).rev().map(hidden).collect();
    match result {
        Some(letters) => letters
            .into_iter()
            .flat_map(|letter| if letter == ELLIPSIS { of_ellipsis.clone() } else { vec![letter] })
            .collect(),
        None => {
            let once = |letter: &char| all.iter().filter(|other| *other == letter).count() == 1;
            let mut named: Vec<char> = all.iter().copied().filter(|letter| letter.is_ascii() && once(letter)).collect();
            named.sort_unstable();
            [of_ellipsis, named].concat()
        }
    }
}

/// Equal letters have equal extents.
fn check(l: &mut Emitter<'_>, operands: &[Term], at: Span) -> Lowered<()> {
    let mut extents: Vec<(char, Dim)> = Vec::new();
    for term in operands {
        let ty = l.ty(term.tensor).clone();
        for (letter, dim) in term.letters.iter().zip(ty.shape) {
            match extents.iter().find(|(other, _)| other == letter) {
                Some((_, other)) if *other != dim => {
                    let types: Vec<String> = operands.iter().map(|term| l.ty(term.tensor).to_string()).collect();
                    let axis =
                        if letter.is_ascii() { format!("the axis `{letter}`") } else { "an axis of `...`".into() };
                    let headline = format!("einsum of {}: {axis} is {other} and {dim}", types.join(" and "));
                    return Err(l.error(Code::E0301, at, headline, "must be equal"));
                }
                Some(_) => {}
                None => extents.push((*letter, dim)),
            }
        }
    }
    Ok(())
}

/// The term with each letter once: where two axes have one letter, the elements at equal positions.
fn diagonal(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, mut term: Term) -> Lowered<Term> {
    loop {
        let twice = |axis: &usize| term.letters[..*axis].contains(&term.letters[*axis]);
        let Some(second) = (0..term.letters.len()).find(twice) else { return Ok(term) };
        let first = term.letters.iter().position(|letter| *letter == term.letters[second]).unwrap_or(second);
        let ty = l.ty(term.tensor).clone();
        let place = TensorType::new(DType::I32, ty.shape.clone());
        let row = l.add(frame, m.span, ops::Iota { axis: first, ty: place.clone() }, &[])?;
        let column = l.add(frame, m.span, ops::Iota { axis: second, ty: place }, &[])?;
        let is_equal = l.add(frame, m.span, ops::Equal, &[row, column])?;
        let zero = l.constant(frame, m.span, 0.0, &ty);
        let kept = l.add(frame, m.span, ops::Select, &[is_equal, term.tensor, zero])?;
        term.tensor = l.add(frame, m.span, ops::Sum { axes: vec![second] }, &[kept])?;
        term.letters.remove(second);
    }
}

/// The two terms whose product has the fewest multiplications, an unknown extent counted as a large one.
fn smallest_pair(l: &Emitter<'_>, operands: &[Term], result: &[char]) -> (usize, usize) {
    const UNKNOWN: f64 = 1024.0;
    let mut best = (f64::INFINITY, (0, 1));
    for i in 0..operands.len() {
        for j in i + 1..operands.len() {
            let (a, b) = (&operands[i], &operands[j]);
            let wanted = |letter: &char| {
                let mut others = operands.iter().enumerate().filter(|(k, _)| *k != i && *k != j);
                result.contains(letter) || others.any(|(_, term)| term.letters.contains(letter))
            };
            let of_a = a
                .letters
                .iter()
                .zip(&l.ty(a.tensor).shape)
                .filter(|(letter, _)| wanted(letter) || b.letters.contains(letter));
            let of_b = b
                .letters
                .iter()
                .zip(&l.ty(b.tensor).shape)
                .filter(|(letter, _)| wanted(letter) && !a.letters.contains(letter));
            let count: f64 = of_a.chain(of_b).map(|(_, dim)| dim.as_known().map_or(UNKNOWN, |n| n as f64)).product();
            if count < best.0 {
                best = (count, (i, j));
            }
        }
    }
    best.1
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
