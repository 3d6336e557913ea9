//! `anabranch report` on runs that were spoilt on purpose: the first verdict names how. Runs that are well have none.

use super::support::Project;

/// Numbers between -1 and 1, always the same.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = ((self.next() + 1.0) / 2.0 * (at + 1) as f32) as usize;
            items.swap(at, other.min(at));
        }
    }
}

const N: usize = 240;
const COLUMNS: usize = 5;

/// A table: inputs, a number and a class that follow from them with some noise.
struct Rows {
    x: Vec<f32>,
    value: Vec<f32>,
    class: Vec<f32>,
}

impl Rows {
    fn new(seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let x: Vec<f32> = (0..N * COLUMNS).map(|_| numbers.next()).collect();
        let value: Vec<f32> =
            x.chunks(COLUMNS).map(|x| x[0] - 0.7 * x[1] + x[2] * x[3] + 0.1 * numbers.next()).collect();
        let class = value.iter().map(|value| f32::from(u8::from(*value + 0.2 * numbers.next() > 0.0))).collect();
        Self { x, value, class }
    }
}

const CONFIG: &str = "\
spec: model.anb
data:
  train: { file: data.npz, rows: 0..160 }
  validation: { file: data.npz, rows: 160..240 }
batch_size: 16
epochs: 12
output: runs/r
";

const REGRESSION: &str = "\
input  x: f32[batch, 5]
target y: f32[batch]
output p = x |> dense(units=12, activation=tanh) |> dense(units=1) |> squeeze(axes=1)
loss error = square(y - p)
train { minimize error optimizer adam(lr=LR) }
";

const CLASSES: &str = "\
input  x: f32[batch, 5]
target y: i32[batch]
let scores = x |> dense(units=12, activation=tanh) |> dense(units=2)
output p = softmax(scores)
loss error = sparse_categorical_crossentropy(y, scores)
metric hits = accuracy(y, scores)
train { minimize error optimizer adam(lr=LR) }
";

const TWO_HEADS: &str = "\
input  x: f32[batch, 5]
target y: f32[batch]
target z: f32[batch]
let hidden = x |> dense(units=12, activation=tanh)
output near = hidden |> dense(units=1) |> squeeze(axes=1)
output far = hidden |> dense(units=1) |> squeeze(axes=1)
loss a = A
loss b = B
loss total = TOTAL
train { minimize total optimizer adam(lr=0.01) }
";

/// What the report says of a run: the names of its verdicts, in order, and the text.
fn verdicts(project: &Project) -> (Vec<String>, String) {
    project.run(&["run", "run.yaml", "--log", "quiet"]);
    let text = project.succeeds(&["report", "runs/r"]);
    assert!(!text.contains("not looked at"), "{text}");
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("more: anabranch explain "));
    (names.map(str::to_string).collect(), text)
}

#[track_caller]
fn first_is(project: &Project, name: &str, words: &str) {
    let (names, text) = verdicts(project);
    assert_eq!(names.first().map(String::as_str), Some(name), "{text}");
    assert!(text.lines().nth(1).unwrap().contains(words), "{text}");
}

#[track_caller]
fn is_healthy(project: &Project) {
    let (names, text) = verdicts(project);
    assert_eq!(names, Vec::<String>::new(), "{text}");
    assert!(text.contains("nothing stands out"), "{text}");
}

fn project(spec: &str, config: &str, x: &[f32], targets: &[(&str, &[f32])]) -> Project {
    let project = Project::new(spec, config);
    let shape = [N, x.len() / N];
    let mut arrays: Vec<(&str, &[usize], &[f32])> = vec![("x", &shape, x)];
    arrays.extend(targets.iter().map(|(name, values)| (*name, &[N][..], *values)));
    project.arrays("data.npz", &arrays);
    project
}

fn regression(lr: &str, config: &str, change: impl Fn(&mut Rows)) -> Project {
    let mut rows = Rows::new(1);
    change(&mut rows);
    project(&REGRESSION.replace("LR", lr), config, &rows.x, &[("y", &rows.value)])
}

fn classes(lr: &str, config: &str, change: impl Fn(&mut Rows)) -> Project {
    let mut rows = Rows::new(2);
    change(&mut rows);
    project(&CLASSES.replace("LR", lr), config, &rows.x, &[("y", &rows.class)])
}

fn two_heads(a: &str, b: &str, total: &str, config: &str) -> Project {
    let rows = Rows::new(3);
    let z: Vec<f32> = rows.x.chunks(COLUMNS).map(|x| x[0] + 0.4 * x[1] + 0.3).collect();
    let spec = TWO_HEADS.replace("A\n", &format!("{a}\n")).replace("= B", &format!("= {b}")).replace("TOTAL", total);
    project(&spec, config, &rows.x, &[("y", &rows.value), ("z", &z)])
}

fn observed() -> String {
    format!("{CONFIG}observe: [weights, norms, cosines]\n")
}

#[test]
fn runs_that_are_well_have_no_verdict() {
    is_healthy(&regression("0.01", CONFIG, |_| {}));
    is_healthy(&classes("0.01", CONFIG, |_| {}));
    is_healthy(&two_heads("square(y - near)", "square(z - far)", "a + b", &observed()));
    is_healthy(&two_heads("square(y - near)", "square(z - far)", "uncertainty(a, b)", CONFIG));
    // Some labels are missing, and enough are there.
    let mut rows = Rows::new(4);
    rows.value.iter_mut().step_by(3).for_each(|value| *value = f32::NAN);
    let spec = REGRESSION.replace("LR", "0.01").replace("y: f32[batch]", "y: f32[batch]?");
    is_healthy(&project(&spec, CONFIG, &rows.x, &[("y", &rows.value)]));
}

#[test]
fn a_learning_rate_that_is_too_high_is_named() {
    first_is(&regression("3", CONFIG, |_| {}), "learning-rate", "the learning rate is too high");
    first_is(&classes("10", CONFIG, |_| {}), "learning-rate", "the learning rate is too high");
    let diverges = regression("1", CONFIG, |_| {});
    diverges.write("model.anb", &REGRESSION.replace("tanh", "relu").replace("adam(lr=LR)", "sgd(lr=20)"));
    first_is(&diverges, "E0607", "the learning rate is too high");
}

#[test]
fn a_learning_rate_that_is_too_low_is_named() {
    first_is(&regression("0.000001", CONFIG, |_| {}), "never-learned", "learning rate is too small");
}

#[test]
fn labels_that_are_not_those_of_their_rows_are_named() {
    first_is(&classes("0.003", CONFIG, |rows| Numbers(9).shuffle(&mut rows.class)), "unrelated-labels", "shuffled");
    first_is(&regression("0.003", CONFIG, |rows| Numbers(9).shuffle(&mut rows.value)), "unrelated-labels", "shuffled");
}

#[test]
fn a_column_that_tells_the_target_is_named() {
    let leak = |rows: &mut Rows| {
        let class = rows.class.clone();
        rows.x.chunks_mut(COLUMNS).zip(class).for_each(|(x, class)| x[4] = 3.0 - 2.0 * class);
    };
    first_is(&classes("0.01", CONFIG, leak), "leak", "column 4 of `x` tells `y`");
    let leak = |rows: &mut Rows| {
        let value = rows.value.clone();
        rows.x.chunks_mut(COLUMNS).zip(value).for_each(|(x, value)| x[1] = 0.1 * value);
    };
    first_is(&regression("0.01", CONFIG, leak), "leak", "column 1 of `x` tells `y`");
    let doubled = |rows: &mut Rows| {
        let (seen, unseen) = rows.x.split_at_mut(160 * COLUMNS);
        unseen.copy_from_slice(&seen[..80 * COLUMNS]);
        let (seen, unseen) = rows.value.split_at_mut(160);
        unseen.copy_from_slice(&seen[..80]);
    };
    first_is(&regression("0.01", CONFIG, doubled), "shared-rows", "100 % of the validation rows");
}

#[test]
fn a_weight_that_collapses_is_named() {
    // Trained by the total that it scales, it has 0 as its way down.
    let spec = "\
input  x: f32[batch, 5]
target y: f32[batch]
target z: f32[batch]
param log_weight: f32 = zeros
let hidden = x |> dense(units=12, activation=tanh)
output near = hidden |> dense(units=1) |> squeeze(axes=1)
output far = hidden |> dense(units=1) |> squeeze(axes=1)
loss a = square(y - near)
loss b = square(z - far)
@allow(weight-collapse)
loss total = exp(log_weight) * a + b
train { minimize total optimizer adam(lr=0.01) optimizer adam(lr=0.5) for log_weight }
";
    let project = two_heads("a", "b", "a", CONFIG);
    project.write("model.anb", spec);
    first_is(&project, "collapsed-weight", "`a`");
    // Unless it is silenced, the lint says so before.
    project.write("model.anb", &spec.replace("@allow(weight-collapse)\n", ""));
    project.write("run.yaml", &CONFIG.replace("runs/r", "runs/l"));
    project.run(&["run", "run.yaml", "--log", "quiet"]);
    let text = project.succeeds(&["report", "runs/l"]);
    assert!(text.contains("more: anabranch explain weight-collapse"), "{text}");
}

#[test]
fn gradients_that_drown_or_oppose_are_named() {
    let drowned = two_heads("200 * square(y - near)", "square(z - far)", "a + b", &observed());
    first_is(&drowned, "magnitude", "magnitude, not direction");
    let opposed = two_heads("square(y - near)", "square(y + near) + 0.01 * square(z - far)", "a + b", &observed());
    first_is(&opposed, "direction", "pull against each other");
}

#[test]
fn labels_that_are_missing_are_named() {
    let mut rows = Rows::new(5);
    rows.value.iter_mut().enumerate().filter(|(at, _)| at % 20 != 0).for_each(|(_, value)| *value = f32::NAN);
    let spec = REGRESSION.replace("LR", "0.01").replace("y: f32[batch]", "y: f32[batch]?");
    first_is(&project(&spec, CONFIG, &rows.x, &[("y", &rows.value)]), "few-labels", "`y` is missing in 95 %");
}

#[test]
fn overfitting_is_named() {
    let config = CONFIG.replace("rows: 0..160", "rows: 0..24").replace("epochs: 12", "epochs: 120");
    let noisy = |rows: &mut Rows| {
        let mut numbers = Numbers(7);
        rows.value.iter_mut().for_each(|value| *value += 1.2 * numbers.next());
    };
    let project = regression("0.03", &config, noisy);
    project.write("model.anb", &REGRESSION.replace("LR", "0.03").replace("units=12", "units=40"));
    first_is(&project, "overfitting", "overfits since epoch");
}

#[test]
fn without_the_data_the_curves_still_speak() {
    let project = regression("3", CONFIG, |_| {});
    project.run(&["run", "run.yaml", "--log", "quiet"]);
    std::fs::remove_file(project.path("data.npz")).unwrap();
    let text = project.succeeds(&["report", "runs/r"]);
    assert!(text.contains("not looked at: its data") && text.contains("learning-rate"), "{text}");
    let message = project.fails(&["report", "model.anb"]);
    assert!(message.contains("E0608"), "{message}");
}
