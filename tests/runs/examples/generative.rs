//! What is drawn is held against the data it should resemble.

use super::support::{Example, mean, rows, squared_distance};
use anabranch::data::Dataset;

const PIXELS: usize = 64;

/// Images as parts of full ink.
fn ink(data: &Dataset) -> Vec<Vec<f64>> {
    let images = rows(&data.fields["image"].values, PIXELS);
    images.into_iter().map(|image| image.into_iter().map(|pixel| pixel / 16.0).collect()).collect()
}

fn mean_image<'a>(images: impl Iterator<Item = &'a Vec<f64>>) -> Vec<f64> {
    let mut sum = vec![0.0; PIXELS];
    let mut n = 0.0;
    for image in images {
        sum.iter_mut().zip(image).for_each(|(sum, pixel)| *sum += pixel);
        n += 1.0;
    }
    sum.into_iter().map(|sum| sum / n).collect()
}

/// The nearest centre and its squared distance.
fn nearest(x: &[f64], centres: &[Vec<f64>]) -> (usize, f64) {
    let distances = centres.iter().map(|centre| squared_distance(x, centre)).enumerate();
    distances.min_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap()
}

/// The share of each centre among points, given the nearest centre of each.
fn shares(nearest: impl Iterator<Item = usize>, n_points: usize, n_centres: usize) -> Vec<f64> {
    let mut shares = vec![0.0; n_centres];
    nearest.for_each(|at| shares[at] += 1.0 / n_points as f64);
    shares
}

/// The labels are not the autoencoder's to see, so they are read from the table.
fn labels() -> Vec<usize> {
    let table = include_str!("../../../examples/digits/digits.csv");
    table.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().trim().parse().unwrap()).collect()
}

#[test]
fn the_autoencoder_draws_what_it_sees_and_digits_of_its_own() {
    let example = Example::new("vae");
    let (run, data) = (example.trained(), example.data());
    let (seen, unseen) = (ink(&data.train), ink(data.test.as_ref().unwrap()));

    let drawings = example.predicted(&run, data.test.as_ref().unwrap(), "drawing");
    let error = mean(rows(&drawings.values, PIXELS).iter().zip(&unseen).map(|(a, b)| squared_distance(a, b)));
    let mean_seen = mean_image(seen.iter());
    let error_of_mean = mean(unseen.iter().map(|image| squared_distance(image, &mean_seen)));
    assert!(error_of_mean / error >= 3.5, "{error} for the drawings, {error_of_mean} for the mean image");

    let samples = rows(&example.predicted(&run, &data.train, "sample").values, PIXELS);
    let labels = labels();
    let of_class = |class| seen.iter().zip(&labels).filter(move |(_, label)| **label == class).map(|(image, _)| image);
    let means: Vec<Vec<f64>> = (0..10).map(|class| mean_image(of_class(class))).collect();
    // A sample is recognised as a digit when it is as near to some class's mean as digits that people wrote.
    let distance = |images: &[Vec<f64>]| mean(images.iter().map(|image| nearest(image, &means).1));
    let (of_samples, of_digits) = (distance(&samples), distance(&unseen));
    assert!(of_samples <= of_digits, "{of_samples} from the nearest class, real digits {of_digits}");
    let shares = shares(samples.iter().map(|sample| nearest(sample, &means).0), samples.len(), 10);
    assert!(shares.iter().all(|share| *share >= 0.04), "digits among the samples: {shares:?}");
    // They are not one picture over and over: they vary as much as digits do, within a factor of two.
    let spread = |images: &[Vec<f64>]| {
        let centre = mean_image(images.iter());
        mean(images.iter().map(|image| squared_distance(image, &centre)))
    };
    assert!(spread(&samples) >= 0.5 * spread(&seen), "{} against {}", spread(&samples), spread(&seen));
}

#[test]
fn the_generator_covers_the_ring() {
    let example = Example::new("gan");
    let (run, data) = (example.trained(), example.data());
    let centres: Vec<Vec<f64>> = (0..8)
        .map(|at| f64::from(at) * std::f64::consts::TAU / 8.0)
        .map(|angle| vec![angle.cos(), angle.sin()])
        .collect();
    let (drawn, real) =
        (rows(&example.predicted(&run, &data.train, "sample").values, 2), rows(&data.train.fields["point"].values, 2));
    // Four of the clusters' deviations around a centre; their distance from one another is fifteen.
    let near: Vec<usize> =
        drawn.iter().map(|point| nearest(point, &centres)).filter(|(_, d)| *d <= 0.04).map(|(at, _)| at).collect();
    assert!(near.len() as f64 / drawn.len() as f64 >= 0.85, "{} of {} are near a centre", near.len(), drawn.len());
    let shares = shares(near.iter().copied(), drawn.len(), 8);
    assert!(shares.iter().all(|share| (0.06..0.19).contains(share)), "an eighth each, less what strays: {shares:?}");
    for axis in 0..2 {
        let moments = |points: &[Vec<f64>]| {
            let first = mean(points.iter().map(|point| point[axis]));
            (first, mean(points.iter().map(|point| (point[axis] - first).powi(2))))
        };
        let ((mean_drawn, variance_drawn), (mean_real, variance_real)) = (moments(&drawn), moments(&real));
        assert!((mean_drawn - mean_real).abs() < 0.1, "mean {mean_drawn}, in the data {mean_real}");
        assert!((variance_drawn / variance_real - 1.0).abs() < 0.1, "{variance_drawn}, in the data {variance_real}");
    }
}
