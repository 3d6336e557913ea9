//! The gradient flow as an SVG drawing: params on the left, losses in the middle, objectives on the right.
//!
//! A gradient flows from right to left along solid lines; a dashed line that ends in a bar is a way that a `stop` closes.
//! On the way from an objective to a loss stands the loss's coefficient.

use super::flow::{Cell, FlowTable, flow};
use crate::ir::Role;
use crate::lower::Module;
use std::fmt::Write as _;

const ROW: usize = 34;
const BOX_HEIGHT: usize = 24;
const TOP: usize = 56;
/// Width of a character of the drawing's font at 12 px.
const CHARACTER: usize = 8;

/// One box.
struct Place {
    name: String,
    x: usize,
    y: usize,
    width: usize,
}

/// The drawing as a text.
pub fn flow_svg(module: &Module) -> String {
    let table = flow(module);
    let objectives: Vec<&str> = module
        .graph
        .outputs
        .iter()
        .filter(|output| output.role == Role::Objective)
        .map(|output| &*output.name)
        .collect();
    let rows: Vec<usize> = (0..table.rows.len()).filter(|i| !objectives.contains(&&*table.rows[*i].name)).collect();
    let params = column(16, table.params.iter().map(|name| &**name));
    let losses = column(right_of(&params, 150), rows.iter().map(|i| &*table.rows[*i].name));
    let label = table.coefficients.iter().map(|c| c.expression.chars().count()).max().unwrap_or(0).min(40);
    let goals = column(right_of(&losses, 90 + label * CHARACTER), objectives.iter().copied());
    let width = right_of(&goals, 16);
    let height = TOP + ROW * params.len().max(losses.len()).max(goals.len()) + 16;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"monospace\" font-size=\"12\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (title, places) in [("params", &params), ("losses", &losses), ("objectives", &goals)] {
        if let Some(first) = places.first() {
            let _ = writeln!(svg, "<text x=\"{}\" y=\"28\" fill=\"#666\">{title}</text>", first.x);
        }
    }
    for (place, row) in losses.iter().zip(&rows) {
        edges(&mut svg, &table, *row, place, &params);
    }
    for goal in &goals {
        goal_edges(&mut svg, &table, goal, (&params, &losses), &rows);
    }
    for (places, fill) in [(&params, "#e8f0fe"), (&losses, "#fef7e0"), (&goals, "#e6f4ea")] {
        boxes(&mut svg, places, fill);
    }
    svg.push_str("</svg>\n");
    svg
}

/// From an objective to its losses, with their coefficients, and to what it trains past them.
fn goal_edges(
    svg: &mut String,
    table: &FlowTable,
    goal: &Place,
    (params, losses): (&[Place], &[Place]),
    rows: &[usize],
) {
    let through = |name: &str| table.coefficients.iter().find(|c| *c.objective == *goal.name && *c.loss == *name);
    for loss in losses {
        if let Some(coefficient) = through(&loss.name) {
            edge(svg, goal, loss, Cell::Path, Some(&coefficient.expression));
        }
    }
    // What the objective trains itself, past its losses: their weights.
    if let Some(row) = table.rows.iter().position(|row| *row.name == *goal.name) {
        let own = |i: &usize| !rows.iter().any(|row| table.rows[*row].cells[*i] == Cell::Path);
        for i in (0..params.len()).filter(own) {
            edge(svg, goal, &params[i], table.rows[row].cells[i], None);
        }
    }
}

fn boxes(svg: &mut String, places: &[Place], fill: &str) {
    for place in places {
        let Place { name, x, y, width } = place;
        let (text_x, text_y) = (x + 8, y + 16);
        let name = escape(name);
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX_HEIGHT}\" rx=\"4\" fill=\"{fill}\" stroke=\"#555\"/>\
             <text x=\"{text_x}\" y=\"{text_y}\">{name}</text>"
        );
    }
}

fn column<'a>(x: usize, names: impl Iterator<Item = &'a str>) -> Vec<Place> {
    let names: Vec<&str> = names.collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0) * CHARACTER + 16;
    let place = |(i, name): (usize, &str)| Place { name: name.to_string(), x, y: TOP + ROW * i, width };
    names.into_iter().enumerate().map(place).collect()
}

fn right_of(places: &[Place], gap: usize) -> usize {
    places.first().map_or(16, |place| place.x + place.width + gap)
}

fn edges(svg: &mut String, table: &FlowTable, row: usize, loss: &Place, params: &[Place]) {
    for (param, cell) in params.iter().zip(&table.rows[row].cells) {
        edge(svg, loss, param, *cell, None);
    }
}

/// A line from the left side of `from` to the right side of `to`.
fn edge(svg: &mut String, from: &Place, to: &Place, cell: Cell, label: Option<&str>) {
    let (x1, y1) = (from.x, from.y + BOX_HEIGHT / 2);
    let (x2, y2) = (to.x + to.width, to.y + BOX_HEIGHT / 2);
    let middle = usize::midpoint(x1, x2);
    let path = format!("M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}");
    let _ = match cell {
        Cell::None => Ok(()),
        Cell::Path => {
            writeln!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"#1a73e8\" stroke-width=\"1.5\"/>")
        }
        Cell::Stopped => {
            let (bar, top, bottom) = (x2 + 6, y2 - 6, y2 + 6);
            writeln!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"#999\" stroke-dasharray=\"4 3\"/>\
                 <path d=\"M{bar} {top} L{bar} {bottom}\" stroke=\"#d93025\" stroke-width=\"3\"/>"
            )
        }
    };
    if let Some(label) = label {
        let (x, y) = (x2 + 10, y2 - 4);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" fill=\"#333\">{}</text>", escape(label));
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
