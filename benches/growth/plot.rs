//! A measure as an SVG picture: for each unit a plot with logarithmic axes.
//!
//! A cost that is proportional to the size is a line parallel to the dashed one; a cost that does not depend on it is level.

use std::ops::Range;

use crate::measure::{Line, Measure, Panel};

/// The size of a plot, and the margins of its axes: left for the numbers, below for the numbers, the name and the legend.
const WIDTH: f64 = 430.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 25.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 72.0;
/// Different also for those who see few colours: blue, orange, green.
const COLOURS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];
const STYLE: &str = "text{font:13px sans-serif;fill:#222}.middle{text-anchor:middle}.end{text-anchor:end}\
.title{font-size:15px;font-weight:bold}.grid{stroke:#ddd}.frame{fill:none;stroke:#888}\
.line{fill:none;stroke-width:2}.proportional{fill:none;stroke:#888;stroke-dasharray:5 4}";

/// The picture.
pub(crate) fn svg(measure: &Measure) -> String {
    let width = WIDTH * measure.panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" width=\"{width}\" height=\"{HEIGHT}\">\n\
         <style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    svg += &text(LEFT, 24.0, "title", measure.title);
    for (nth, panel) in measure.panels.iter().enumerate() {
        svg += &format!("<g transform=\"translate({} 0)\">\n", WIDTH * nth as f64);
        svg += &Axes::of(panel).draw(nth, measure.size, panel);
        svg += "</g>\n";
    }
    svg + "</svg>\n"
}

/// The powers of ten that the axes reach.
struct Axes {
    x: Range<f64>,
    y: Range<f64>,
}

impl Axes {
    fn of(panel: &Panel) -> Self {
        let points = || panel.lines.iter().flat_map(|line| &line.points);
        Self { x: decades(points().map(|(size, _)| *size as f64)), y: decades(points().map(|(_, value)| *value)) }
    }

    /// The place of a size and a value.
    fn place(&self, size: f64, value: f64) -> (f64, f64) {
        let part = |range: &Range<f64>, value: f64| (value.log10() - range.start) / (range.end - range.start);
        let x = LEFT + part(&self.x, size) * (WIDTH - LEFT - RIGHT);
        (x, HEIGHT - BOTTOM - part(&self.y, value) * (HEIGHT - TOP - BOTTOM))
    }

    fn draw(&self, nth: usize, size: &str, panel: &Panel) -> String {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        let mut svg = text(LEFT, TOP - 12.0, "", panel.unit);
        for power in powers(&self.x) {
            let (x, _) = self.place(power, 1.0);
            svg += &format!("<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>\n");
            svg += &text(x, bottom + 18.0, "middle", &number(power));
        }
        for power in powers(&self.y) {
            let (_, y) = self.place(1.0, power);
            svg += &format!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\n");
            svg += &text(LEFT - 8.0, y + 4.0, "end", &number(power));
        }
        svg += &text(f64::midpoint(LEFT, right), bottom + 38.0, "middle", size);
        let (w, h) = (right - LEFT, bottom - TOP);
        let frame = format!("x=\"{LEFT}\" y=\"{TOP}\" width=\"{w}\" height=\"{h}\"");
        svg += &format!("<clipPath id=\"inside{nth}\"><rect {frame}/></clipPath>\n<rect class=\"frame\" {frame}/>\n");
        svg += &self.proportional(nth, panel);
        let mut legend = LEFT;
        for (line, colour) in panel.lines.iter().zip(COLOURS) {
            svg += &self.line(line, colour);
            svg += &entry(&mut legend, &format!("class=\"line\" stroke=\"{colour}\""), line.name);
        }
        svg + &entry(&mut legend, "class=\"proportional\"", "proportional")
    }

    /// Through the last point of the first line.
    fn proportional(&self, nth: usize, panel: &Panel) -> String {
        let Some((size, value)) = panel.lines.first().and_then(|line| line.points.last()) else { return String::new() };
        let each = value / *size as f64;
        let [(x1, y1), (x2, y2)] = [self.x.start, self.x.end].map(|power| {
            let size = 10_f64.powf(power);
            self.place(size, each * size)
        });
        format!(
            "<path class=\"proportional\" clip-path=\"url(#inside{nth})\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>\n"
        )
    }

    fn line(&self, line: &Line, colour: &str) -> String {
        let places = line.points.iter().map(|(size, value)| self.place(*size as f64, *value));
        let points: Vec<String> = places.clone().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let mut svg = format!("<polyline class=\"line\" stroke=\"{colour}\" points=\"{}\"/>\n", points.join(" "));
        for (x, y) in places {
            svg += &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>\n");
        }
        svg
    }
}

/// The exponents of the powers of ten around all values, at least two apart, so that what is level looks level.
fn decades(values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let least = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
    least..values.fold(0.0, f64::max).log10().ceil().max(least + 2.0)
}

fn powers(range: &Range<f64>) -> impl Iterator<Item = f64> {
    #[expect(clippy::cast_possible_truncation, reason = "exponents are small")]
    let (first, last) = (range.start as i32, range.end as i32);
    (first..=last).map(|power| 10_f64.powi(power))
}

/// A power of ten.
fn number(power: f64) -> String {
    match power {
        1e6.. => format!("{} M", power / 1e6),
        1e3.. => format!("{},000", power / 1e3),
        _ => power.to_string(),
    }
}

/// An entry of the legend, to the right of the one before it.
fn entry(x: &mut f64, stroke: &str, name: &str) -> String {
    let y = HEIGHT - 12.0;
    let svg = format!("<path {stroke} d=\"M{x} {:.1}h22\"/>\n", y - 4.0);
    let svg = svg + &text(*x + 28.0, y, "", name);
    // The usual width of a letter of this size.
    *x += 28.0 + 7.0 * name.len() as f64 + 14.0;
    svg
}

fn text(x: f64, y: f64, class: &str, words: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{words}</text>\n")
}
