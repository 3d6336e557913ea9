//! The drawing as SVG, and as a page around it.

use super::layout::{Layout, lay_out};
use super::{Label, Passage, Picture};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Width of a character of the names' font at 13 px, and of the small one at 11.
const CHARACTER: f64 = 7.9;
const SMALL: f64 = 6.7;
const HEIGHT: f64 = 44.0;
const ROW: f64 = 92.0;
const MARGIN: f64 = 24.0;
/// Distance of the lines of two losses on one way.
const LANE: f64 = 4.0;
const LEGEND: f64 = 22.0;

/// Colours of losses, told apart with every kind of sight (Okabe, Ito 2008).
const COLOURS: &[&str] = &["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8f5fd0", "#9a6324"];

const STYLE: &str = "\
svg{--paper:#fff;--ink:#1f2328;--faint:#8c959f;--layer:#f6f8fa;--input:#ddf4ff;--output:#dafbe1;--target:#fff8c5;--loss:#ffebe9;--objective:#fbefff}
@media(prefers-color-scheme:dark){svg{--paper:#0d1117;--ink:#e6edf3;--faint:#7d8590;--layer:#161b22;--input:#0c2d4a;--output:#12361f;--target:#3b2f0b;--loss:#4a1c1a;--objective:#31194a}}
text{font-family:ui-monospace,Menlo,Consolas,monospace;fill:var(--ink)}
.small{font-size:11px;fill:var(--faint)}.name{font-size:13px}
rect{stroke:var(--faint)}.training{stroke-dasharray:5 3}
.flow{fill:none;stroke:var(--faint);stroke-width:1}
.gradient{fill:none;stroke-width:2}.stop{stroke:#d1242f;stroke-width:4;stroke-linecap:round}";

/// The text of an SVG image.
pub(super) fn image(picture: &Picture) -> String {
    let widths: Vec<f64> = picture.labels.iter().map(width).collect();
    let edges: BTreeSet<(usize, usize)> = picture.passages.keys().copied().collect();
    let layout = lay_out(&widths, &edges);
    let legend = legend(picture);
    let width = (layout.width + 2.0 * MARGIN).max(legend.width);
    let top = MARGIN + legend.height;
    let height = top + layout.n_rows as f64 * ROW - (ROW - HEIGHT) + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"the model's layers, losses and the gradients between them\">\n\
         <style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" style=\"fill:var(--paper);stroke:none\"/>\n"
    );
    svg += &legend.text;
    let paper = Paper { layout: &layout, top };
    for (((from, to), passage), bends) in picture.passages.iter().zip(&layout.bends) {
        paper.passage(&mut svg, picture, (*from, *to), passage, bends);
    }
    for (at, label) in picture.labels.iter().enumerate() {
        paper.label(&mut svg, at, label, widths[at]);
    }
    svg.push_str("</svg>\n");
    svg
}

/// A page that holds the image.
pub(super) fn page(picture: &Picture, title: &str) -> String {
    let title = escape(title);
    let image = image(picture);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title>\n<style>:root{{color-scheme:light dark}}body{{margin:0;font-family:system-ui,sans-serif}}h1{{font-size:1.1rem;margin:1rem}}\
         figure{{margin:0;overflow:auto}}</style></head>\n<body><h1>{title}</h1>\n<figure>\n{image}</figure></body></html>\n"
    )
}

fn width(label: &Label) -> f64 {
    let small =
        label.shape.chars().count() + if label.params.is_empty() { 0 } else { label.params.chars().count() + 3 };
    (label.name.chars().count() as f64 * CHARACTER).max(small as f64 * SMALL) + 20.0
}

/// What the colours mean.
struct Legend {
    text: String,
    width: f64,
    height: f64,
}

fn legend(picture: &Picture) -> Legend {
    let mut text = String::new();
    let mut width: f64 = 0.0;
    let mut y = MARGIN;
    let mut line = |y: f64, mark: String, words: &str| {
        let words = escape(words);
        let _ = writeln!(
            text,
            "{mark}<text class=\"small\" x=\"{:.0}\" y=\"{:.0}\">{words}</text>",
            MARGIN + 34.0,
            y + 4.0
        );
        width = width.max(2.0 * MARGIN + 34.0 + words.chars().count() as f64 * SMALL);
    };
    for (loss, name) in picture.losses.iter().enumerate() {
        let colour = COLOURS[loss % COLOURS.len()];
        let mark = format!("<path class=\"gradient\" stroke=\"{colour}\" d=\"M{MARGIN} {y} h26\"/>");
        line(y, mark, &format!("gradient of {name}, from the loss up"));
        y += LEGEND;
    }
    if picture.passages.values().any(|passage| !passage.stopped.is_empty()) {
        line(y, format!("<path class=\"stop\" d=\"M{:.0} {y} h16\"/>", MARGIN + 5.0), "a stop: the gradient ends here");
        y += LEGEND;
    }
    if picture.labels.iter().any(|label| label.is_training_only) {
        let mark = format!(
            "<rect class=\"training\" x=\"{MARGIN}\" y=\"{:.0}\" width=\"26\" height=\"12\" style=\"fill:none\"/>",
            y - 6.0
        );
        line(y, mark, "in training only");
        y += LEGEND;
    }
    Legend { text, width, height: y - MARGIN }
}

/// Where things stand.
struct Paper<'l> {
    layout: &'l Layout,
    top: f64,
}

impl Paper<'_> {
    fn x(&self, at: usize) -> f64 {
        MARGIN + self.layout.x[at]
    }

    fn y(&self, row: usize) -> f64 {
        self.top + row as f64 * ROW
    }

    fn label(&self, svg: &mut String, at: usize, label: &Label, width: f64) {
        let (x, y) = (self.x(at) - width / 2.0, self.y(self.layout.row[at]));
        let kind = label.kind.as_str();
        let training = if label.is_training_only { " class=\"training\"" } else { "" };
        let small = match label.params.as_str() {
            "" => label.shape.clone(),
            params => format!("{} · {params}", label.shape),
        };
        let (name, small) = (escape(&label.name), escape(&small));
        let middle = self.x(at);
        let _ = writeln!(
            svg,
            "<g><title>{kind} {name}: {small}</title><rect{training} x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" rx=\"6\" style=\"fill:var(--{kind})\"/>\
             <text class=\"name\" text-anchor=\"middle\" x=\"{middle:.1}\" y=\"{:.1}\">{name}</text>\
             <text class=\"small\" text-anchor=\"middle\" x=\"{middle:.1}\" y=\"{:.1}\">{small}</text></g>",
            y + 18.0,
            y + 35.0
        );
    }

    fn passage(&self, svg: &mut String, picture: &Picture, ends: (usize, usize), passage: &Passage, bends: &[f64]) {
        let (from, to) = ends;
        let first = self.layout.row[from];
        let mut points = vec![(self.x(from), self.y(first) + HEIGHT)];
        for (at, bend) in bends.iter().enumerate() {
            let y = self.y(first + 1 + at);
            points.extend([(MARGIN + bend, y), (MARGIN + bend, y + HEIGHT)]);
        }
        points.push((self.x(to), self.y(self.layout.row[to])));
        let shown = |loss: usize| &*picture.losses[loss];
        if passage.passing.is_empty() {
            let _ = writeln!(svg, "<path class=\"flow\" d=\"{}\"/>", curve(&points, 0.0));
        }
        let n_lanes = passage.passing.len() as f64;
        for (lane, loss) in passage.passing.iter().enumerate() {
            let shift = (lane as f64 - (n_lanes - 1.0) / 2.0) * LANE;
            let colour = COLOURS[loss % COLOURS.len()];
            let path = curve(&points, shift);
            let name = escape(shown(*loss));
            let _ = writeln!(
                svg,
                "<path class=\"gradient\" stroke=\"{colour}\" d=\"{path}\"><title>gradient of {name}</title></path>"
            );
        }
        if !passage.stopped.is_empty() {
            let names: Vec<&str> = passage.stopped.iter().map(|loss| shown(*loss)).collect();
            let (x, y) = (self.x(to), self.y(self.layout.row[to]) - 9.0);
            let names = escape(&names.join(", "));
            let _ = writeln!(
                svg,
                "<path class=\"stop\" d=\"M{:.1} {y:.1} h18\"><title>stop: no gradient of {names} passes</title></path>",
                x - 9.0
            );
        }
    }
}

/// A line through points that leaves and enters each straight down.
fn curve(points: &[(f64, f64)], shift: f64) -> String {
    let mut path = String::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let x = x + shift;
        if at == 0 {
            let _ = write!(path, "M{x:.1} {y:.1}");
            continue;
        }
        let (x_before, y_before) = (points[at - 1].0 + shift, points[at - 1].1);
        let middle = f64::midpoint(y_before, *y);
        let _ = write!(path, " C{x_before:.1} {middle:.1} {x:.1} {middle:.1} {x:.1} {y:.1}");
    }
    path
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
