//! The names and axes that other frameworks give params and states: how a file of theirs is read, and how one is written for them.

use crate::data::Numbers;
use crate::data::params::Tensor;

/// Whose names and axes a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// those of the program
    #[default]
    Own,
    /// `weight` is `kernel`, `gamma` or `table`; kernels have the outputs as their first axis, then the inputs
    PyTorch,
    /// paths have slashes and may end in `:0`; kernels are as the program has them
    Keras,
}

/// Another framework's last word of a name, and what it may be here.
type Word = (&'static str, &'static [&'static str]);

const PYTORCH: &[Word] = &[
    ("weight", &["kernel", "gamma", "table", "scale", "alpha"]),
    ("bias", &["bias", "beta"]),
    ("running_mean", &["moving_mean"]),
    ("running_var", &["moving_variance"]),
];

const KERAS: &[Word] = &[("embeddings", &["table"]), ("depthwise_kernel", &["kernel"])];

/// Words that are understood, and not written: Keras calls it a kernel since version 3.
const READ_ONLY: &[&str] = &["depthwise_kernel"];

impl Layout {
    fn words(self) -> &'static [Word] {
        match self {
            Self::Own => &[],
            Self::PyTorch => PYTORCH,
            Self::Keras => KERAS,
        }
    }

    /// A name of a file as a path with dots.
    pub(super) fn path(self, name: &str) -> String {
        match self {
            Self::Keras => name.trim_end_matches(":0").replace('/', "."),
            Self::Own | Self::PyTorch => name.to_string(),
        }
    }

    /// The paths that a value may have in the program, by what the other framework calls it.
    pub(super) fn candidates(self, name: &str) -> Vec<String> {
        let (above, leaf) = apart(name);
        let leaves = self.words().iter().find(|(word, _)| *word == leaf).map_or(&[][..], |(_, own)| own);
        std::iter::once(name.to_string()).chain(leaves.iter().map(|leaf| below(above, leaf))).collect()
    }

    /// What the other framework calls a value of the program.
    pub(super) fn name(self, path: &str) -> String {
        let (above, leaf) = apart(path);
        let written = self.words().iter().filter(|(word, _)| !READ_ONLY.contains(word));
        let word = written.into_iter().find(|(_, own)| own.contains(&leaf)).map_or(leaf, |(word, _)| word);
        let name = below(above, word);
        if self == Self::Keras { name.replace('.', "/") } else { name }
    }

    /// Whether the axes of a param are in another order.
    pub(super) fn turns(self, path: &str) -> bool {
        self == Self::PyTorch && apart(path).1.ends_with("kernel")
    }
}

fn apart(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

fn below(above: &str, leaf: &str) -> String {
    if above.is_empty() { leaf.to_string() } else { format!("{above}.{leaf}") }
}

/// The axes of a kernel of PyTorch, which are the outputs, the inputs and the places of a window, as the program has them: places,
/// inputs, outputs. Of one channel each (depthwise), the outputs are taken apart. None where that does not fit.
pub(super) fn turned(tensor: &Tensor, wanted: &[usize]) -> Option<Tensor> {
    let shape = turned_shape(&tensor.shape);
    let n_elements = |shape: &[usize]| shape.iter().product::<usize>();
    let rank = shape.len();
    let is_depthwise =
        rank > 2 && rank == wanted.len() && shape[rank - 2] == 1 && shape[..rank - 2] == wanted[..rank - 2];
    let fits = shape == wanted || (is_depthwise && n_elements(&shape) == n_elements(wanted));
    if !fits {
        return None;
    }
    let axes: Vec<usize> = (2..rank).chain([1, 0]).collect();
    Some(Tensor { shape: wanted.to_vec(), values: permuted(&tensor.values, &tensor.shape, &axes)? })
}

pub(super) fn turned_shape(shape: &[usize]) -> Vec<usize> {
    match shape {
        [outputs, inputs, places @ ..] => places.iter().copied().chain([*inputs, *outputs]).collect(),
        _ => shape.to_vec(),
    }
}

/// A kernel of the program as PyTorch has it; `read` is the shape in which the program reads it, its channels put together where it is
/// depthwise.
pub(super) fn turned_back(values: &Numbers, read: &[usize]) -> Option<Tensor> {
    let rank = read.len();
    if rank < 2 {
        return None;
    }
    let axes: Vec<usize> = [rank - 1, rank - 2].into_iter().chain(0..rank - 2).collect();
    let shape = axes.iter().map(|axis| read[*axis]).collect();
    Some(Tensor { shape, values: permuted(values, read, &axes)? })
}

/// The same numbers with their axes in another order. None for numbers that do not fill the shape.
fn permuted(values: &Numbers, shape: &[usize], axes: &[usize]) -> Option<Numbers> {
    fn of<E: Copy>(values: &[E], shape: &[usize], axes: &[usize]) -> Option<Vec<E>> {
        let array = ndarray::ArrayView::from_shape(shape, values).ok()?;
        Some(array.permuted_axes(axes).iter().copied().collect())
    }
    Some(match values {
        Numbers::F32(values) => Numbers::F32(of(values, shape, axes)?),
        Numbers::F64(values) => Numbers::F64(of(values, shape, axes)?),
        Numbers::I32(values) => Numbers::I32(of(values, shape, axes)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for layout in [Layout::Own, Layout::PyTorch, Layout::Keras] {
            for leaf in ["kernel", "bias", "gamma", "beta", "table", "scale", "alpha", "moving_mean", "mixing"] {
                for path in [format!("trunk.layer.{leaf}"), leaf.to_string()] {
                    let name = layout.name(&path);
                    assert!(layout.candidates(&layout.path(&name)).contains(&path), "{layout:?} {path} {name}");
                }
            }
        }
        assert_eq!(Layout::PyTorch.name("trunk.conv2d.kernel"), "trunk.conv2d.weight");
        assert_eq!(Layout::Keras.name("trunk.embedding.table"), "trunk/embedding/embeddings");
        assert_eq!(Layout::Keras.name("trunk.conv2d.kernel"), "trunk/conv2d/kernel");
    }

    #[test]
    fn turned_back_and_forth_is_as_it_was() {
        for (own, read) in [
            (vec![3, 5], vec![3, 5]),
            (vec![2, 3, 5], vec![2, 3, 5]),
            (vec![2, 4, 3, 5], vec![2, 4, 3, 5]),
            (vec![2, 4, 3, 5], vec![2, 4, 1, 15]),
        ] {
            let n = own.iter().product::<usize>();
            let values = Numbers::F32((0..n).map(|at| at as f32).collect());
            let theirs = turned_back(&values, &read).unwrap();
            assert_eq!(theirs.shape[..2], [read[read.len() - 1], read[read.len() - 2]]);
            assert_eq!(turned(&theirs, &own), Some(Tensor { shape: own, values }));
        }
        assert_eq!(turned_back(&Numbers::F32(vec![1.0]), &[1]), None);
        assert_eq!(turned_back(&Numbers::F32(vec![1.0]), &[2, 2]), None);
    }
}
