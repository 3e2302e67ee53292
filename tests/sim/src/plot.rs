//! Plots as SVG: the same values give the same bytes.

use std::fmt::Write as _;
use svg::Document;
use svg::node::element::path::Data;
use svg::node::element::{Circle, Description, Group, Path, Polygon, Rectangle, Text, Title};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 92.0;
/// Height of the area with the lines.
const HEIGHT: f64 = 330.0;
/// Characters in a line of the notes.
const NOTE_WIDTH: usize = 118;
const NOTE_STEP: f64 = 16.0;
const INK: &str = "#1f2328";
const PALE: &str = "#d8dce1";
/// Colour and dashes; with the marks there are three ways to tell lines apart.
const STYLES: [(&str, &str); 4] =
    [("#1558a6", ""), ("#b8480f", "9 4"), ("#2c7a39", "2 3"), ("#6d3aa8", "11 4 2 4")];
/// Marks along a line.
const MARKS: usize = 9;

/// A plot.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    /// What it shows, in one line.
    pub title: String,
    /// The command that made it.
    pub command: String,
    /// What has to be known to read it; stands below.
    pub notes: Vec<String>,
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// What is plotted; at most four look different.
    pub lines: Vec<Line>,
    /// Moments, each with its name.
    pub moments: Vec<(f64, String)>,
}

/// An axis.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// What is on it, with the unit.
    pub label: String,
    /// Whether it is logarithmic and not from zero on: what is zero or less then lies at its beginning.
    pub log: bool,
}

/// A line.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// What the legend says.
    pub name: String,
    /// Whether a value holds until the next one comes.
    pub steps: bool,
    /// In rising order of x.
    pub points: Vec<(f64, f64)>,
}

impl Plot {
    /// The picture.
    pub fn svg(&self) -> String {
        let x = Scale::new(self.lines.iter().flat_map(|line| &line.points).map(|p| p.0), &self.x);
        let y = Scale::new(self.lines.iter().flat_map(|line| &line.points).map(|p| p.1), &self.y);
        let area = Area { x, y };
        let notes: Vec<String> = self.notes.iter().flat_map(|note| wrapped(note)).collect();
        let height = TOP + HEIGHT + 64.0 + NOTE_STEP * notes.len() as f64;
        let mut document = Document::new()
            .set("viewBox", (0, 0, WIDTH, height))
            .set("width", WIDTH)
            .set("height", height)
            .set("font-family", "Helvetica, Arial, sans-serif")
            .set("font-size", 12.5)
            .set("fill", INK)
            .set("role", "img")
            .add(Title::new(&*self.title))
            .add(Description::new().add(svg::node::Text::new(self.description())))
            .add(Rectangle::new().set("width", "100%").set("height", "100%").set("fill", "white"))
            .add(text(LEFT, 26.0, &self.title).set("font-size", 16).set("font-weight", "bold"))
            .add(text(LEFT, 46.0, &self.command).set("font-family", "monospace"))
            .add(self.legend())
            .add(self.axes(&area));
        for (at, name) in &self.moments {
            document = document.add(moment(&area, *at, name));
        }
        for (line, nth) in self.lines.iter().zip(0..) {
            document = document.add(drawn(&area, line, nth));
        }
        let first = TOP + HEIGHT + 60.0;
        for (note, nth) in notes.iter().zip(0..) {
            let at = first + NOTE_STEP * f64::from(nth);
            document = document.add(text(LEFT, at, note).set("font-size", 11.5));
        }
        format!("{document}\n")
    }

    /// The picture in words.
    fn description(&self) -> String {
        let names: Vec<&str> = self.lines.iter().map(|line| &*line.name).collect();
        let axes = format!("{} over {}", self.y.label, self.x.label);
        [format!("{axes}: {}. Made by {}.", names.join("; "), self.command)]
            .into_iter()
            .chain(self.notes.iter().cloned())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn legend(&self) -> Group {
        let mut group = Group::new();
        let mut at = LEFT;
        for (line, nth) in self.lines.iter().zip(0..) {
            let stroke =
                stroke(nth).set("d", Data::new().move_to((at, 70)).line_to((at + 34.0, 70)));
            group = group.add(stroke).add(mark(nth, at + 17.0, 70.0));
            group = group.add(text(at + 41.0, 74.0, &line.name));
            at += 41.0 + 6.6 * line.name.chars().count() as f64 + 26.0;
        }
        group
    }

    fn axes(&self, area: &Area) -> Group {
        let (right, bottom) = (WIDTH - RIGHT, TOP + HEIGHT);
        let mut grid = Group::new().set("stroke", PALE).set("fill", "none");
        let mut words = Group::new();
        for tick in area.x.ticks() {
            let at = area.x.place(tick, LEFT, right);
            grid = grid.add(segment((at, TOP), (at, bottom)));
            words = words.add(text(at, bottom + 18.0, &short(tick)).set("text-anchor", "middle"));
        }
        for tick in area.y.ticks() {
            let at = area.y.place(tick, bottom, TOP);
            grid = grid.add(segment((LEFT, at), (right, at)));
            words = words.add(text(LEFT - 8.0, at + 4.0, &short(tick)).set("text-anchor", "end"));
        }
        let frame =
            Data::new().move_to((LEFT, TOP)).line_to((LEFT, bottom)).line_to((right, bottom));
        let frame = Path::new().set("d", frame).set("fill", "none").set("stroke", INK);
        let (middle, x) =
            (TOP + HEIGHT / 2.0, text((LEFT + right) / 2.0, bottom + 38.0, &self.x.label));
        let y = text(0.0, 0.0, &self.y.label)
            .set("transform", format!("translate(20 {middle}) rotate(-90)"))
            .set("text-anchor", "middle");
        Group::new().add(grid).add(frame).add(words).add(x.set("text-anchor", "middle")).add(y)
    }
}

struct Area {
    x: Scale,
    y: Scale,
}

/// From values to places.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

impl Scale {
    fn new(values: impl Iterator<Item = f64>, axis: &Axis) -> Self {
        let values: Vec<f64> =
            values.filter(|value| value.is_finite() && (!axis.log || *value > 0.0)).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        if axis.log && low <= high {
            // A whole decade shows something even of a single value.
            let (low, high) = (low.log10().floor(), high.log10());
            let high = if high - low < 1.0 { low + 1.0 } else { high + 0.04 };
            return Self { low, high, log: true };
        }
        Self { low: low.min(0.0), high: if high > 0.0 { high * 1.05 } else { 1.0 }, log: false }
    }

    fn place(&self, value: f64, from: f64, to: f64) -> f64 {
        let value = match self.log {
            true => value.max(f64::MIN_POSITIVE).log10().max(self.low),
            false => value,
        };
        from + (to - from) * (value - self.low) / (self.high - self.low)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.log {
            let decades = self.low as i32..=self.high.floor() as i32;
            let fine = self.high - self.low <= 3.5;
            let parts: &[f64] = if fine { &[1.0, 2.0, 5.0] } else { &[1.0] };
            let ticks =
                decades.flat_map(|decade| parts.iter().map(move |part| part * 10_f64.powi(decade)));
            return ticks.filter(|tick| tick.log10() <= self.high).collect();
        }
        let rough = (self.high - self.low) / 7.0;
        let decade = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
        let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|nth| nth as f64 * step).collect()
    }
}

fn drawn(area: &Area, line: &Line, nth: usize) -> Group {
    let place = |&(x, y): &(f64, f64)| {
        let across = area.x.place(x, LEFT, WIDTH - RIGHT);
        (round(across), round(area.y.place(y, TOP + HEIGHT, TOP)))
    };
    let places: Vec<(f64, f64)> = line.points.iter().map(place).collect();
    let Some(&first) = places.first() else { return Group::new() };
    let mut data = Data::new().move_to(first);
    let mut last = first;
    for &(x, y) in &places[1..] {
        if (x, y) == last {
            continue;
        }
        if line.steps && x != last.0 {
            data = data.horizontal_line_to(x);
        }
        data = data.line_to((x, y));
        last = (x, y);
    }
    let mut group = Group::new().add(stroke(nth).set("d", data));
    // Evenly over the width, so that crowded parts do not hide under marks.
    let right = places.last().map_or(first.0, |last| last.0);
    for at in 0..MARKS {
        let across = first.0 + (right - first.0) * (at as f64 + 0.5) / MARKS as f64;
        let after = places.partition_point(|place| place.0 <= across);
        let nearest = places[after.saturating_sub(1)];
        let x = if line.steps { round(across) } else { nearest.0 };
        group = group.add(mark(nth, x, nearest.1));
    }
    group
}

fn moment(area: &Area, at: f64, name: &str) -> Group {
    let x = round(area.x.place(at, LEFT, WIDTH - RIGHT));
    let line = segment((x, TOP), (x, TOP + HEIGHT));
    Group::new()
        .add(line.set("stroke", INK).set("stroke-dasharray", "3 3"))
        .add(text(x + 5.0, TOP + 12.0, name).set("font-size", 11.5))
}

fn stroke(nth: usize) -> Path {
    let (colour, dashes) = STYLES[nth % STYLES.len()];
    let path = Path::new().set("fill", "none").set("stroke", colour).set("stroke-width", 1.8);
    if dashes.is_empty() { path } else { path.set("stroke-dasharray", dashes) }
}

/// A disc, a square, a triangle or a diamond.
fn mark(nth: usize, x: f64, y: f64) -> Group {
    let colour = STYLES[nth % STYLES.len()].0;
    let corners = |corners: &[(f64, f64)]| {
        let mut points = String::new();
        for (dx, dy) in corners {
            // A string takes whatever is written to it.
            let _ = write!(points, "{},{} ", round(x + dx), round(y + dy));
        }
        Polygon::new().set("points", points.trim_end().to_owned())
    };
    let group = Group::new().set("fill", colour).set("stroke", "white").set("stroke-width", 0.8);
    match nth % STYLES.len() {
        0 => group.add(Circle::new().set("cx", round(x)).set("cy", round(y)).set("r", 4)),
        1 => group.add(corners(&[(-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)])),
        2 => group.add(corners(&[(0.0, -5.0), (5.0, 4.0), (-5.0, 4.0)])),
        _ => group.add(corners(&[(0.0, -5.5), (5.5, 0.0), (0.0, 5.5), (-5.5, 0.0)])),
    }
}

fn segment((x, y): (f64, f64), to: (f64, f64)) -> Path {
    let data = Data::new().move_to((round(x), round(y))).line_to((round(to.0), round(to.1)));
    Path::new().set("d", data)
}

fn text(x: f64, y: f64, words: &str) -> Text {
    Text::new(words).set("x", round(x)).set("y", round(y))
}

/// A tenth of a pixel.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A number of an axis.
fn short(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded.abs() < 10_000.0 {
        return rounded.to_string();
    }
    let digits = format!("{rounded:.0}");
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join("\u{202f}")
}

fn wrapped(note: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in note.split(' ') {
        let Some(line) = lines.last_mut() else { continue };
        if line.chars().count() + word.chars().count() >= NOTE_WIDTH {
            lines.push(word.into());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        let line = |name: &str, points: &[(f64, f64)]| Line {
            name: name.into(),
            steps: true,
            points: points.to_vec(),
        };
        Plot {
            title: "Hosts & time < 1".into(),
            command: "quilt-sim figure 9".into(),
            notes: vec!["A word ".repeat(60).trim_end().into()],
            x: Axis { label: "ms".into(), log: true },
            y: Axis { label: "hosts".into(), log: false },
            lines: vec![
                line("one", &[(0.0, 0.0), (3.0, 5.0), (40.0, 10.0)]),
                line("other", &[(1.0, 1.0), (2000.0, 10.0)]),
            ],
            moments: vec![(10.0, "now".into())],
        }
    }

    #[test]
    fn a_plot_is_the_same_each_time_and_names_all_that_it_shows() {
        let svg = plot().svg();
        assert_eq!(svg, plot().svg());
        for word in ["quilt-sim figure 9", "one", "other", "ms", "hosts", "now"] {
            assert!(svg.contains(word), "{word}");
        }
        assert!(svg.contains("stroke-dasharray=\"9 4\""), "lines differ by more than colour");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn what_means_something_in_xml_is_escaped_once() {
        let svg = plot().svg();
        assert_eq!(svg.matches("Hosts &amp; time &lt; 1").count(), 2, "{svg}");
        assert!(!svg.contains("time < 1") && !svg.contains("&amp;amp;"), "{svg}");
    }

    #[test]
    fn no_points_and_only_zeros_are_drawn_too() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(1.0, 0.0), (2.0, 0.0)]] {
            for log in [false, true] {
                let mut plot = plot();
                plot.x.log = log;
                plot.y.log = log;
                plot.lines = vec![Line { points: points.clone(), ..Line::default() }];
                let svg = plot.svg();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }

    #[test]
    fn ticks_are_round_numbers_within_the_axis() {
        let linear = Axis::default();
        let ticks = Scale::new([0.0, 68.0].into_iter(), &linear).ticks();
        assert_eq!(ticks, [0.0, 20.0, 40.0, 60.0]);
        let log = Axis { log: true, ..Axis::default() };
        let ticks = Scale::new([0.2, 30.0].into_iter(), &log).ticks();
        assert_eq!(ticks, [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
    }
}
