//! Figures 8 and 13: control messages while the tree is built.

use super::{Case, axis, line, mean, mean_series, outcome, play, runs_note, sheet, violations};
use crate::paper::{Fact, Outcome, Request, Watch};
use crate::plot::Plot;
use crate::population::System;
use crate::report::Series;
use crate::topology::Topology;
use std::time::Duration;

/// What is compared, and what the paper says of it.
pub(super) struct Figure {
    name: &'static str,
    title: &'static str,
    cases: [(Case, Said); 2],
}

struct Said {
    complete_ms: &'static str,
    peak: &'static str,
}

const NOTHING: Said = Said { complete_ms: "not in the text", peak: "not in the text" };

pub(super) const DATA_CENTER: Figure = Figure {
    name: "figure-08",
    title: "Figure 8. DATA CENTER: control messages while the tree is built",
    cases: [
        (Case::quilt("datacenter", 1), Said { complete_ms: "less than 30", peak: "less than 3" }),
        (
            Case::pure("datacenter", System::Omni),
            Said { complete_ms: "about 190", peak: "over 350" },
        ),
    ],
};

pub(super) const INTERNET: Figure = Figure {
    name: "figure-13",
    title: "Figure 13. INTERNET: control messages while the tree is built",
    cases: [(Case::quilt("internet", 1), NOTHING), (Case::pure("internet", System::Omni), NOTHING)],
};

/// The mean of each part of a logarithmic scale, at its end: a millisecond late in a long build
/// would be narrower than a line.
fn binned(per_ms: &[f64]) -> Vec<(f64, f64)> {
    const PARTS_A_DECADE: f64 = 40.0;
    let mut points = Vec::new();
    let mut start = 0;
    while start < per_ms.len() {
        let end = (start as f64 * 10_f64.powf(1.0 / PARTS_A_DECADE)).round() as usize;
        let part = &per_ms[start..end.clamp(start + 1, per_ms.len())];
        start += part.len();
        points.push((start as f64, part.iter().sum::<f64>() / part.len() as f64));
    }
    points
}

pub(super) fn make(
    figure: &Figure,
    request: &Request,
    watch: &mut Watch<'_>,
) -> Result<Outcome, String> {
    let (mut lines, mut facts, mut notes) = (Vec::new(), Vec::new(), vec![runs_note(request)]);
    for (case, said) in &figure.cases {
        let played =
            play(case, request.hosts, request, watch, |spec| spec.duration = Duration::ZERO)?;
        let per_ms = |series: &[u32]| series.iter().map(|&count| f64::from(count)).collect();
        let series = |of: fn(&Series) -> &[u32]| {
            let all = played.iter().map(|one| per_ms(of(&one.report.series)));
            mean_series(&all.collect::<Vec<Vec<f64>>>())
        };
        let of_omni = series(|series| &series.omni_messages_per_ms);
        let series = series(|series| &series.tree_messages_per_ms);
        let name = case.name();
        let fact =
            |what: &str, paper, measured| Fact::new(&format!("{name}: {what}"), paper, measured);
        let in_tree = |hosts: usize, patches: usize| match case.system {
            System::Quilt => patches,
            System::Omni | System::Donet => hosts,
        };
        // Whoever is below somebody asked for it, and was told so.
        let least = played.first().map_or(0, |one| {
            2 * in_tree(one.report.hosts, one.report.patches.len()).saturating_sub(1)
        });
        let most = |series: &[f64]| series.iter().copied().fold(0.0, f64::max);
        let (peak, omni_peak) = (most(&series), most(&of_omni));
        facts.extend([
            fact(
                "ms from a host's admission until it has a parent, at most",
                said.complete_ms,
                mean(&played, |report| report.build.complete_ms),
            )
            .limit(0),
            fact(
                "ms from the joins until the last host has a parent",
                "not in the text",
                mean(&played, |report| {
                    let whole = report.build.complete_ms.is_some();
                    whole.then_some(report.series.tree_messages_per_ms.len() as f64)
                }),
            )
            .limit(
                played.first().map_or(String::new(), |one| super::number(remotest(&one.topology))),
            ),
            fact("most messages in a ms", said.peak, super::number(peak)),
            fact("most messages of OMNI in a ms", said.peak, super::number(omni_peak)),
            fact(
                "messages until the tree is complete",
                "not in the text",
                mean(&played, |report| report.build.tree_messages.map(|sent| sent as f64)),
            )
            .limit(least),
        ]);
        notes.extend(violations(case, &played));
        lines.push(line(format!("{name}, frames of OMNI only"), binned(&of_omni)));
        lines.push(line(name, binned(&series)));
    }
    notes.push(
        "All control messages of all hosts count, those of joining, of IP multicast and of DONet \
         too; the paper does not say what its figure counts. Packets with frames of OMNI, which \
         build the tree, have a line of their own. A point is the mean of a fortieth of \
         a decade, or of a millisecond where that is longer. A line ends when the last host has \
         its first parent. The limit of messages is a question and an answer for each host below \
         another one; that of time is no time once a host is admitted, and from the joins on the \
         longest round trip from a host to the one nearest to it."
            .into(),
    );
    let plot = Plot {
        title: figure.title.into(),
        command: request.command.clone(),
        notes,
        x: axis("time since the hosts joined, ms", true),
        y: axis("control messages per ms", true),
        lines,
        moments: Vec::new(),
    };
    let sheet = sheet("ms", "messages_per_ms", &plot.lines);
    Ok(outcome(figure.name, facts, sheet, plot))
}

/// The longest round trip from a host to the one nearest to it, in milliseconds.
fn remotest(topology: &Topology) -> f64 {
    let hosts = || 0..topology.hosts.len();
    let nearest = |host| {
        let others = hosts().filter(|&other| other != host);
        others.map(|other| topology.one_way(host, other)).min().unwrap_or_default()
    };
    hosts().map(nearest).max().unwrap_or_default().as_secs_f64() * 2e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_milliseconds_stand_alone_and_late_ones_together() {
        let per_ms: Vec<f64> = (0..1_000).map(f64::from).collect();
        let points = binned(&per_ms);
        assert_eq!(points[..3], [(1.0, 0.0), (2.0, 1.0), (3.0, 2.0)]);
        assert_eq!(points.last().map(|last| last.0), Some(1_000.0));
        assert!(points.len() < 130, "{}", points.len());
        assert_eq!(binned(&[]), []);
    }

    #[test]
    fn the_remotest_host_is_the_one_whose_nearest_is_farthest() {
        assert_eq!(remotest(&Topology::lan(3).unwrap()), 0.2);
        // Those of a domain are half a millisecond apart.
        assert_eq!(remotest(&Topology::synthetic()), 1.0);
    }
}
