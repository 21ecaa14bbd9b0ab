//! Draws the rates of a report as SVG: a bar for each variant, with a whisker from the least to the
//! most that a round gave.

use std::fmt::Write;

use crate::report::{Report, Row};

const WIDTH: f64 = 900.0;
const NAME_WIDTH: f64 = 260.0;
const VALUE_WIDTH: f64 = 190.0;
const ROW_HEIGHT: f64 = 28.0;
const HEAD_HEIGHT: f64 = 48.0;

/// The plot of a report; without rows, of nothing but its title.
pub fn draw(scenario: &str, report: &Report) -> String {
    let height = report.rows.iter().fold(HEAD_HEIGHT + 12.0, |height, _| height + ROW_HEIGHT);
    let most =
        report.rows.iter().flat_map(|row| row.values("rate")).fold(1.0, |a, b| f64::max(a, *b));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"26\" font-size=\"16\">{}: {} a second</text>\n",
        escaped(scenario),
        report.counted.name()
    );
    let mut top = HEAD_HEIGHT;
    for row in &report.rows {
        draw_row(&mut svg, report, row, top, most);
        top += ROW_HEIGHT;
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_row(svg: &mut String, report: &Report, row: &Row, top: f64, most: f64) {
    let Some(rate) = row.summary("rate") else { return };
    let scale = (WIDTH - NAME_WIDTH - VALUE_WIDTH) / most;
    let (bar, middle, baseline) = (rate.median * scale, top + 10.0, top + 15.0);
    let (from, to) = (NAME_WIDTH + rate.min * scale, NAME_WIDTH + rate.max * scale);
    let colour = if row.baseline.is_some() { "#2f6f9f" } else { "#9aa7b0" };
    let ratio =
        report.ratio(row).map_or_else(String::new, |ratio| format!(" ({:.2}×)", ratio.median));
    let mut put = |line: String| writeln!(svg, "{line}").unwrap();
    put(format!("<text x=\"12\" y=\"{baseline}\">{}</text>", escaped(&row.name)));
    put(format!(
        "<rect x=\"{NAME_WIDTH}\" y=\"{top}\" width=\"{bar:.1}\" height=\"20\" fill=\"{colour}\"/>"
    ));
    put(format!(
        "<path d=\"M{from:.1} {middle}H{to:.1}M{from:.1} {top}v20M{to:.1} {top}v20\" stroke=\"black\"/>"
    ));
    let after = to + 8.0;
    put(format!("<text x=\"{after:.1}\" y=\"{baseline}\">{:.0}{ratio}</text>", rate.median));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_part_of_the_most() {
        let mut report = Report::default();
        for (name, rate) in [("all & more", 100.0), ("half", 50.0)] {
            let mut row = Row::new(name, None);
            row.add("rate", rate);
            report.rows.push(row);
        }
        let svg = draw("unary", &report);
        assert!(svg.contains("width=\"450.0\"") && svg.contains("width=\"225.0\""), "{svg}");
        assert!(svg.contains("all &amp; more"), "{svg}");
    }
}
