//! One picture for the front page: the time of a pair of churn under each way.

use std::path::Path;

use plimsoll_benches::row::Row;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::stats::spread;
use crate::table::digits;

/// Ways of the chart: those over the system's allocator first, then the others.
const WAYS: [(&str, &str); 11] = [
    ("system", "bare"),
    ("plimsoll idle", "Plimsoll, idle"),
    ("plimsoll sampled", "Plimsoll, sampled"),
    ("plimsoll exact", "Plimsoll, exact"),
    ("tracking-allocator off", "tracking-allocator, off"),
    ("heaptrack exact", "heaptrack"),
    ("bytehound exact", "bytehound"),
    ("dhat exact", "dhat"),
    ("jemalloc", "jemalloc, bare"),
    ("jemalloc sampled", "jemalloc, prof"),
    ("plimsoll/jemalloc sampled", "Plimsoll over jemalloc, sampled"),
];

// Colours that can be read on white and on black; there is no background.
const TEXT: RGBColor = RGBColor(128, 134, 142);
const PLIMSOLL: RGBColor = RGBColor(46, 148, 133);
const BARE: RGBColor = RGBColor(128, 134, 142);
const PEER: RGBColor = RGBColor(205, 128, 60);

const WIDTH: u32 = 760;
const BAR: u32 = 26;
/// The least of the scale, in nanoseconds.
const LEAST: f64 = 4.0;

fn colour(way: &str) -> RGBColor {
    match way {
        _ if way.starts_with("plimsoll") => PLIMSOLL,
        _ if way.contains(' ') => PEER,
        _ => BARE,
    }
}

/// Median nanoseconds of a pair, for the ways that were measured.
fn bars(rows: &[Row]) -> Vec<(&'static str, &'static str, f64)> {
    let median = |way: &str| {
        let of_way = rows.iter().filter(|row| row.workload == "churn" && row.way() == way);
        spread(of_way.map(|row| row.own_ns as f64 / row.units as f64)).map(|spread| spread.median)
    };
    WAYS.iter().filter_map(|(way, label)| Some((*way, *label, median(way)?))).collect()
}

/// Draws `churn` of `rows` into the SVG file `path`.
pub(crate) fn draw(rows: &[Row], path: &Path) -> Result<(), String> {
    let bars = bars(rows);
    if bars.is_empty() {
        return Err("these raw runs have no churn; run `costs table churn` first".into());
    }
    picture(&bars, path).map_err(|error| format!("cannot draw {}: {error}", path.display()))
}

fn picture(bars: &[(&str, &str, f64)], path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let height = BAR * bars.len() as u32 + 76;
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    let most = bars.iter().map(|(.., value)| *value).fold(LEAST, f64::max) * 2.0;
    let rows = bars.len() as f64;
    let mut chart = ChartBuilder::on(&area)
        .caption("Nanoseconds for one allocation and its free (16–512 B), log scale", ("sans-serif", 15, &TEXT))
        .margin(6)
        .x_label_area_size(28)
        .y_label_area_size(220)
        .build_cartesian_2d((LEAST..most).log_scale(), 0.0..rows)?;
    let text = ("sans-serif", 13, &TEXT).into_text_style(&area);
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(TRANSPARENT)
        .bold_line_style(TEXT.mix(0.3))
        .axis_style(TEXT)
        .label_style(text.clone())
        .x_label_formatter(&|value| format!("{value:.0} ns"))
        .draw()?;
    for (position, (way, label, value)) in bars.iter().enumerate() {
        // The first one stands at the top.
        let (bottom, top) = (rows - position as f64 - 0.85, rows - position as f64 - 0.15);
        let middle = f64::midpoint(bottom, top);
        chart.draw_series([Rectangle::new([(LEAST, bottom), (*value, top)], colour(way).filled())])?;
        let left = text.clone().pos(Pos::new(HPos::Left, VPos::Center));
        let right = text.clone().pos(Pos::new(HPos::Right, VPos::Center));
        let number = EmptyElement::at((*value, middle)) + Text::new(digits(*value), (6, 0), left);
        let name = EmptyElement::at((LEAST, middle)) + Text::new((*label).to_owned(), (-8, 0), right);
        chart.draw_series([number])?;
        chart.plotting_area().draw(&name)?;
    }
    area.present()?;
    Ok(())
}
