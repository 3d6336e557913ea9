//! The data of new projects: made up, small, and the same each time.

use super::Template;
use crate::cli::files::write_text;
use crate::data::{Existing, NumbersRef, TensorRef, write_npz_where};
use crate::diag::Diagnostic;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt::Write as _;
use std::path::Path;

/// Writes the data of a template into a folder.
///
/// # Errors
/// E0605.
pub(super) fn write(template: Template, folder: &Path) -> Result<(), Diagnostic> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let text = |name: &str, text: &str| write_text(&folder.join(name), Existing::Keep, text);
    match template {
        Template::TwoHeads => text("data.csv", &samples(&mut random)),
        Template::Tabular => text("data.csv", &flats(&mut random)),
        Template::Text => {
            text("words.txt", &(WORDS.join("\n") + "\n"))?;
            text("data.csv", &sentences(&mut random))
        }
        Template::Images | Template::Vae => images(&mut random, &folder.join("data.npz")),
        Template::Pinn => points(&folder.join("data.npz")),
    }
}

/// About normal: the sum of twelve uniform numbers.
fn normal(random: &mut ChaCha8Rng) -> f32 {
    (0..12).map(|_| random.random_range(0.0..1.0_f32)).sum::<f32>() - 6.0
}

/// Three kinds around centres of their own; the weight depends on the kind and on two features.
fn samples(random: &mut ChaCha8Rng) -> String {
    const CENTRES: [[f32; 6]; 3] =
        [[1.0, 0.0, -1.0, 0.5, 0.0, 0.0], [-1.0, 1.0, 0.0, 0.0, 0.5, 0.0], [0.0, -1.0, 1.0, 0.0, 0.0, 0.5]];
    let mut text = String::from("f0,f1,f2,f3,f4,f5,kind,weight\n");
    for _ in 0..600 {
        let kind = random.random_range(0..3_usize);
        let features = CENTRES[kind].map(|centre| centre + 0.7 * normal(random));
        let weight = 2.0 + kind as f32 + 0.5 * features[3] - 0.3 * features[4] * features[5] + 0.1 * normal(random);
        text.extend(features.iter().map(|feature| format!("{feature:.4},")));
        let _ = writeln!(text, "{kind},{weight:.4}");
    }
    text
}

fn flats(random: &mut ChaCha8Rng) -> String {
    let mut text = String::from("id,area,rooms,floor,age,district,price\n");
    for id in 1..=800 {
        let area = random.random_range(25.0..140.0_f32);
        let rooms = (area / 28.0 + 0.5 * normal(random)).round().clamp(1.0, 6.0);
        let floor = random.random_range(0..9);
        let age = random.random_range(0..90);
        let district = random.random_range(0..8);
        let place = [0.8, 1.0, 1.3, 0.9, 1.6, 1.1, 0.7, 1.2][district as usize];
        let price = place * (0.5 + 0.035 * area) - 0.008 * age as f32 + 0.02 * floor as f32 + 0.15 * normal(random);
        let _ = writeln!(text, "{id},{area:.1},{rooms},{floor},{age},{district},{price:.4}");
    }
    text
}

/// The side of an image.
const SIDE: usize = 12;

/// Crosses, rings and bars of several places and sizes, with some noise.
fn images(random: &mut ChaCha8Rng, path: &Path) -> Result<(), Diagnostic> {
    const COUNT: usize = 300;
    let (mut pixels, mut shapes) = (Vec::with_capacity(COUNT * SIDE * SIDE), Vec::with_capacity(COUNT));
    for _ in 0..COUNT {
        let shape = random.random_range(0..3);
        let (row, column) = (random.random_range(4.0..7.0_f32), random.random_range(4.0..7.0_f32));
        let size = random.random_range(2.5..4.0_f32);
        for at in 0..SIDE * SIDE {
            let (y, x) = ((at / SIDE) as f32 - row, (at % SIDE) as f32 - column);
            let off = match shape {
                0 => y.abs().min(x.abs()).max(y.abs().max(x.abs()) - size),
                1 => (y.hypot(x) - size).abs(),
                _ => y.abs().max(x.abs() - size),
            };
            let noise = random.random_range(0.0..0.15_f32);
            pixels.push(((1.4 - off).clamp(0.0, 1.0) * 0.85 + noise).clamp(0.0, 1.0));
        }
        shapes.push(shape);
    }
    let image = TensorRef { name: "image", shape: &[COUNT, SIDE, SIDE, 1], values: NumbersRef::F32(&pixels) };
    let shape = TensorRef { name: "shape", shape: &[COUNT], values: NumbersRef::I32(&shapes) };
    write_npz_where(path, Existing::Keep, &[image, shape])
}

/// Points of the interval, and others with the solution there.
fn points(path: &Path) -> Result<(), Diagnostic> {
    let spread = |n: usize, shift: f32| (0..n).map(|at| (at as f32 + shift) / n as f32).collect::<Vec<_>>();
    let (train, validation) = (spread(192, 0.5), spread(101, 0.0));
    let exact: Vec<f32> = validation.iter().map(|x| (std::f32::consts::PI * x).sin()).collect();
    let unknown = vec![f32::NAN; train.len()];
    let tensor = |name, shape, values| TensorRef { name, shape, values: NumbersRef::F32(values) };
    let tensors = [
        tensor("train/point", &[192, 1], &train),
        tensor("train/exact", &[192], &unknown),
        tensor("validation/point", &[101, 1], &validation),
        tensor("validation/exact", &[101], &exact),
    ];
    write_npz_where(path, Existing::Keep, &tensors)
}

/// The words of the sentences; the first stands for none.
const WORDS: [&str; 32] = [
    "(padding)",
    "the",
    "a",
    "was",
    "is",
    "not",
    "never",
    "very",
    "quite",
    "and",
    "but",
    "food",
    "service",
    "room",
    "view",
    "staff",
    "music",
    "place",
    "good",
    "great",
    "kind",
    "lovely",
    "fresh",
    "bright",
    "bad",
    "awful",
    "rude",
    "dull",
    "stale",
    "dark",
    "again",
    "today",
];

/// `the food was not very good`, and whether that is kind: what stands behind a `but` counts.
fn sentences(random: &mut ChaCha8Rng) -> String {
    let id = |word: &str| WORDS.iter().position(|other| *other == word).unwrap_or(0);
    let mut text = (0..10).map(|at| format!("w{at},")).collect::<String>() + "kind\n";
    for _ in 0..500 {
        let mut words: Vec<usize> = Vec::new();
        let mut is_kind = false;
        for clause in 0..random.random_range(1..=2) {
            if clause > 0 {
                words.push(id("but"));
            }
            words.extend([id("the"), random.random_range(11..=17), id("was")]);
            let is_negated = words.len() < 9 && random.random_range(0..3) == 0;
            if is_negated {
                words.push(id("not"));
            }
            let word = random.random_range(18..=29_usize);
            is_kind = (word < 24) != is_negated;
            words.push(word);
        }
        words.resize(10, 0);
        text.extend(words.iter().map(|word| format!("{word},")));
        let _ = writeln!(text, "{}", i32::from(is_kind));
    }
    text
}
