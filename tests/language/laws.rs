//! The laws of the library's combiners, each tried on many sets of gradients: what refutes it, or that nothing did. The table in
//! docs/combiners.md says what is found; what holds stands in the library's own text, where `anabranch std --combiner` reads it.
//!
//! Losses are linear in shared params, so that their gradients and values are what is fed. Each step is an epoch of its own, so that
//! what follows epochs moves too, and the params are put back before it: what one step leaves to the next are states and weights.

use super::verdicts::{call, combiners};
use crate::common::run::{Run, compile, each};
use anabranch::diag::SourceMap;
use anabranch::lower::{LAWS, Library, Options, laws_of, library_index};
use anabranch::syntax::ast::Definition;
use std::sync::Arc;

const WIDTH: usize = 4;
/// Steps of a trajectory: beyond the warm-up of every combiner.
const STEPS: usize = 7;
const TRIALS: usize = 3;

/// A batch row's losses: the value of each, and its gradient.
type Row = Vec<(f64, [f64; WIDTH])>;

/// A combiner with its losses, ready to step.
struct Lab {
    run: Run,
    k: usize,
}

/// Options by which a combiner does within a few steps what it does otherwise in thousands, and draws nothing.
fn options(name: &str) -> &'static [&'static str] {
    match name {
        "gradnorm_ratio" | "ntk" => &["every=1"],
        "pcgrad" | "gradvac" => &["order=\"fixed\""],
        "amortised" | "smoothed" => &["inner=upgrad"],
        _ => &[],
    }
}

impl Lab {
    /// None where it does not take so many losses.
    fn of(combiner: &Definition, k: usize) -> Option<Self> {
        let mut text = format!("param theta: f32[{WIDTH}] = zeros()\n");
        let names: Vec<String> = (0..k).map(|i| format!("l{i}")).collect();
        for (i, name) in names.iter().enumerate() {
            text += &format!("input g{i}: f32[batch, {WIDTH}]\ninput v{i}: f32[batch]\n");
            text += &format!("loss {name} = sum(theta * g{i}, axes=1) + v{i}\n");
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let total = call(combiner, &names, options(&combiner.name.name));
        let train = "train {\n    minimize total\n    optimizer sgd(lr=1) for theta\n    optimizer sgd(lr=0.025)\n}\n";
        let text = format!("{text}loss total = {total}\n{train}");
        let compiled = compile(&text, &[], &Options::default()).1.ok()?;
        Some(Self { run: Run::of(compiled), k })
    }

    /// The direction of the shared params in one step on some rows.
    fn step(&mut self, rows: &[Row]) -> Vec<f64> {
        for i in 0..self.k {
            let gradients: Vec<f64> = rows.iter().flat_map(|row| row[i].1).collect();
            let values: Vec<f64> = rows.iter().map(|row| row[i].0).collect();
            self.run.feed(&format!("g{i}"), &gradients);
            self.run.feed(&format!("v{i}"), &values);
            // What is read of the validation data is the same batch.
            self.run.feed(&format!("validation.g{i}"), &gradients);
            self.run.feed(&format!("validation.v{i}"), &values);
        }
        self.run.set_param("theta", &[0.0; WIDTH]);
        self.run.clock.epoch_end = true;
        self.run.clock.epoch = self.run.clock.step;
        self.run.step(rows.len());
        self.run.param("theta").iter().map(|x| -x).collect()
    }

    /// The directions of a trajectory from the beginning, each of one row thrice.
    fn steps(&mut self, rows: &[Row]) -> Vec<Vec<f64>> {
        self.run.restart();
        rows.iter().map(|row| self.step(&[row.clone(), row.clone(), row.clone()])).collect()
    }
}

/// Numbers that are the same on every run.
struct Draw(u64);

impl Draw {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn row(&mut self, k: usize) -> Row {
        let mut loss = || {
            // About normal, of a length that differs.
            let size = 0.3 + 1.5 * self.uniform();
            let gradient = [0; WIDTH].map(|_| size * (0..4).map(|_| self.uniform() - 0.5).sum::<f64>());
            (0.5 + 1.5 * self.uniform(), gradient)
        };
        (0..k).map(|_| loss()).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn length(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// How far two directions are from each other, relative to the longer one.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    let away: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    length(&away) / length(a).max(length(b)).max(1e-12)
}

fn unit(a: &[f64]) -> Vec<f64> {
    a.iter().map(|x| x / length(a).max(1e-12)).collect()
}

/// What refutes a law.
type Refuted = Option<String>;

fn trajectories(k: usize) -> impl Iterator<Item = Vec<Row>> {
    (0..TRIALS).map(move |trial| {
        let mut draw = Draw(1 + trial as u64);
        (0..STEPS).map(|_| draw.row(k)).collect()
    })
}

/// The same losses in another order give the same direction.
fn permutation(lab: &mut Lab) -> Refuted {
    let mut worst: f64 = 0.0;
    for rows in trajectories(lab.k) {
        let turned: Vec<Row> = rows
            .iter()
            .map(|row| {
                let mut row = row.clone();
                row.rotate_left(1);
                row
            })
            .collect();
        let (plain, turned) = (lab.steps(&rows), lab.steps(&turned));
        worst = plain.iter().zip(&turned).map(|(a, b)| apart(a, b)).fold(worst, f64::max);
    }
    (worst > 1e-5).then(|| format!("the direction changes by {:.0} %", 100.0 * worst))
}

/// A loss a thousand times as large leaves the way of the direction as it is.
fn scale(lab: &mut Lab) -> Refuted {
    let mut worst: f64 = 0.0;
    for rows in trajectories(lab.k) {
        let larger: Vec<Row> = rows
            .iter()
            .map(|row| {
                let mut row = row.clone();
                row[1] = (1000.0 * row[1].0, row[1].1.map(|x| 1000.0 * x));
                row
            })
            .collect();
        let (plain, larger) = (lab.steps(&rows), lab.steps(&larger));
        worst = plain
            .iter()
            .zip(&larger)
            .map(|(a, b)| dot(&unit(a), &unit(b)).clamp(-1.0, 1.0).acos())
            .fold(worst, f64::max);
    }
    (worst > 1e-3).then(|| format!("it turns by {:.0}°", worst.to_degrees().ceil()))
}

/// Losses that pull against each other, more and more; no gradient is made of the others.
fn conflicting(k: usize) -> impl Iterator<Item = Row> {
    (0..24u64).map(move |seed| {
        let mut row = Draw(1000 + seed).row(k);
        let shared = [0.0, 0.4, 0.7][seed as usize % 3];
        // In as many dimensions as there are losses.
        row.iter_mut().for_each(|(_, gradient)| gradient[k..].fill(0.0));
        for at in 0..k {
            let mean = row.iter().map(|(_, gradient)| gradient[at]).sum::<f64>() / k as f64;
            row.iter_mut().for_each(|(_, gradient)| gradient[at] -= shared * mean);
        }
        row
    })
}

/// No loss rises along the direction.
fn conflict(lab: &mut Lab) -> Refuted {
    let mut worst: f64 = 0.0;
    let paths: Vec<Vec<Row>> = trajectories(lab.k).chain(conflicting(lab.k).map(|row| vec![row])).collect();
    for rows in paths {
        for (row, direction) in rows.iter().zip(lab.steps(&rows)) {
            let longest = row.iter().map(|(_, gradient)| length(gradient)).fold(0.0, f64::max);
            for (_, gradient) in row {
                // Beside a direction of nothing any angle is chance.
                let scale = length(gradient) * length(&direction).max(1e-3 * longest);
                worst = worst.min(dot(gradient, &direction) / scale.max(1e-12));
            }
        }
    }
    (worst < -1e-4).then(|| format!("a loss rises, at a cosine of {worst:.3}"))
}

/// It stands still only where a sum of all gradients with positive weights is 0. In none of these sets is there one.
fn stationary(lab: &mut Lab) -> Refuted {
    let mut sets: Vec<(&str, Row)> = Vec::new();
    for seed in 0..3 {
        let mut draw = Draw(100 + seed);
        let mut zero = draw.row(lab.k);
        zero[0].1 = [0.0; WIDTH];
        sets.push(("a gradient is 0", zero));
        let mut opposite = draw.row(lab.k);
        if lab.k > 2 {
            opposite[1].1 = opposite[0].1.map(|x| -x);
            sets.push(("two gradients are opposite and the others are not", opposite));
        }
        // All within a half-plane: a direction that every loss falls along is there.
        let mut plane = draw.row(lab.k);
        for loss in &mut plane {
            loss.1 = [0.2 + draw.uniform(), 2.0 * draw.uniform() - 1.0, 0.0, 0.0];
        }
        sets.push(("all losses could fall", plane));
    }
    for seed in 0..3 {
        // By gradients that are apart the weights are seen: where one is negative, its loss can be given the gradient that undoes the others,
        // and then all could fall along these.
        let mut row = Draw(200 + seed).row(lab.k);
        for (at, (value, gradient)) in row.iter_mut().enumerate() {
            *value = if at as u64 == seed { 2.0 } else { 0.5 };
            *gradient = [0.0; WIDTH];
            gradient[at] = 1.0;
        }
        let weights = lab.steps(std::slice::from_ref(&row))[0].clone();
        if let Some(negative) = (0..lab.k).find(|at| weights[*at] < -1e-3) {
            row[negative].1 = [0.0; WIDTH];
            for at in (0..lab.k).filter(|at| *at != negative) {
                row[negative].1[at] = -weights[at] / weights[negative];
            }
            if (0..lab.k).all(|at| at == negative || weights[at] > 1e-3) {
                sets.push(("all losses could fall", row));
            }
        }
    }
    for (what, row) in sets {
        let longest = row.iter().map(|(_, gradient)| length(gradient)).fold(0.0, f64::max);
        let directions = lab.steps(&[row]);
        if length(&directions[0]) <= 1e-5 * longest {
            return Some(format!("it stands still where {what}"));
        }
    }
    None
}

/// The direction of a batch is the mean of those of its halves, so that accumulation over parts of a batch changes nothing.
fn accumulation(lab: &mut Lab) -> Refuted {
    let mut worst: f64 = 0.0;
    for rows in trajectories(lab.k) {
        lab.steps(&rows[..STEPS - 2]);
        let (one, other) = (&rows[STEPS - 2], &rows[STEPS - 1]);
        // Any third of the rows has both.
        let whole: Vec<Row> = [one, one, one, other, other, other].into_iter().cloned().collect();
        let before = lab.run.saved();
        let mut of = |rows: &[Row]| {
            lab.run.restore(&before);
            lab.step(rows)
        };
        let (whole, one, other) = (of(&whole), of(&whole[..3]), of(&whole[3..]));
        let mean: Vec<f64> = one.iter().zip(&other).map(|(a, b)| 0.5 * (a + b)).collect();
        worst = worst.max(apart(&whole, &mean));
    }
    (worst > 1e-6).then(|| format!("differs by {:.0} %", (100.0 * worst).ceil()))
}

/// What is found of a combiner.
struct Found {
    name: String,
    /// in the order of [`LAWS`]
    laws: Vec<Refuted>,
    /// the first directions of two losses, in several draws
    of_two: Option<Vec<Vec<f64>>>,
}

fn found(combiner: &Definition) -> Found {
    let name = combiner.name.name.to_string();
    let is_variadic = combiner.parameters.iter().any(|parameter| parameter.variadic);
    let k = if name == "krum" { 4 } else { 2 + usize::from(is_variadic) };
    let mut lab = Lab::of(combiner, k).unwrap_or_else(|| panic!("`{name}` is not to be had"));
    let laws: [fn(&mut Lab) -> Refuted; 5] = [permutation, scale, conflict, stationary, accumulation];
    assert_eq!(laws.len(), LAWS.len());
    let laws = laws.into_iter().map(|law| law(&mut lab)).collect();
    let of_two = Lab::of(combiner, 2).map(|mut lab| conflicting(2).map(|row| lab.steps(&[row])[0].clone()).collect());
    Found { name, laws, of_two }
}

/// A combiner whose direction of two losses, from the start, is the same, else a fixed multiple, else along it: the earliest in the library.
fn equal_of_two(of: &Found, all: &[Found]) -> String {
    let Some(own) = &of.of_two else { return "takes more".to_string() };
    let mut best: (u8, String) = (3, String::new());
    for other in all.iter().take_while(|other| other.name != of.name) {
        let Some(theirs) = &other.of_two else { continue };
        if !own.iter().zip(theirs).all(|(a, b)| apart(&unit(a), &unit(b)) < 1e-6) {
            continue;
        }
        let factors: Vec<f64> = own.iter().zip(theirs).map(|(a, b)| length(a) / length(b)).collect();
        let is_fixed = factors.iter().all(|factor| (factor / factors[0] - 1.0).abs() < 1e-6);
        let (rank, text) = match (is_fixed, factors[0]) {
            (false, _) => (2, format!("along `{}`", other.name)),
            (true, factor) if (factor - 1.0).abs() < 1e-6 => (0, format!("`{}`", other.name)),
            (true, factor) => (1, format!("{} `{}`", (1e4 * factor).round() / 1e4, other.name)),
        };
        if rank < best.0 {
            best = (rank, text);
        }
    }
    best.1
}

const BEGINS: &str = "<!-- laws: generated -->\n\n";
const ENDS: &str = "\n<!-- laws end -->";

fn table(all: &[Found]) -> String {
    let mut table =
        format!("| combiner | {} | of two losses |\n|{}\n", LAWS.join(" | "), "---|".repeat(LAWS.len() + 2));
    for found in all {
        let cells =
            found.laws.iter().map(|refuted| refuted.as_ref().map_or("holds".to_string(), |why| format!("no: {why}")));
        let cells: Vec<String> = cells.collect();
        table += &format!("| `{}` | {} | {} |\n", found.name, cells.join(" | "), equal_of_two(found, all));
    }
    table
}

/// What the library says of each combiner is what holds, and the table of docs/combiners.md says what is found.
#[test]
fn the_laws_of_each_combiner_are_in_the_library_and_in_the_table() {
    let combiners: Vec<Arc<Definition>> = combiners();
    let all = each(&combiners, |combiner| found(combiner));
    let index = library_index(&Library::whole(&mut SourceMap::default()).expect("the library is whole"));
    let mut wrong = Vec::new();
    for found in &all {
        let holding: Vec<&str> =
            LAWS.iter().zip(&found.laws).filter(|(_, refuted)| refuted.is_none()).map(|(law, _)| *law).collect();
        let entry = index.iter().find(|entry| *entry.name == *found.name).expect("it is in the library");
        let said: Vec<&str> = laws_of(entry).collect();
        if said != holding {
            let holding = if holding.is_empty() { "none".to_string() } else { holding.join(", ") };
            wrong.push(format!("{}: Laws: {holding}.", found.name));
        }
    }
    let table = table(&all);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/combiners.md");
    let page = std::fs::read_to_string(path).expect("the page is readable");
    let (before, rest) = page.split_once(BEGINS).expect("the table has its place");
    let (written, after) = rest.split_once(ENDS).expect("the table has its end");
    if std::env::var_os("UPDATE_DOCS").is_some() && written != table {
        std::fs::write(path, format!("{before}{BEGINS}{table}{ENDS}{after}"))
            .expect("docs/combiners.md can be written");
    } else {
        assert!(written == table, "docs/combiners.md is stale: UPDATE_DOCS=1 cargo test --test language laws\n{table}");
    }
    assert!(wrong.is_empty(), "the library's text is to say:\n{}", wrong.join("\n"));
}

/// A law that does not hold is refuted: the plain sum raises losses that conflict, the shortest vector stands still at a gradient of
/// 0, and what weighs by position depends on it.
#[test]
fn broken_laws_are_seen() {
    let combiners = combiners();
    let lab = |name: &str| {
        let combiner = combiners.iter().find(|combiner| *combiner.name.name == *name).expect("it is in the library");
        Lab::of(combiner, 3).expect("it takes three")
    };
    assert!(conflict(&mut lab("unweighted")).is_some() && conflict(&mut lab("upgrad")).is_none());
    assert!(stationary(&mut lab("mgda")).is_some() && stationary(&mut lab("unweighted")).is_none());
    assert!(permutation(&mut lab("weighted")).is_some() && permutation(&mut lab("average")).is_none());
    assert!(scale(&mut lab("average")).is_some() && scale(&mut lab("log_sum")).is_none());
    assert!(accumulation(&mut lab("log_sum")).is_some() && accumulation(&mut lab("average")).is_none());
}
