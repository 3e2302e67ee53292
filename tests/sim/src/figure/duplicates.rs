//! Figure 11: duplicates with three representatives in each region.

use super::{
    Case, Played, axis, churn, line, mean, mean_series, number, play, runs_note, violations,
};
use crate::paper::{Fact, Outcome, Request, Watch};
use crate::plot::Plot;
use quilt_proto::{RelayDigest, RelaySync};

const TITLE: &str = "Figure 11. DATA CENTER: duplicates, k = 3";
const PAPER_HOSTS: usize = 1531;
/// How many times lower the rate is without `--full`.
const LOWER_RATE: f64 = 10.0;
const PAPER_BPS: f64 = 10e6;
/// What is compared, and what the paper says of it.
const WAYS: [(&str, RelaySync, RelayDigest, &str); 3] = [
    ("Bloom filters only", RelaySync::Off, RelayDigest::Bloom, "about 100"),
    ("two-phase sync", RelaySync::TwoPhase, RelayDigest::Exact, "1.2"),
    ("ranked standbys", RelaySync::Ranked, RelayDigest::Exact, "not in it"),
];
/// Where the first second with a message is.
const START: usize = 5;

pub(super) fn make(request: &Request, watch: &mut Watch<'_>) -> Result<Outcome, String> {
    let lower = if request.full { 1.0 } else { LOWER_RATE };
    let hosts = request.hosts.unwrap_or(PAPER_HOSTS);
    let bps = PAPER_BPS / lower;
    let case = Case::quilt("datacenter", 3);
    let mut notes = vec![runs_note(request), churn::scale_note(hosts, PAPER_HOSTS, lower)];
    notes.push("Counted are fragments that came again, as the paper counts segments.".into());
    let (mut facts, mut lines) = (Vec::new(), Vec::new());
    for (name, sync, digest, said) in WAYS {
        let played = play(&case, Some(hosts), request, watch, |spec| {
            churn::set(spec, bps);
            (spec.population.sync, spec.population.digest) = (sync, digest);
        })?;
        let seconds = |one: &Played| {
            let all = &one.report.series.duplicates_per_s;
            all.iter().skip(START).map(|&count| count as f64).collect()
        };
        let series = mean_series(&played.iter().map(seconds).collect::<Vec<_>>());
        let most = series.iter().copied().fold(0.0, f64::max);
        let percent = mean(&played, |report| Some(report.duplicates.unsolicited_percent));
        let of = |what: &str| format!("{name}: {what}");
        facts.push(Fact::new(&of("duplicates, % of what came first"), said, percent).limit(0));
        facts.push(Fact::new(&of("most in a second"), "not in the text", number(most)).limit(0));
        notes.extend(violations(&case, &played));
        lines.push(line(name.into(), (0..).map(f64::from).zip(series).collect()));
    }
    let plot = Plot {
        title: TITLE.into(),
        command: request.command.clone(),
        notes: notes.clone(),
        x: axis("time since the first message, s", false),
        y: axis("duplicate fragments per s, all hosts", false),
        lines,
        moments: vec![(40.0, "half of the hosts die".into())],
    };
    Ok(Outcome {
        name: "figure-11".into(),
        title: TITLE.into(),
        facts,
        notes,
        sheet: super::sheet("s", "duplicates_per_s", &plot.lines),
        plots: vec![(String::new(), plot)],
    })
}
