//! Where everything lies: the patches around a rectangle, the tree in its middle.
//!
//! Each representative has a place on that side of its patch that faces the middle, with a slot in
//! front of it for what is written beside its link. Links begin and end behind these slots and run
//! where nothing else is, so they cross neither dots nor text.

use super::picture::{Patch, Picture, Seat};
use std::ops::{Add, Mul};

/// Around the whole picture.
pub(super) const MARGIN: f64 = 24.0;
/// For title and subtitle.
const HEAD: f64 = 104.0;
/// Titles need so much, however little there is to draw.
const MIN_WIDTH: f64 = 700.0;
/// With more patches they become smaller.
const MANY_PATCHES: usize = 20;
/// With fewer there is room between them.
const FEW_PATCHES: usize = 4;
/// The lengths that a representative takes on an upright side: for itself, and for its children.
const UPRIGHT_SLOT: (f64, f64) = (LABEL.1 + 3.0, 10.0);
/// The room of a written round-trip time, along the side of a patch and across it.
pub(super) const LABEL: (f64, f64) = (42.0, 14.0);

/// A point, or a vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// The side of the middle on which a patch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Top,
    Right,
    Bottom,
    Left,
}

/// The lengths that depend on how many patches there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) width: f64,
    pub(super) height: f64,
    gap: f64,
    /// Of the patch's name; the rest is a little smaller.
    pub(super) font: f64,
    /// Half the width of a representative.
    pub(super) diamond: f64,
}

/// Where a patch lies, by its upper left corner, and its representatives in their order.
#[derive(Clone, Debug)]
pub(super) struct Card {
    pub(super) at: Point,
    pub(super) ports: Vec<Port>,
}

/// Where a representative lies, and its links.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port {
    pub(super) at: Point,
    /// The middle of the slot for its round-trip time.
    pub(super) label: Point,
    /// Where the link to its parent begins.
    pub(super) up: Point,
    /// Where the links to its children turn off, and where they begin.
    pub(super) down: [Point; 2],
    /// Towards the middle, as long as the curves may reach.
    reach: Point,
}

/// The picture as a whole.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) width: f64,
    /// Where the drawing ends and the legend begins.
    pub(super) bottom: f64,
    pub(super) sizes: Sizes,
    /// One for each patch, in the picture's order.
    pub(super) cards: Vec<Card>,
}

/// The rectangle around which the patches lie.
struct Middle {
    from: Point,
    to: Point,
    /// How far the slots reach into it, from left and right and from above and below.
    slots: Point,
    /// Patches lie on all sides of it, so that its corners must stay free.
    cornered: bool,
}

impl Layout {
    pub(super) fn of(picture: &Picture) -> Self {
        let sizes = Sizes::of(&picture.patches);
        let [top, right, bottom, left] = shares(picture.patches.len());
        let columns = sizes.width + sizes.gap;
        let rows = sizes.height + sizes.gap.min(20.0);
        let staggered = picture.patches.iter().any(|patch| is_staggered(patch, &sizes));
        let slots = Point { x: LABEL.0 + 18.0, y: if staggered { 48.0 } else { 32.0 } };
        let beside = if right + left > 0 { 2.0 * (sizes.width + slots.x) } else { 0.0 };
        let wide = (top.max(bottom) as f64 * columns).max(260.0) + beside;
        let width = (wide + 2.0 * MARGIN).max(MIN_WIDTH);
        let tall = (right.max(left) as f64 * rows).max(if bottom > 0 { 140.0 } else { 40.0 });
        let band = |patches: usize| if patches > 0 { sizes.height } else { 0.0 };
        let from = Point {
            x: (width - wide) / 2.0 + if left > 0 { sizes.width } else { 0.0 },
            y: HEAD + band(top),
        };
        let to = Point { x: width - from.x, y: from.y + tall + 2.0 * slots.y };
        let middle = Middle { from, to, slots, cornered: top > 0 && right > 0 };
        // Clockwise, the first patch in the middle of the top.
        let turn = (top.saturating_sub(1)) / 2;
        let sides =
            [(Side::Top, top), (Side::Right, right), (Side::Bottom, bottom), (Side::Left, left)];
        let places: Vec<_> = sides
            .into_iter()
            .flat_map(|(side, patches)| (0..patches).map(move |nth| (side, nth, patches)))
            .collect();
        let places = places.iter().cycle().skip(turn);
        let cards = picture.patches.iter().zip(places);
        let cards = cards
            .map(|(patch, &(side, nth, of))| middle.card(&sizes, patch, side, nth, of))
            .collect();
        Self { width, bottom: to.y + band(bottom), sizes, cards }
    }
}

impl Sizes {
    /// Patches are as large as the one with the most in it needs.
    fn of(patches: &[Patch]) -> Self {
        let many = patches.len() > MANY_PATCHES;
        let (width, height, font, diamond) =
            if many { (96.0, 86.0, 11.0, 6.5) } else { (164.0, 98.0, 13.0, 8.0) };
        let gap = match patches.len() {
            0..=FEW_PATCHES => 90.0,
            _ if many => 10.0,
            _ => 20.0,
        };
        let most = |slot| patches.iter().map(|patch| length(patch, slot)).fold(0.0, f64::max);
        let (own, _) = level_slot(true);
        // What is written for the first and the last one stands out.
        let width = (most(level_slot(true)) + LABEL.0 - own).max(width);
        Self { width, height: most(UPRIGHT_SLOT).max(height), gap, font, diamond }
    }
}

impl Middle {
    fn card(&self, sizes: &Sizes, patch: &Patch, side: Side, nth: usize, of: usize) -> Card {
        let Self { from, to, slots, cornered } = *self;
        let share = (nth as f64 + 0.5) / of as f64;
        let along = |from: f64, to: f64, corner: f64| {
            let free = if cornered { corner } else { 0.0 };
            from + free + (to - from - 2.0 * free) * share
        };
        let (half_width, half_height) = (sizes.width / 2.0, sizes.height / 2.0);
        let (x, y) = (along(from.x, to.x, slots.x), along(from.y, to.y, slots.y));
        let edge = match side {
            Side::Top => Point { x, y: from.y },
            Side::Right => Point { x: to.x, y },
            Side::Bottom => Point { x: from.x + to.x - x, y: to.y },
            Side::Left => Point { x: from.x, y: from.y + to.y - y },
        };
        let inwards = side.inwards();
        let at = edge + inwards * -1.0 * if side.is_level() { half_height } else { half_width };
        let depth = match side.is_level() {
            true => to.y - from.y - 2.0 * slots.y,
            false => to.x - from.x - 2.0 * slots.x,
        };
        let slot = if side.is_level() { slots.y } else { slots.x };
        let reach = inwards * (depth * 0.9);
        let ports = spread(patch, sizes, side).into_iter().map(|(offset, out, row)| {
            let along = side.along();
            let at = edge + along * offset;
            let label = match side.is_level() {
                true => sizes.diamond + LABEL.1 / 2.0 + 3.0 + row * (LABEL.1 + 1.0),
                false => sizes.diamond + LABEL.0 / 2.0 + 3.0,
            };
            let down = at + along * out;
            Port {
                at,
                label: at + inwards * label,
                up: at + inwards * slot,
                down: [down + inwards * (sizes.diamond + 2.0), down + inwards * slot],
                reach,
            }
        });
        let corner = Point { x: at.x - half_width, y: at.y - half_height };
        Card { at: corner, ports: ports.collect() }
    }
}

impl Side {
    /// Towards the middle.
    fn inwards(self) -> Point {
        match self {
            Self::Top => Point { x: 0.0, y: 1.0 },
            Self::Right => Point { x: -1.0, y: 0.0 },
            Self::Bottom => Point { x: 0.0, y: -1.0 },
            Self::Left => Point { x: 1.0, y: 0.0 },
        }
    }

    /// Along the patch's edge, clockwise around the middle: there lie the patches that follow, and
    /// so the links to children turn off to that side.
    fn along(self) -> Point {
        let Point { x, y } = self.inwards();
        Point { x: y, y: -x }
    }

    fn is_level(self) -> bool {
        matches!(self, Self::Top | Self::Bottom)
    }
}

/// How many patches lie above, right, below and left of the middle.
fn shares(patches: usize) -> [usize; 4] {
    match patches {
        0 | 1 => [patches, 0, 0, 0],
        2 => [0, 1, 0, 1],
        3 => [1, 0, 2, 0],
        4 => [2, 0, 2, 0],
        _ => {
            let side = patches / 4;
            let level = patches - 2 * side;
            [level.div_ceil(2), side, level / 2, side]
        }
    }
}

/// The lengths that a representative takes on a level side: for itself, and for its children.
fn level_slot(staggered: bool) -> (f64, f64) {
    if staggered { (LABEL.0 / 2.0 + 3.0, 20.0) } else { (LABEL.0 + 2.0, 12.0) }
}

fn length(patch: &Patch, (own, out): (f64, f64)) -> f64 {
    let all = patch.representatives.iter();
    all.map(|seat| own + if seat.leads { out } else { 0.0 }).sum()
}

/// Whether what is written on a level side needs two rows.
fn is_staggered(patch: &Patch, sizes: &Sizes) -> bool {
    length(patch, level_slot(false)) > sizes.width
}

/// For each representative: how far it is from the middle of its side, how far from it the links to
/// its children turn off, and in which row its round-trip time is written.
fn spread(patch: &Patch, sizes: &Sizes, side: Side) -> Vec<(f64, f64, f64)> {
    let staggered = side.is_level() && is_staggered(patch, sizes);
    let slot = if side.is_level() { level_slot(staggered) } else { UPRIGHT_SLOT };
    let mut end = -length(patch, slot) / 2.0;
    let place = |(nth, seat): (usize, &Seat)| {
        let (own, out) = slot;
        let here = end + own / 2.0;
        end += own + if seat.leads { out } else { 0.0 };
        let row = if staggered { (nth % 2) as f64 } else { 0.0 };
        (here, (own + out) / 2.0, row)
    };
    patch.representatives.iter().enumerate().map(place).collect()
}

/// The curve from a parent to a child: its ends, and the two points that it bends towards.
pub(super) fn curve(parent: &Port, child: &Port) -> [Point; 4] {
    let (from, to) = (parent.down[1], child.up);
    let distance = (to.x - from.x).hypot(to.y - from.y);
    // On one side flat, so as to pass below those that cross the middle.
    let share = if parent.reach == child.reach { 0.35 } else { 0.5 };
    let bend = |reach: Point| {
        let most = reach.x.hypot(reach.y).max(1.0);
        reach * ((distance * share).clamp(14.0, most.max(14.0)) / most)
    };
    [from, from + bend(parent.reach), to + bend(child.reach), to]
}

impl Add for Point {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { x: self.x + other.x, y: self.y + other.y }
    }
}

impl Mul<f64> for Point {
    type Output = Self;

    fn mul(self, by: f64) -> Self {
        Self { x: self.x * by, y: self.y * by }
    }
}
