//! What can have gone wrong, in words.

macro_rules! causes {
    ($($cause:ident $name:literal $weight:literal $title:literal $explanation:literal $help:literal;)*) => {
        /// What went wrong in a run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Cause { $(#[doc = $title] $cause,)* }

        impl Cause {
            /// Every cause, the gravest first.
            pub const ALL: &'static [Cause] = &[$(Cause::$cause,)*];

            /// The name by which `explain` knows it.
            pub fn name(self) -> &'static str {
                match self { $(Cause::$cause => $name,)* }
            }

            /// Gravity times certainty, in percent: causes stand before the symptoms that they bring.
            pub(super) fn weight(self) -> u32 {
                match self { $(Cause::$cause => $weight,)* }
            }

            /// It in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Cause::$cause => $title,)* }
            }

            /// What it means, how it is known, and the way out.
            pub fn explanation(self) -> &'static str {
                match self { $(Cause::$cause => $explanation,)* }
            }

            /// The way out in a line.
            pub(super) fn help(self) -> &'static str {
                match self { $(Cause::$cause => $help,)* }
            }
        }
    };
}

causes! {
    Diverged "diverged" 100 "training diverged"
        "A loss or a param became infinite or NaN, and the run ended. Where the loss had risen before, the steps were too long; where it\nhad not, an operation was given what it has no finite result for. `anabranch bisect RUN \"nan(LOSS)\"` finds the step."
        "take a smaller learning rate, or `clip global_norm=1.0` in the `train` block";
    NoLabels "no-labels" 97 "a target has no label in any row"
        "Every training row lacks this target, so no loss that is made of it can be learned."
        "name the column that holds the labels: `columns` in the run config";
    Spec "spec" 95 "the spec says so"
        "A lint of the spec."
        "";
    Leak "leak" 92 "an input column tells the target"
        "One column of the inputs determines the target by itself, in a table of several columns. Such a column is mostly the target under\nanother name, or was computed from it, and will not be known when predictions are asked for. It is known by the share of the target's\nvariance that the column explains (of a class: by its means in the classes)."
        "leave the column out of `columns`, unless it is known before the target is";
    SharedRows "shared-rows" 90 "the parts of the data share rows"
        "Rows of the part that is to tell how the model does on new rows also stand among the training rows, inputs and all. What it tells\nis then too good."
        "split the data by what makes rows alike before rows are copied or augmented";
    LearningRate "learning-rate" 85 "the learning rate is too high"
        "Steps overshoot: the loss rises in the first steps to many times its value, jumps up and down without getting lower, or ends above\nwhere it began."
        "take a learning rate ten times smaller, a warm-up, or `clip global_norm=1.0` in the `train` block";
    CollapsedWeight "collapsed-weight" 80 "a loss was weighed away"
        "A loss's weight fell by a large factor while the loss itself rose, or stayed unlearned: the total got smaller by weighing, not by\nlearning. A weight that is trained by the total that it scales has this as its way down."
        "take a combiner that keeps weights from collapsing (`uncertainty`, `balanced`), or fixed weights";
    WeightAtBound "weight-at-bound" 78 "a trained weight stands at its bound"
        "A weight that is trained within bounds came to one of them and stayed: it would go on if it could, so what holds it is the bound, not\na balance of losses."
        "see whether the weight has a balance at all: `anabranch flow SPEC --verdicts`";
    FewLabels "few-labels" 75 "few rows have a label"
        "So few rows have this target that most batches have next to none: steps are made of what one or two rows say, and of nothing where\nthere is none."
        "take larger batches, or train on the labelled rows first";
    Magnitude "magnitude" 70 "one gradient drowns the others"
        "The gradients of two losses by the params that they share differ in length by ten times and more once they are weighed, so the params\nfollow one of them. That is a matter of magnitude, not of direction: weights mend it, no method is needed."
        "weigh the losses: `anabranch suggest CONFIG` says by how much";
    Direction "direction" 65 "losses pull against each other"
        "The gradients of two losses by the params that they share point in opposite directions most of the time. Weights choose the compromise;\nthey do not remove the conflict."
        "a method that looks at directions, such as `upgrad`, or params of their own for each loss";
    Unrelated "unrelated-labels" 60 "the labels do not go with their rows"
        "Shuffling the labels among the rows makes the loss no worse, so what the model says of a row tells nothing of that row's label. The labels\nwere permuted against their rows, belong to another file, or nothing in the inputs tells them. A model with room enough learns such training\nrows by heart, and new rows show it."
        "look whether rows and labels are in the same order, and whether a simple model finds anything";
    NeverLearned "never-learned" 55 "a loss was never learned"
        "The loss is about where it was before training."
        "see whether the loss reaches its params (`anabranch flow SPEC`), and take a larger learning rate";
    MostFrequent "most-frequent" 50 "the most frequent class is always predicted"
        "A metric equals the share of the most frequent class to the row: the model says that class whatever it is shown."
        "weigh classes, balance batches, or train for longer";
    Overfitting "overfitting" 45 "overfitting"
        "The loss on training rows falls while that on rows which the model has not seen rises. What is learned from that epoch on holds for the\ntraining rows only."
        "keep the best epoch (`monitor: { value: validation/LOSS, patience: 5 }`), or take more data, a smaller model, dropout, decay";
    TooGood "too-good" 40 "perfect from the first epoch"
        "A metric on rows that the model has not seen is perfect after one epoch. Few true problems are so easy: look whether the inputs hold the\ntarget, or the parts share rows."
        "look for a column that tells the target";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_stand_first_and_each_has_a_name() {
        assert!(Cause::ALL.is_sorted_by(|a, b| a.weight() >= b.weight()));
        for cause in Cause::ALL {
            assert_eq!(Cause::ALL.iter().filter(|other| other.name() == cause.name()).count(), 1);
            assert!(!cause.explanation().is_empty() && !cause.title().is_empty());
        }
    }
}
