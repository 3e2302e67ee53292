//! Figures 9 and 12: how many hosts have one message by when.

use super::{Case, Played, axis, mean, outcome, play, runs_note, sheet, violations};
use crate::measure::ms;
use crate::paper::{Fact, Outcome, Request, Watch};
use crate::plot::{Line, Plot};
use crate::population::System;
use std::time::Duration;

/// What is compared, with the milliseconds after which the paper's hosts all have the message.
pub(super) struct Figure {
    name: &'static str,
    title: &'static str,
    cases: [(Case, &'static str); 2],
}

pub(super) const DATA_CENTER: Figure = Figure {
    name: "figure-09",
    title: "Figure 9. DATA CENTER: hosts that have received a message",
    cases: [
        (Case::quilt("datacenter", 1), "about 14"),
        (Case::pure("datacenter", System::Omni), "up to 40"),
    ],
};

pub(super) const INTERNET: Figure = Figure {
    name: "figure-12",
    title: "Figure 12. INTERNET: hosts that have received a message",
    cases: [(Case::quilt("internet", 1), "4000"), (Case::pure("internet", System::Donet), "60000")],
};

pub(super) fn make(
    figure: &Figure,
    request: &Request,
    watch: &mut Watch<'_>,
) -> Result<Outcome, String> {
    let (mut lines, mut facts, mut notes) = (Vec::new(), Vec::new(), vec![runs_note(request)]);
    let mut limit = None;
    for (case, said) in &figure.cases {
        // One message: the next would come when publishing is over.
        let one = |spec: &mut crate::run::Spec| spec.duration = Duration::from_millis(50);
        let played = play(case, request.hosts, request, watch, one)?;
        let name = case.name();
        let last = mean(&played, |report| {
            let all = report.delivery.delivered == report.delivery.expected;
            all.then_some(report.delivery.latency.max_ms)
        });
        let direct_last = mean(&played, |report| Some(report.delivery.limit_max_ms));
        let half = mean(&played, |report| Some(report.delivery.latency.p50_ms));
        let direct_half = mean(&played, |report| Some(report.delivery.limit_p50_ms));
        let what = |what: &str| format!("{name}: ms until {what}");
        facts.extend([
            Fact::new(&what("all hosts have it"), said, last).limit(direct_last),
            Fact::new(&what("half of them have it"), "not in the text", half).limit(direct_half),
        ]);
        notes.extend(violations(case, &played));
        let reached: Vec<Vec<(f64, u64)>> =
            played.iter().map(|one| one.report.series.receivers_reached.clone()).collect();
        lines.push(Line { name, steps: true, points: mean_steps(&reached) });
        limit.get_or_insert_with(|| mean_steps(&played.iter().map(direct).collect::<Vec<_>>()));
    }
    let points = limit.unwrap_or_default();
    lines.push(Line { name: "limit: the direct way".into(), steps: true, points });
    notes.push("The limit is the propagation delay from the source, and nothing else.".into());
    let plot = Plot {
        title: figure.title.into(),
        command: request.command.clone(),
        notes,
        x: axis("time since the message was published, ms", true),
        y: axis("receivers", false),
        lines,
        moments: Vec::new(),
    };
    let sheet = sheet("ms", "receivers", &plot.lines);
    Ok(outcome(figure.name, facts, sheet, plot))
}

/// When each host could have had the message at the earliest.
fn direct(played: &Played) -> Vec<(f64, u64)> {
    let Played { topology, source, .. } = played;
    let others = (0..topology.hosts.len()).filter(|host| host != source);
    let mut times: Vec<f64> = others.map(|to| ms(topology.one_way(*source, to))).collect();
    times.sort_by(f64::total_cmp);
    times.into_iter().zip(1..).collect()
}

/// The mean of lines of steps.
fn mean_steps(runs: &[Vec<(f64, u64)>]) -> Vec<(f64, f64)> {
    let mut steps: Vec<(f64, u64)> = Vec::new();
    for run in runs {
        let before = std::iter::once(0).chain(run.iter().map(|&(_, count)| count));
        steps.extend(run.iter().zip(before).map(|(&(at, count), before)| (at, count - before)));
    }
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut sum = 0;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (at, more) in steps {
        sum += more;
        let mean = sum as f64 / runs.len() as f64;
        match points.last_mut().filter(|last| last.0 == at) {
            Some(last) => last.1 = mean,
            None => points.push((at, mean)),
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_several_runs_are_averaged_where_any_of_them_has_one() {
        let runs = [vec![(1.0, 1), (3.0, 4)], vec![(1.0, 1), (2.0, 2)]];
        assert_eq!(mean_steps(&runs), [(1.0, 1.0), (2.0, 1.5), (3.0, 3.0)]);
        assert_eq!(mean_steps(&[]), []);
    }
}
