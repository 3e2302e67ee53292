//! The picture as SVG.

use super::layout::{Card, LABEL, Layout, MARGIN, Point, Port, Sizes, curve};
use super::picture::{Link, Patch, Picture, Seat};
use crate::text::count;
use quilt_tokio::proto::ProtocolId;
use std::collections::BTreeSet;
use svg::Document;
use svg::node::Text as RawText;
use svg::node::element::path::Data;
use svg::node::element::{Circle, Description, Group, Path, Rectangle, Text, Title};

const FONT: &str = "Helvetica, Arial, DejaVu Sans, sans-serif";
/// The picture has a background of its own, also in a dark viewer.
const PAPER: &str = "#fcfcfa";
const INK: &str = "#26292e";
const FAINT: &str = "#5d636c";
const REPRESENTATIVE: &str = "#c2410c";
const LINK: &str = "#4b5563";
const STANDBY_LINK: &str = "#8d95a1";
/// A line of the legend.
const LEGEND_LINE: f64 = 24.0;
/// Around what is written in a patch.
const PAD: f64 = 16.0;

/// Draws a picture of what a group was like at a `moment`.
pub(super) fn draw(picture: &Picture, moment: &str) -> Document {
    let layout = Layout::of(picture);
    let legend = legend(picture, layout.width);
    let height = layout.bottom + 24.0 + legend.len() as f64 * LEGEND_LINE + MARGIN / 2.0;
    let title = format!("Group {}", picture.group);
    let [made_of, seen] = subtitle(picture, moment);
    let mut drawn = Document::new()
        .set("viewBox", (0, 0, layout.width.ceil() as u32, height.ceil() as u32))
        .set("width", layout.width.ceil() as u32)
        .set("height", height.ceil() as u32)
        .set("role", "img")
        .set("font-family", FONT)
        .set("font-size", 12)
        .set("fill", INK)
        .add(Title::new(title.clone()))
        .add(Description::new().add(RawText::new(description(picture, &made_of, &seen))))
        .add(rectangle(Point { x: 0.0, y: 0.0 }, layout.width, height).set("fill", PAPER));
    for (line, size, ink, text) in
        [(46.0, 22, INK, title), (68.0, 13, FAINT, made_of), (86.0, 13, FAINT, seen)]
    {
        let text = write(Point { x: MARGIN, y: line }, text).set("font-size", size);
        let weight = if ink == INK { "bold" } else { "normal" };
        drawn = drawn.add(text.set("fill", ink).set("font-weight", weight));
    }
    drawn = drawn.add(links(picture, &layout, false)).add(links(picture, &layout, true));
    for (patch, card) in picture.patches.iter().zip(&layout.cards) {
        drawn = drawn.add(draw_patch(patch, card, &layout.sizes));
    }
    for (nth, line) in legend.into_iter().enumerate() {
        let y = layout.bottom + 36.0 + nth as f64 * LEGEND_LINE;
        drawn = drawn.add(line.set("transform", format!("translate({MARGIN} {y})")));
    }
    drawn
}

/// What people call a protocol.
fn protocol(id: ProtocolId) -> String {
    match id {
        ProtocolId::IPMC => "IP multicast".into(),
        ProtocolId::DONET => "DONet mesh".into(),
        ProtocolId::OMNI => "OMNI tree".into(),
        other => other.to_string(),
    }
}

/// Light and dark colour of a protocol.
fn colours(id: ProtocolId) -> (&'static str, &'static str) {
    match id {
        ProtocolId::IPMC => ("#e3f1e1", "#2f6b2a"),
        ProtocolId::DONET => ("#e1ecf8", "#1f558c"),
        ProtocolId::OMNI => ("#ede5f6", "#5f3d8c"),
        _ => ("#efeeea", "#57534e"),
    }
}

fn subtitle(picture: &Picture, moment: &str) -> [String; 2] {
    let hosts = count(picture.hosts, "host", "hosts");
    let patches = count(picture.patches.len(), "patch", "patches");
    let one = count(picture.representatives, "representative", "representatives");
    let sewn = match picture.inter_patch {
        Some(id) if picture.patches.len() > 1 => {
            format!(", sewn together by {one} ({})", protocol(id))
        }
        _ => format!(", {one}"),
    };
    [format!("{hosts} in {patches}{sewn}"), format!("Surveyed at {moment}")]
}

/// The picture in words.
fn description(picture: &Picture, made_of: &str, seen: &str) -> String {
    let patches = picture.patches.iter().map(|patch| {
        let members = count(patch.members, "member", "members");
        format!("Patch {} runs {} and has {members}", patch.name, protocol(patch.protocol))
    });
    let links = picture.links.iter().filter_map(|link| {
        let (child, parent) = (picture.seat(link.child)?, picture.seat(link.parent)?);
        let time = child.round_trip.as_deref().unwrap_or("not measured yet");
        Some(format!("Host {} is below {}, round trip {time}", child.host, parent.host))
    });
    let sentences = [made_of.into(), seen.into()].into_iter().chain(patches).chain(links);
    sentences.map(|sentence| sentence + ". ").collect::<String>().trim_end().into()
}

/// The links of the representatives that forward, or of the others, with their round-trip times.
fn links(picture: &Picture, layout: &Layout, forwards: bool) -> Group {
    let mut lines = Group::new().set("fill", "none").set("stroke-linecap", "round");
    lines = match forwards {
        true => lines.set("stroke", LINK).set("stroke-width", 2),
        false => lines
            .set("stroke", STANDBY_LINK)
            .set("stroke-width", 1.2)
            .set("stroke-dasharray", "5 4"),
    };
    let mut times = Group::new().set("font-size", 10.5).set("text-anchor", "middle");
    let port = |(patch, seat): (usize, usize)| layout.cards.get(patch)?.ports.get(seat);
    let of_kind = |link: &&Link| link.forwards == forwards;
    for link in picture.links.iter().filter(of_kind) {
        let (Some(parent), Some(child)) = (port(link.parent), port(link.child)) else { continue };
        lines = lines.add(Path::new().set("d", route(parent, child)));
        if let Some(time) = picture.seat(link.child).and_then(|seat| seat.round_trip.as_ref()) {
            times = label(times, child.label, time);
        }
    }
    Group::new().add(lines).add(times)
}

/// From a parent to its child.
fn route(parent: &Port, child: &Port) -> Data {
    let [from, bend, other_bend, to] = curve(parent, child).map(rounded);
    let [start, turn] = [parent.at, parent.down[0]].map(rounded);
    Data::new()
        .move_to(start)
        .line_to(turn)
        .line_to(from)
        .cubic_curve_to((bend, other_bend, to))
        .line_to(rounded(child.at))
}

/// Text on a piece of paper of its own.
fn label(group: Group, at: Point, text: &str) -> Group {
    let (width, height) = (text_width(text, 10.5) + 4.0, LABEL.1 - 1.0);
    let corner = Point { x: at.x - width / 2.0, y: at.y - height / 2.0 };
    group
        .add(rectangle(corner, width, height).set("fill", PAPER).set("rx", 3))
        .add(write(Point { x: at.x, y: at.y + 3.7 }, text))
}

fn draw_patch(patch: &Patch, card: &Card, sizes: &Sizes) -> Group {
    let (light, dark) = colours(patch.protocol);
    let Point { x, y } = card.at;
    let members = count(patch.members, "member", "members");
    let name = match sizes.font > 12.0 {
        true => format!("patch {}", patch.name),
        false => patch.name.clone(),
    };
    let small = sizes.font - 2.0;
    let step = sizes.font + 2.0;
    let line = |nth: f64, text: String| {
        write(Point { x: x + PAD, y: y + 14.0 + (nth + 0.75) * step }, text).set("fill", dark)
    };
    let frame = rectangle(card.at, sizes.width, sizes.height).set("rx", 9).set("fill", light);
    let mut group = Group::new()
        .add(frame.set("stroke", dark).set("stroke-width", 1.3))
        .add(line(0.0, name).set("font-size", sizes.font).set("font-weight", "bold"))
        .add(line(1.0, protocol(patch.protocol)).set("font-size", small))
        .add(line(2.0, members).set("font-size", small));
    let plain = patch.members.saturating_sub(patch.representatives.len());
    let from = Point { x: x + PAD, y: y + 14.0 + 3.0 * step + 4.0 };
    group = group.add(dots(plain, from, sizes.width - 2.0 * PAD, small).set("fill", dark));
    for (seat, port) in patch.representatives.iter().zip(&card.ports) {
        group = group.add(draw_representative(seat, port, sizes));
    }
    group
}

/// Two rows of dots, one for each of `members`; a number for those that find no place.
fn dots(members: usize, from: Point, width: f64, font: f64) -> Group {
    const STEP: f64 = 10.5;
    let per_row = ((width / STEP) as usize).max(1);
    let all = 2 * per_row;
    // The number takes the room of some dots.
    let drawn = if members > all { all - 4 } else { members };
    let place = |nth: usize| Point {
        x: from.x + 4.0 + (nth % per_row) as f64 * STEP,
        y: from.y + 4.0 + (nth / per_row) as f64 * STEP,
    };
    let mut group = Group::new();
    for (x, y) in (0..drawn).map(|nth| rounded(place(nth))) {
        group = group.add(Circle::new().set("cx", x).set("cy", y).set("r", 3.6));
    }
    if members > drawn {
        let Point { x, y } = place(drawn);
        let more = format!("+{}", members - drawn);
        group = group.add(write(Point { x: x - 4.0, y: y + 3.8 }, more).set("font-size", font));
    }
    group
}

fn draw_representative(seat: &Seat, port: &Port, sizes: &Sizes) -> Group {
    let duty = match (seat.root, seat.forwards) {
        (true, _) => "root of the tree",
        (false, true) => "forwards",
        (false, false) => "stands by",
    };
    let mut group = Group::new().add(Title::new(format!("{}: representative, {duty}", seat.host)));
    if seat.root {
        group = group.add(ring(port.at, sizes.diamond));
        group = group.add(root_label(port.label));
    }
    group.add(diamond(port.at, sizes.diamond, seat.forwards))
}

fn root_label(at: Point) -> Group {
    let group = Group::new().set("font-size", 10.5).set("text-anchor", "middle");
    label(group.set("fill", REPRESENTATIVE).set("font-weight", "bold"), at, "root")
}

fn ring(at: Point, half: f64) -> Circle {
    let (x, y) = rounded(at);
    let circle = Circle::new().set("cx", x).set("cy", y).set("r", half + 3.5);
    circle.set("fill", PAPER).set("stroke", REPRESENTATIVE).set("stroke-width", 1.8)
}

/// A representative: full if it forwards.
fn diamond(at: Point, half: f64, full: bool) -> Path {
    let corner = |x: f64, y: f64| rounded(at + Point { x: x * half, y: y * half });
    let data = Data::new()
        .move_to(corner(0.0, -1.0))
        .line_to(corner(1.0, 0.0))
        .line_to(corner(0.0, 1.0))
        .line_to(corner(-1.0, 0.0))
        .close();
    Path::new()
        .set("d", data)
        .set("fill", if full { REPRESENTATIVE } else { PAPER })
        .set("stroke", REPRESENTATIVE)
        .set("stroke-width", 1.8)
}

/// What the signs mean, as many in a line as there is room.
fn legend(picture: &Picture, width: f64) -> Vec<Group> {
    let centre = Point { x: 12.0, y: -4.0 };
    let line = |dashes: &str, width: f64, ink: &str| {
        let data = Data::new().move_to((0, -4)).line_to((24, -4));
        let path = Path::new().set("d", data).set("stroke", ink).set("stroke-width", width);
        Group::new().add(path.set("stroke-dasharray", dashes))
    };
    let mut entries = Vec::new();
    let protocols: BTreeSet<ProtocolId> = picture.patches.iter().map(|p| p.protocol).collect();
    for id in protocols {
        let (light, dark) = colours(id);
        let chip = rectangle(Point { x: 2.0, y: -11.0 }, 20.0, 14.0).set("rx", 3);
        let chip = Group::new().add(chip.set("fill", light).set("stroke", dark));
        entries.push((chip, format!("patch with {}", protocol(id))));
    }
    let dot = Circle::new().set("cx", 12).set("cy", -4).set("r", 3.6);
    entries.push((Group::new().add(dot), "member".into()));
    let any = |is_one: fn(&Seat) -> bool| {
        picture.patches.iter().flat_map(|patch| &patch.representatives).any(is_one)
    };
    let sign = |full| Group::new().add(diamond(centre, 7.0, full));
    if any(|seat| seat.forwards) {
        entries.push((sign(true), "representative that forwards".into()));
    }
    if any(|seat| !seat.forwards) {
        entries.push((sign(false), "representative that stands by".into()));
    }
    if any(|seat| seat.root) {
        let root = Group::new().add(ring(centre, 6.0)).add(diamond(centre, 6.0, true));
        entries.push((root, "root of the tree".into()));
    }
    if picture.links.iter().any(|link| link.forwards) {
        entries.push((line("none", 2.0, LINK), "tree link, round-trip time at the child".into()));
    }
    if picture.links.iter().any(|link| !link.forwards) {
        entries.push((line("5 4", 1.2, STANDBY_LINK), "link of a standby: digests only".into()));
    }

    let (mut lines, mut at) = (vec![Group::new()], 0.0);
    for (sign, text) in entries {
        let room = 32.0 + text_width(&text, 12.0) + 20.0;
        if at > 0.0 && at + room > width - 2.0 * MARGIN {
            lines.push(Group::new());
            at = 0.0;
        }
        let text = write(Point { x: 32.0, y: 0.0 }, text).set("fill", FAINT);
        let entry = sign.add(text).set("transform", format!("translate({at:.0} 0)"));
        lines = match lines.pop() {
            Some(line) => lines.into_iter().chain([line.add(entry)]).collect(),
            None => lines,
        };
        at += room;
    }
    lines
}

fn rectangle(at: Point, width: f64, height: f64) -> Rectangle {
    let (x, y) = rounded(at);
    let (width, height) = rounded(Point { x: width, y: height });
    Rectangle::new().set("x", x).set("y", y).set("width", width).set("height", height)
}

fn write(at: Point, text: impl Into<String>) -> Text {
    let (x, y) = rounded(at);
    Text::new(text).set("x", x).set("y", y)
}

/// About how wide a text is in a wide font.
fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.58
}

/// A tenth of a unit is more than anybody sees.
fn rounded(Point { x, y }: Point) -> (f64, f64) {
    let tenth = |number: f64| (number * 10.0).round() / 10.0;
    (tenth(x), tenth(y))
}
