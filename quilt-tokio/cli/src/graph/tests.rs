//! Pictures of groups of many sizes.

use super::drawing::draw;
use super::layout::{Card, LABEL, Layout, Point, curve};
use super::picture::{Link, Picture};
use quilt_tokio::proto::survey::{Parent, Patch, Representative, Survey};
use quilt_tokio::proto::wire::Scope;
use quilt_tokio::proto::{GroupId, HostTag, PatchId, ProtocolId};
use std::time::Duration;

/// A group of so many patches: the forwarding representatives form a tree of some degree, the
/// others are leaves anywhere in it.
fn survey(patches: u32, members: u32, representatives: u32, degree: u32) -> Survey {
    let host =
        |patch: u32, nth: u32| HostTag((u64::from(patch * 16 + nth + 1) * 0x9e37_79b9) << 32);
    let region = |patch: u32| Patch {
        patch: PatchId((patch + 1) * 0x0101_0101),
        scope: Scope::Regional,
        protocol: [ProtocolId::IPMC, ProtocolId::DONET, ProtocolId::OMNI][patch as usize % 3],
        members,
        representatives: (0..representatives.min(members))
            .map(|nth| {
                let above = match (patch, nth) {
                    (0, 0) => None,
                    (_, 0) => Some((patch - 1) / degree),
                    _ => Some((patch + nth * 5) % patches.div_ceil(degree)),
                };
                let round_trip =
                    Some(Duration::from_micros(u64::from(patch * 977 + nth * 311 + 90)));
                let parent = above.map(|above| Parent { host: host(above, 0), round_trip });
                Representative { host: host(patch, nth), forwards: nth == 0, parent }
            })
            .collect(),
    };
    let inter = Patch {
        patch: PatchId::INTER_PATCH,
        scope: Scope::InterPatch,
        protocol: ProtocolId::OMNI,
        members: patches * representatives,
        representatives: vec![],
    };
    let regions = (0..patches).map(region);
    Survey {
        group: GroupId::named("news"),
        hosts: patches * members,
        patches: std::iter::once(inter).chain(regions).collect(),
    }
}

/// Groups from one host to a thousand, with all that may make a picture crowded.
fn surveys() -> impl Iterator<Item = Survey> {
    (1..=64).flat_map(|patches| {
        [(1, 2), (2, 6), (3, 6), (3, 2), (6, 3)].map(|(representatives, degree)| {
            survey(patches, 1_000 / patches, representatives, degree)
        })
    })
}

/// Without the ends of lines, which mean nothing.
fn written(picture: &Picture, moment: &str) -> String {
    draw(picture, moment).to_string().replace('\n', "")
}

#[derive(Clone, Copy, Debug)]
struct Area {
    from: Point,
    to: Point,
}

impl Area {
    fn around(at: Point, width: f64, height: f64) -> Self {
        let half = Point { x: width / 2.0, y: height / 2.0 };
        Self { from: at + half * -1.0, to: at + half }
    }

    fn card(card: &Card, layout: &Layout) -> Self {
        let size = Point { x: layout.sizes.width, y: layout.sizes.height };
        Self { from: card.at, to: card.at + size }
    }

    fn meets(&self, other: &Self) -> bool {
        self.from.x < other.to.x
            && other.from.x < self.to.x
            && self.from.y < other.to.y
            && other.from.y < self.to.y
    }

    fn holds(&self, at: Point) -> bool {
        self.meets(&Self { from: at, to: at })
    }
}

#[test]
fn every_patch_representative_and_link_is_drawn() {
    let survey = survey(4, 40, 2, 6);
    let picture = Picture::of("news", &survey);
    let svg = written(&picture, "14:05:33 UTC on 21 November 2026");
    for text in [
        "Group news",
        "160 hosts in 4 patches, sewn together by 8 representatives (OMNI tree)",
        "Surveyed at 14:05:33 UTC on 21 November 2026",
        "role=\"img\"",
        "patch 01010101",
        "patch 04040404",
        ">IP multicast<",
        ">DONet mesh<",
        ">40 members<",
        ">+18<",
        ">root<",
        ">1.1 ms<",
        "Patch 02020202 runs DONet mesh and has 40 members.",
        "is below 9e3779b9, round trip 400 µs",
    ] {
        assert!(svg.contains(text), "{text} is missing in {svg}");
    }
    let count = |text: &str| svg.matches(text).count();
    let duties = ["root of the tree</title>", "forwards</title>", "stands by</title>"].map(count);
    assert_eq!(duties, [1, 3, 4]);
    assert_eq!(count(" ms</text>") + count(" µs</text>"), 7, "one for each but the root");
    assert_eq!(count(" C"), 7, "and as many curves");
}

#[test]
fn the_same_group_looks_the_same() {
    for survey in surveys() {
        let draw = || draw(&Picture::of("news", &survey), "now").to_string();
        assert_eq!(draw(), draw());
    }
}

#[test]
fn names_do_no_harm() {
    let svg = |name: &str| written(&Picture::of(name, &survey(1, 1, 1, 1)), "now");
    assert!(svg("<a> & \u{7}\"b\"").contains("Group &lt;a&gt; &amp; \u{fffd}\"b\""));
    assert!(svg(&"long".repeat(50)).contains(&format!(">Group {}lon…<", "long".repeat(9))));
}

#[test]
fn stale_and_missing_parents_leave_a_picture() {
    let mut survey = survey(3, 4, 2, 1);
    let whole = |survey: &Survey| {
        let picture = Picture::of("news", survey);
        draw(&picture, "now");
        (picture.patches.len(), picture.links.len(), picture.is_whole())
    };
    assert_eq!(whole(&survey), (3, 5, true));
    let round_trip = None;
    // The root below its grandchild, and one below a host that is gone.
    let below = survey.patches[3].representatives[0].host;
    survey.patches[1].representatives[0].parent = Some(Parent { host: below, round_trip });
    survey.patches[2].representatives[1].parent = Some(Parent { host: HostTag(7), round_trip });
    assert_eq!(whole(&survey), (3, 5, false));
    survey.patches.iter_mut().for_each(|patch| patch.representatives.clear());
    assert_eq!(whole(&survey), (3, 0, true));
    survey.patches.clear();
    assert_eq!(whole(&survey), (0, 0, true));
}

#[test]
fn a_host_in_two_patches_has_one_link() {
    let mut survey = survey(3, 4, 1, 6);
    survey.patches[3].representatives = survey.patches[2].representatives.clone();
    survey.patches[2].representatives[0].forwards = false;
    let picture = Picture::of("news", &survey);
    assert_eq!((picture.links.len(), picture.representatives), (1, 2));
    assert!(picture.seat(picture.links[0].child).unwrap().forwards);
    assert!(picture.is_whole());
}

#[test]
fn links_of_forwarding_representatives_do_not_cross_in_the_order_of_patches() {
    for survey in surveys() {
        let picture = Picture::of("news", &survey);
        let chords = picture.links.iter().filter(|link| link.forwards).map(|link| {
            let (a, b) = (link.child.0, link.parent.0);
            (a.min(b), a.max(b))
        });
        let chords: Vec<_> = chords.collect();
        for &(a, b) in &chords {
            let crosses = |&&(c, d): &&(usize, usize)| a < c && c < b && b < d;
            assert_eq!(
                chords.iter().find(crosses),
                None,
                "({a}, {b}) of {}",
                picture.patches.len()
            );
        }
    }
}

#[test]
fn nothing_lies_on_anything_else() {
    for survey in surveys() {
        let picture = Picture::of("news", &survey);
        let layout = Layout::of(&picture);
        let cards: Vec<Area> = layout.cards.iter().map(|card| Area::card(card, &layout)).collect();
        let ports = || layout.cards.iter().flat_map(|card| &card.ports);
        let labels: Vec<Area> =
            ports().map(|port| Area::around(port.label, LABEL.0 - 4.0, LABEL.1 - 3.0)).collect();
        let signs: Vec<Area> = ports().map(|port| Area::around(port.at, 12.0, 12.0)).collect();
        let canvas = Area {
            from: Point { x: 0.0, y: 90.0 },
            to: Point { x: layout.width, y: layout.bottom + 1.0 },
        };
        let what =
            format!("{} patches, {:?}", cards.len(), survey.patches[1].representatives.len());
        for (nth, card) in cards.iter().enumerate() {
            assert!(cards[..nth].iter().all(|other| !card.meets(other)), "{what}: patch {nth}");
            assert!(labels.iter().all(|label| !card.meets(label)), "{what}: patch {nth}");
            assert!(canvas.holds(card.from) && canvas.holds(card.to), "{what}: patch {nth}");
        }
        for dot in dots(&picture) {
            assert!(cards.iter().any(|card| card.holds(dot.from) && card.holds(dot.to)), "{what}");
            assert!(signs.iter().all(|sign| !dot.meets(sign)), "{what}: {dot:?}");
        }
        for (nth, label) in labels.iter().enumerate() {
            assert!(signs.iter().all(|sign| !label.meets(sign)), "{what}: {label:?}");
            assert!(labels[..nth].iter().all(|other| !label.meets(other)), "{what}: {label:?}");
        }
        for link in &picture.links {
            let port = |(patch, seat): (usize, usize)| &layout.cards[patch].ports[seat];
            let ends = curve(port(link.parent), port(link.child));
            for at in (0..=50).map(|step| bezier(ends, f64::from(step) / 50.0)) {
                let free = cards.iter().chain(&labels).all(|area| !area.holds(at));
                assert!(free && canvas.holds(at), "{what}: {link:?} at {at:?}");
            }
        }
    }
}

#[test]
fn in_a_small_group_no_two_links_of_forwarding_representatives_cross() {
    for survey in surveys().filter(|survey| survey.patches.len() <= 7) {
        let picture = Picture::of("news", &survey);
        let layout = Layout::of(&picture);
        let port = |(patch, seat): (usize, usize)| &layout.cards[patch].ports[seat];
        let links: Vec<_> = picture.links.iter().filter(|link| link.forwards).collect();
        let path = |link: &Link| curve(port(link.parent), port(link.child));
        for (nth, link) in links.iter().enumerate() {
            let crossed = links[..nth].iter().find(|other| cross(path(link), path(other)));
            assert_eq!(crossed, None, "{link:?} of {}", picture.patches.len());
        }
    }
}

/// The members as they are drawn.
fn dots(picture: &Picture) -> Vec<Area> {
    let svg = written(picture, "now");
    let circles = svg.split("<circle ").skip(1).filter(|circle| !circle.contains("stroke="));
    let number = |circle: &str, name: &str| {
        let (_, rest) = circle.split_once(&format!("{name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.parse().unwrap()
    };
    // The last one is the legend's.
    let circles: Vec<&str> = circles.collect();
    let (_, circles) = circles.split_last().unwrap();
    let area = |circle: &&str| {
        let at = Point { x: number(circle, "cx"), y: number(circle, "cy") };
        Area::around(at, 2.0 * number(circle, "r"), 2.0 * number(circle, "r"))
    };
    circles.iter().map(area).collect()
}

/// Whether two curves meet elsewhere than at an end that they share.
fn cross(one: [Point; 4], other: [Point; 4]) -> bool {
    if one[0] == other[0] {
        return false;
    }
    let pieces = |ends| {
        let points = (0..=60).map(move |step| bezier(ends, f64::from(step) / 60.0));
        points.collect::<Vec<_>>()
    };
    let side = |a: Point, b: Point, c: Point| (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
    let (one, other) = (pieces(one), pieces(other));
    one.windows(2).any(|a| {
        other.windows(2).any(|b| {
            side(a[0], a[1], b[0]) * side(a[0], a[1], b[1]) < 0.0
                && side(b[0], b[1], a[0]) * side(b[0], b[1], a[1]) < 0.0
        })
    })
}

fn bezier([a, b, c, d]: [Point; 4], t: f64) -> Point {
    let s = 1.0 - t;
    a * (s * s * s) + b * (3.0 * s * s * t) + c * (3.0 * s * t * t) + d * (t * t * t)
}
