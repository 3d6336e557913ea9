//! What names of Keras, PyTorch and NumPy are called here: for help with a name that there is not.
//!
//! A name is looked up as people write it, then without case, underscores and the endings that differ from library to
//! library, then in the table. What is called alike needs no row (`Conv2D`, `LeakyReLU`, `beta_1`).

use crate::diag::Diagnostic;

/// Their names and ours in order of preference: the first that there is, is meant.
type Rows = &'static [(&'static [&'static str], &'static [&'static str])];

/// Their names of functions and layers, without case and underscores.
const NAMES: Rows = &[
    // losses and metrics
    (&["mse", "mseloss", "l2loss"], &["mean_squared_error"]),
    (&["mae", "l1loss"], &["mean_absolute_error"]),
    (&["mape"], &["mean_absolute_percentage_error"]),
    (&["msle"], &["mean_squared_logarithmic_error"]),
    (&["rmse"], &["root_mean_squared_error"]),
    (&["bce", "bceloss", "logloss", "binarycrossentropyloss", "bcewithlogitsloss"], &["binary_crossentropy"]),
    (&["crossentropy", "crossentropyloss", "nllloss"], &["sparse_categorical_crossentropy"]),
    (&["smoothl1loss", "smoothl1", "huberloss"], &["huber"]),
    (&["kldiv", "kldivloss", "kld", "kldivergenceloss"], &["kl_divergence"]),
    (&["ctcloss"], &["ctc"]),
    (&["focalloss", "binaryfocalloss"], &["binary_focal_crossentropy"]),
    (&["diceloss"], &["dice"]),
    (&["tripletmarginloss", "tripletloss"], &["triplet"]),
    (&["hingeloss"], &["hinge"]),
    (&["sparsecategoricalaccuracy", "acc"], &["accuracy"]),
    (&["f1", "fscore"], &["f1_score"]),
    // layers
    (&["linear", "fc", "fullyconnected"], &["dense"]),
    (&["rnn", "rnncell"], &["simple_rnn"]),
    (&["lstmcell"], &["lstm"]),
    (&["grucell"], &["gru"]),
    (&["attention", "selfattention", "mha"], &["multi_head_attention"]),
    (&["batchnorm1d", "batchnorm2d", "batchnorm3d"], &["batch_norm"]),
    (&["gap1d"], &["global_average_pool1d"]),
    (&["gap2d"], &["global_average_pool2d"]),
    (&["gmp2d"], &["global_max_pool2d"]),
    (&["convtranspose1d", "deconv1d"], &["conv1d_transpose"]),
    (&["convtranspose2d", "deconv2d", "deconv"], &["conv2d_transpose"]),
    (&["convtranspose3d"], &["conv3d_transpose"]),
    (&["dropout1d"], &["spatial_dropout1d"]),
    (&["dropout2d"], &["spatial_dropout2d"]),
    (&["embed", "wordembedding"], &["embedding"]),
    // activations and initializers
    (&["swish"], &["silu"]),
    (&["hardswish"], &["hard_silu"]),
    (&["xavieruniform", "xavier", "glorot"], &["glorot_uniform"]),
    (&["xaviernormal"], &["glorot_normal"]),
    (&["kaiminguniform", "kaiming", "he"], &["he_uniform"]),
    (&["kaimingnormal"], &["he_normal"]),
    (&["randomuniform", "rand", "uniformrandom"], &["random_uniform"]),
    (&["randomnormal", "randn", "gaussian"], &["random_normal"]),
    (&["bernoulli"], &["random_bernoulli"]),
    (&["eye"], &["identity_matrix"]),
    // functions
    (&["cumsum"], &["cumulative_sum"]),
    (&["mod", "fmod", "modulo", "floormod"], &["remainder"]),
    (&["ln"], &["log"]),
    (&["absolute", "fabs"], &["abs"]),
    (&["concatenate", "cat", "hstack"], &["concat"]),
    (&["expanddims"], &["unsqueeze"]),
    (&["permute", "swapaxes"], &["transpose"]),
    (&["view"], &["reshape"]),
    (&["broadcastto", "expand"], &["broadcast"]),
    (&["reducesum"], &["sum"]),
    (&["reducemean"], &["mean"]),
    (&["reducemax", "amax"], &["max"]),
    (&["reducemin", "amin"], &["min"]),
    (&["prod", "reduceprod"], &["product"]),
    (&["var", "reducevariance"], &["variance"]),
    (&["clamp", "clipbyvalue"], &["clip"]),
    (&["repeatinterleave"], &["repeat_elements"]),
    (&["arange"], &["positions"]),
    (&["flip"], &["reverse"]),
    (&["stopgradient", "detach", "nograd"], &["stop"]),
    (&["gradient"], &["grad"]),
    (&["takealongaxis"], &["take_along"]),
    (&["scatternd", "segmentsum", "bincount"], &["scatter_add"]),
    (&["cumprod"], &["cumulative_product"]),
    (&["reduceany"], &["any"]),
    (&["reduceall"], &["all"]),
    (&["gammaln", "loggamma"], &["lgamma"]),
    (&["psi"], &["digamma"]),
    (&["inverseerf", "erfinverse"], &["erfinv"]),
    (&["solvetriangular", "trisolve"], &["triangular_solve"]),
    (&["isnan"], &["is_nan"]),
    (&["softmaxcrossentropywithlogits"], &["softmax_crossentropy"]),
    (&["scaleddotproductattention"], &["attention"]),
    (&["interpolate", "resize"], &["resize2d"]),
    (&["timedistributed"], &["dense"]),
    (&["gridsample"], &["grid_sample"]),
];

/// Their names of arguments, likewise.
const ARGUMENTS: Rows = &[
    (&["learningrate", "eta", "stepsize"], &["lr"]),
    (&["returnsequences"], &["sequences"]),
    (&["gobackwards"], &["reverse"]),
    (&["kernelsize", "filtersize", "ksize"], &["kernel"]),
    (&["strides"], &["stride"]),
    (&["stride"], &["strides"]),
    (&["usebias"], &["bias"]),
    (&["kernelinitializer", "embeddingsinitializer", "initializer", "initialization"], &["init"]),
    (&["recurrentinitializer"], &["recurrent_init"]),
    (&["nfilters", "numfilters", "outchannels", "channels"], &["filters"]),
    (&["outfeatures", "hiddensize", "hidden", "nunits", "numunits", "features"], &["units"]),
    (&["numheads", "nheads", "nhead"], &["heads"]),
    (&["dilationrate"], &["dilation"]),
    (&["dim", "dims", "axis"], &["axis", "axes"]),
    (&["axes"], &["axis"]),
    (&["keepdim", "keepdims"], &["keep"]),
    (&["eps"], &["epsilon"]),
    (&["rho", "alpha"], &["decay"]),
    (&["inputdim", "numembeddings", "vocabsize", "vocabularysize"], &["vocabulary"]),
    (&["outputdim", "embeddingdim", "embeddim"], &["size"]),
    (&["p", "prob", "probability"], &["rate", "p"]),
    (&["negativeslope"], &["slope"]),
    (&["poolsize"], &["window", "size"]),
    (&["ytrue", "label", "labels", "truth", "targets"], &["target", "labels"]),
    (&["ypred", "input", "preds", "predictions", "output", "logits"], &["prediction", "scores", "logits", "x"]),
    (&["numclasses", "nclasses", "depth"], &["classes"]),
    (&["center"], &["centre"]),
    (&["stddev", "sigma"], &["std"]),
    (&["l2", "decay"], &["weight_decay"]),
    (&["numgroups", "ngroups"], &["groups"]),
];

/// What other languages write before the dot of a function's name.
const MODULES: &[&str] =
    &["torch", "nn", "tf", "keras", "np", "numpy", "jnp", "jax", "math", "layers", "optim", "functional", "F", "K"];

/// Whether a path is a module of another library, such as `torch.nn`.
pub(super) fn is_foreign_module(path: &str) -> bool {
    path.split('.').any(|part| MODULES.contains(&part))
}

/// The name that there is for what is called `found`, here or elsewhere.
pub(super) fn function_named<'k>(found: &str, known: &[&'k str]) -> Option<&'k str> {
    known.iter().find(|name| **name == found).copied().or_else(|| counterpart(NAMES, found, known))
}

/// Names that a sentence answers better than another name does.
const SENTENCES: &[(&[&str], &str)] = &[
    (&["pow", "power"], "write `a ** b`"),
    (&["matmul", "dot", "mm", "bmm"], "write `a @ b`"),
    (&["add", "sub", "subtract", "mul", "multiply", "div", "divide"], "write it with an operator: `+ - * /`"),
    (&["true"], "write `true`"),
    (&["false"], "write `false`"),
    (&["none", "null", "nil"], "write `none`"),
    (&["sequential"], "chain layers by `|>`: `output y = x |> dense(units=64, activation=relu) |> dense(units=10)`"),
    (&["tile"], "repeat along an axis by `repeat_elements`, to a shape by `broadcast`"),
    (&["^", "**"], "write `a ** b` for a power"),
    (&["%", "//"], "write `a % b` and `a // b`"),
    (&["@"], "write `a @ b`"),
    (
        &["self"],
        "a layer's body names its own params: `param kernel: f32[N, units] = glorot_uniform()`, then `x @ kernel`",
    ),
    (&["print"], "make it an output or a metric: `metric NAME = …`"),
    (&["int", "int32", "int64", "long"], "write `i32(x)`; the type is `i32`"),
    (
        &["float", "float32", "float64", "float16", "double", "half"],
        "write `f32(x)`; the type is `f32`, and `--precision f64` computes it in f64",
    ),
    (&["reciprocal"], "write `1 / x`"),
    (&["logicalnot", "logicaland", "logicalor"], "write `not a`, `a and b`, `a or b`"),
    (&["equal", "eq", "greater", "less", "gt", "lt"], "write it with an operator: `== != < <= > >=`"),
    (&["split", "chunk"], "the slices along an axis are `unstack(x, axis)`; parts are `x[:, 0:2]`"),
    (&["linspace"], "write `low + (high - low) * f32(positions(n)) / (n - 1)`"),
    (
        &[
            "scattermax",
            "scattermin",
            "scattermul",
            "scatterset",
            "scatterreduce",
            "indexput",
            "indexcopy",
            "tensorscatterndupdate",
        ],
        "write `scatter(x, indices, values, mode=\"max\")`; the modes are \"set\", \"add\", \"max\", \"min\", \"mul\"",
    ),
    (&["norm"], "write `sqrt(sum(square(x)))`; layers are `layer_norm`, `batch_norm`; `unit_normalize(x)` has norm 1"),
    (&["isfinite", "isinf"], "write `abs(x) < inf`"),
    (&["log2", "log10"], "write `log(x) / log(2.0)`"),
    (&["std", "stddev", "standarddeviation"], "write `sqrt(variance(x))`"),
    (&["outer"], "write `a[:, none] * b[none, :]`"),
    (&["for", "while"], "write `[f(l) for l in list]`, `repeat(x, n, layer)`, or `scan(step, x, carry)` over time"),
];

/// Parts of names that differ from library to library, and ours.
const PARTS: &[(&str, &str)] = &[
    ("normalization", "norm"),
    ("normalisation", "norm"),
    ("pooling", "pool"),
    ("avg", "average"),
    ("upsampling", "upsample"),
    ("zeropadding", "zeropad"),
    ("cropping", "crop"),
];

/// A name without what differs from library to library.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| *letter != '_').flat_map(char::to_lowercase);
    let mut plain: String = letters.collect();
    for (theirs, ours) in PARTS {
        // `average` holds no `avg`, so it stays as it is.
        plain = plain.replace(theirs, ours);
    }
    plain
}

/// The name among those that there are which another library calls `found`.
fn counterpart<'k>(rows: Rows, found: &str, known: &[&'k str]) -> Option<&'k str> {
    let theirs = plain(found);
    let mut meant = rows.iter().filter(|(names, _)| names.contains(&&*theirs)).flat_map(|(_, ours)| ours.iter());
    let listed = meant.find_map(|ours| known.iter().find(|name| *name == ours));
    listed.or_else(|| known.iter().find(|name| **name != found && plain(name) == theirs)).copied()
}

/// Adds what an unknown name may have meant: another library's word for it, or one that is spelt nearly so.
pub(super) fn suggest_name(finding: Diagnostic, found: &str, known: &[&str]) -> Diagnostic {
    match (counterpart(NAMES, found, known), sentence(found)) {
        (Some(name), _) => finding.with_help(format!("did you mean `{name}`?")),
        (None, Some(sentence)) => finding.with_help(sentence),
        (None, None) => finding.with_suggestion(found, known.iter().copied()),
    }
}

/// What to write for a name that no other name answers.
pub(super) fn sentence(found: &str) -> Option<&'static str> {
    let theirs = plain(found);
    SENTENCES.iter().find(|(names, _)| names.contains(&&*theirs)).map(|(_, sentence)| *sentence)
}

/// What an argument of another library may be called here, in order of preference.
pub(super) fn arguments_named(found: &str) -> impl Iterator<Item = &'static str> {
    let theirs = plain(found);
    let rows = ARGUMENTS.iter().filter(move |(names, _)| names.contains(&&*theirs));
    rows.flat_map(|(_, ours)| ours.iter().copied())
}

/// Adds what an unknown argument may have meant.
pub(super) fn suggest_argument(finding: Diagnostic, found: &str, known: &[&str]) -> Diagnostic {
    match counterpart(ARGUMENTS, found, known) {
        Some(name) => finding.with_help(format!("did you mean `{name}`?")),
        None => finding.with_suggestion(found, known.iter().copied()),
    }
}

#[cfg(test)]
mod tests {
    use super::{ARGUMENTS, NAMES, SENTENCES, counterpart, plain};

    #[test]
    fn names_are_found_as_other_libraries_write_them() {
        let known = ["dense", "linear", "lstm", "max_pool2d", "batch_norm", "mean_squared_error", "remainder"];
        for (theirs, ours) in [
            ("Dense", "dense"),
            ("Linear", "dense"),
            ("LSTM", "lstm"),
            ("MaxPooling2D", "max_pool2d"),
            ("BatchNormalization", "batch_norm"),
            ("BatchNorm2d", "batch_norm"),
            ("MSELoss", "mean_squared_error"),
            ("mse", "mean_squared_error"),
            ("mod", "remainder"),
        ] {
            assert_eq!(counterpart(NAMES, theirs, &known), Some(ours), "{theirs}");
        }
        assert_eq!(counterpart(NAMES, "conv2d", &known), None);
        assert_eq!(counterpart(ARGUMENTS, "beta_1", &["lr", "beta1"]), Some("beta1"));
        assert_eq!(counterpart(ARGUMENTS, "dim", &["x", "axes"]), Some("axes"));
        assert_eq!(counterpart(ARGUMENTS, "dim", &["x"]), None);
    }

    #[test]
    fn rows_are_written_as_they_are_looked_up() {
        let theirs = NAMES.iter().chain(ARGUMENTS).map(|(theirs, _)| theirs);
        for name in theirs.chain(SENTENCES.iter().map(|(theirs, _)| theirs)).flat_map(|names| names.iter()) {
            assert_eq!(plain(name), *name, "a row that nothing finds");
        }
    }
}
