//! Every diagnostic code, its title and its explanation (`anabranch explain CODE`).
//!
//! Codes are stable: a code is never given a second meaning. `E01` syntax, `E02` names, `E03` types and shapes,
//! `E04` definitions and items, `E05` split, gradients and contracts, `E06` run configuration and data, `E07` limits, and what has no form elsewhere;
//! `L0` lints.

macro_rules! codes {
    ($($code:ident $title:literal $explanation:literal;)*) => {
        /// A stable diagnostic code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $title] $code,)* }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$code,)*];

            /// The code as printed, `E0101`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$code => stringify!($code),)* }
            }

            /// What kind of mistake it is, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Code::$code => $title,)* }
            }

            /// A longer explanation with an example and the way out.
            pub fn explanation(self) -> &'static str {
                match self { $(Code::$code => $explanation,)* }
            }
        }
    };
}

codes! {
    E0101 "syntax error"
        "The text does not follow the grammar. The label stands at the first place that does not fit and lists what could\nstand there. `grammar/anabranch.pest` is the grammar, written to be read.";
    E0102 "text nested too deeply"
        "Brackets, blocks or operators are nested deeper than the compiler follows (a few hundred levels). Give parts of the\nexpression a name with `let`.";
    E0103 "source text too large"
        "A spec is a page of text. Texts beyond the limit in the message are refused before they are read.";
    E0104 "malformed literal"
        "A number or string cannot be read: a number beyond the range of f64, an unknown escape, an unfinished string.";
    E0201 "unknown name"
        "A name is used that nothing in scope defines: no item above it or below it, no parameter, no definition of the\nstandard library (`anabranch std` lists those).";
    E0202 "name defined twice"
        "Two items of one scope have the same name. Rename one: every name means one thing.";
    E0203 "name used before its definition"
        "Items are read from top to bottom; a value must stand above its use. Definitions (`fn`, `layer`, …) may stand anywhere.";
    E0204 "not a function"
        "Something is called that is not a definition, a layer or a function value.";
    E0205 "definition calls itself"
        "Definitions are expanded at their calls, so one that reaches itself would never end. Use `repeat` for a fixed count.";
    E0301 "shapes do not fit"
        "Element-wise operands must have equal shapes, or one is a scalar, or they align at the trailing axes, where an extent of\n1 aligns with any. A 1 that is left over is an error, `f32[batch, 1] - f32[batch]`, never a silent `[batch, batch]`\nmatrix. Use `squeeze`, `unsqueeze`, `reshape` or a slice to say what you mean.";
    E0302 "wrong element type"
        "An operation got values of a type that it does not take, for example arithmetic on `bool`.";
    E0303 "operation's constraint failed"
        "An operation's own rule about its operands failed; the note names the rule.";
    E0304 "argument does not match the signature"
        "A value passed to a definition does not have the type its parameter asks for.";
    E0305 "size not known at compile time"
        "A param's shape, or a number that decides the graph, must be known when the spec is compiled; `batch` and other\nrun-time dims are not.";
    E0306 "not a tensor"
        "A tensor was needed and something else was found, such as a list, a text or a function.";
    E0307 "compile-time value needed"
        "A number, text or condition that shapes the graph must be known at compile time. For a choice by tensor values use\n`where(mask, a, b)`.";
    E0401 "wrong arguments in a call"
        "A call has too many arguments, lacks one, names one that does not exist, or gives one twice.";
    E0402 "statement not allowed here"
        "Each kind of statement has its places: `input`, `target`, `output`, `loss`, `metric`, `train` stand at file level;\n`param` and `state` not in a `fn`; `return` only in a definition.";
    E0403 "body without return"
        "Every path through a definition's body must end in `return`.";
    E0404 "invalid item"
        "An item is well written but cannot be meant so; the message says why.";
    E0405 "loss has the wrong shape"
        "A loss is one number per sample, `f32[batch]`, or one number, `f32`. Reduce further axes, for example with\n`|> mean(axes=[1, 2])`.";
    E0406 "invalid train block"
        "The `train` block must minimize at least one objective and have an optimizer for every param it trains.";
    E0407 "file of definitions not readable"
        "A `use` names a file that cannot be read.";
    E0501 "output depends on a target"
        "What `output` computes must work at prediction time, when no target is known. The labels show the way by which the\ntarget reaches the output.";
    E0502 "gradient contract broken"
        "An `assert … trains …` does not hold. The labels show the path along which the gradient flows; a `stop(...)` on that path\ncloses it.";
    E0503 "param not trained"
        "`assert every param is trained` was written, and an objective reaches the param by no gradient path.";
    E0504 "value has no derivative"
        "A gradient was asked along an operation that has none defined.";
    E0505 "no gradient path"
        "`grad(y, x)` was asked where y does not depend on x by any differentiable path.";
    E0506 "contract on shape or condition broken"
        "An `assert` about a shape or a compile-time condition does not hold.";
    E0601 "file not readable"
        "A file named on the command line or in a run config cannot be read.";
    E0602 "invalid run config"
        "The YAML run config is malformed or has a field that is unknown, missing or of the wrong kind.";
    E0603 "data does not match the spec"
        "A data file lacks a column or array that the spec reads, or has it in another shape or type.";
    E0604 "invalid values in data"
        "Data holds NaN, infinite or non-integer values where the spec does not allow them. A target that may be missing is\ndeclared with `?`.";
    E0605 "cannot write output"
        "An output folder or file cannot be written, or something stands there that is not replaced, or another process writes\nthere. A run writes into a new or an empty folder, and with `--replace` in the place of an earlier run, whose files its\n`record.json` lists: name another folder with `--output`. Other commands replace a file only with `--replace`, and never\none that they read, a link, a folder or a device. When a disk is full the last checkpoint stands; make room and go on with\n`anabranch run --resume`.";
    E0606 "invalid initial values or checkpoint"
        "A file of param values does not fit the spec: a name is missing or unknown, or a shape differs. Or a checkpoint is not\nwhole: its hashes do not fit its contents. A run that goes on takes the one before it then.";
    E0607 "training diverged"
        "A loss, param or state became NaN or infinite. The finding names the first operation whose result is not finite though all\nthat it was given is. The run stops and keeps the last good params, unless the run config says `on_nan: skip` (the step is\nleft out) or `on_nan: halve-lr` (and later steps go half of their way).";
    E0608 "invalid saved program"
        "A run folder's prediction program, record or history cannot be read: the file is broken, was changed by hand, or is of\nanother version; or no run began there. Bring the file back, or train again with this version of anabranch.";
    E0609 "file not formatted"
        "`anabranch fmt --check` found a spec that is not in the canonical layout. `anabranch fmt FILE` sets it.";
    E0610 "value outside of what is indexed"
        "Data hold a whole number that the spec uses as an index, a class or an id, and that lies outside of what it indexes: 5\nfor an `embedding` of 5 rows, whose rows count from 0, or -1 for `one_hot(y, 3)`. The range follows from the graph, also\nthrough offsets and slices. Correct the data, shift them (`y - 1`), or leave such values out by a mask that the graph\nshows: `where(y >= 0, loss, 0)`.";
    E0701 "limit exceeded"
        "The spec asks for more than the compiler accepts: nodes, expansion depth, elements of a tensor, or memory.";
    E0702 "program does not fit in memory"
        "A program's values, params, states, inputs and results need more memory than there is: what the machine has left, what its\ncontrol groups and `ulimit -v` allow. All programs of a run count together, with the data and the copies of params that are\nkept. This is found before anything is allocated; the notes say what takes how much and name the largest tensors. Take a smaller batch or a smaller model.";
    E0703 "no form in another runtime"
        "A value is computed by an operation that the format of an export has no form for, such as a random draw or a matrix\ndecomposition in ONNX. The label stands at the value. Export the outputs that do not need it, or begin behind it:\n`--outputs NAMES`, `--from NAMES`. docs/export.md lists these operations.";
    L0001 "weight-collapse"
        "A trained weight only multiplies losses, as in `alpha * a + (1 - alpha) * b`. Descent lowers that by weighing down the\nlarger loss until the weight rests at its bound and the loss is switched off. Stop the weight in the weighted sum and\ntrain it by a loss of its own (`balanced`), or give it a counterweight (`uncertainty`).";
    L0002 "loss-can-rise"
        "The objective's derivative by one of its losses is not provably at least 0, as in `square(alpha * a - (1 - alpha) * b)`:\nwhere it is negative, training raises that loss. Weigh losses by factors that are at least 0.";
    L0003 "never-trained"
        "A param keeps its first value, since no objective reaches it or every `over` leaves it out.";
    L0004 "blocked-loss"
        "A loss trains nothing: no objective contains it, every path to it is stopped, or it passes no gradient to any param.";
    L0005 "unused"
        "An input, target or value that no output, loss, metric or update depends on.";
    L0006 "once-named-dim"
        "A run-time dim is named in one place only, so nothing checks it. A misspelt `const` or dim looks like that.";
    L0007 "unstable"
        "A formula leaves the numbers. It underflows or overflows where a stable one says the same, such as `log(softmax(x))` and\n`log_softmax(x)`; or it takes a logarithm, root, power or quotient of what is not shown to lie where value and derivative\nare finite: `sqrt(sum(square(x)))` at 0, `x / sum(mask)` where no mask holds. Guards are seen: `maximum(x, 1e-7)`,\n`x + 1e-7` of what is never negative, `where(x > 0, x, 1)` before the function.";
    L0008 "unbounded-below"
        "The objective has no lower bound once a loss reaches 0: a trained weight follows the loss without end. Hold the weight\nin an interval or use a combiner that is never negative.";
    L0009 "constant-weight"
        "A loss's weight is computed from params or states and is yet always the same number, as a weight over its own mean.";
    L0010 "decayed-weight"
        "Weight decay or joint gradient clipping reaches a weight of losses. Give such weights an optimizer of their own.";
    L0011 "moving-monitor"
        "Early stopping or the best checkpoint is decided by a loss whose weights move, so its values do not compare. Watch a\nbranch's loss or a metric.";
    L0012 "overshooting-weight"
        "A weight of losses is trained with steps so long that each overshoots by more than the last, so that the weight jumps\nfrom bound to bound: the learning rate times the objective's second derivative by the weight is above 2. A run finds\nthis with its data at hand. Take a smaller learning rate for the weight, or divide its loss by the losses' scale.";
    L0013 "not-a-probability"
        "A loss takes a target for a probability, such as a cross-entropy, and the data hold values outside 0 to 1, or rows of\nclasses that do not sum to 1. A run finds this as it reads its data. Scale the target, make it one-hot, or take a loss\nof numbers.";
    L0014 "loss-may-be-negative"
        "A loss can be negative by its formula (a cosine distance, a policy gradient, a density's likelihood), and the objective\nrelies on losses that are not: its logarithm is taken, or a weight that is trained on it has no resting point then. Such\nruns end at NaN or with the weight at its bound. Shift the loss (`1 + cosine_distance(…)`), or combine by `weighted` or\n`upgrad`, which do not look at a loss's sign.";
    L0020 "ascending-step"
        "An optimizer moves a param up the gradient of what is minimized, as with a negative learning rate or a wrong sign, or\nleaves it where it is, as with a learning rate of 0. To ascend on purpose, minimize the negated value: `minimize -x over w`.";
    L0021 "swapped-arguments"
        "A loss or metric is given the prediction where its label goes, and the target where the prediction goes. In the standard\nlibrary the label comes first: `binary_crossentropy(target, prediction)`.";
    L0022 "wrong-scale"
        "A loss that takes logits is given probabilities, so that a sigmoid or softmax is taken twice; or one that takes\nprobabilities is given scores that can be any number. `from_logits` says which a loss takes.";
    L0023 "single-class"
        "The largest of one score is asked for, which is always the first, or the softmax of one, which is always 1. `accuracy`\nand `softmax` choose among the scores of all classes; for one probability there are `binary_accuracy` and `sigmoid`.";
    L0024 "averaged-before-weights"
        "Weights of samples are multiplied with a loss that is one number for the batch already, so that each sample counts as\nthe mean of all. A loss over the last axis of two `f32[batch]` values averages the batch: give them an axis of their own,\n`t[:, none]`, or weigh each sample's error before the mean.";
    L0025 "unsettled-statistics"
        "Prediction reads a running value, such as the moments of batch normalisation or an average of params, that begins at a\nfirst value and follows slowly: after so few steps much of the first value is left. A run finds this, which knows its\nsteps. Train longer, or let the value follow faster, as with `batch_norm(momentum=0.9)`.";
    L0026 "batch-of-one"
        "A layer takes means over the rows of a batch, and a batch of the run has a single row, which less its own mean is 0:\nnothing is learned from it. A run finds this, which knows its batches. Take a larger `batch_size`, `drop_last: true`, or\n`layer_norm`, which looks at each row by itself.";
}

impl Code {
    /// Whether it is that of a lint, whose name is its title.
    pub fn is_lint(self) -> bool {
        self.as_str().starts_with('L')
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Code {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Code::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text)).ok_or(())
    }
}
