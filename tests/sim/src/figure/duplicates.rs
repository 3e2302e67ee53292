//! Figure 11: duplicates with three representatives in each region.

use super::{
    Case, Played, axis, churn, line, mean, mean_series, number, play, runs_note, violations,
};
use crate::paper::{Fact, Outcome, Request, Watch};
use crate::plot::Plot;

const TITLE: &str = "Figure 11. DATA CENTER: duplicates, k = 3";
const PAPER_HOSTS: usize = 1531;
/// Without `--full`: fewer hosts, and a lower rate.
const SCALE: usize = 10;
const PAPER_BPS: f64 = 10e6;
/// Where the first second with a message is.
const START: usize = 5;

pub(super) fn make(request: &Request, watch: &mut Watch<'_>) -> Result<Outcome, String> {
    let scale = if request.full { 1 } else { SCALE };
    let hosts = request.hosts.unwrap_or(PAPER_HOSTS / scale);
    let bps = PAPER_BPS / scale as f64;
    let case = Case::quilt("datacenter", 3);
    let played = play(&case, Some(hosts), request, watch, |spec| churn::set(spec, bps))?;
    let seconds = |one: &Played| {
        let all = &one.report.series.duplicates_per_s;
        all.iter().skip(START).map(|&count| count as f64).collect()
    };
    let series = mean_series(&played.iter().map(seconds).collect::<Vec<_>>());
    let most = series.iter().copied().fold(0.0, f64::max);
    let percent = mean(&played, |report| Some(report.duplicates.unsolicited_percent));
    let facts = vec![
        Fact::new(
            "duplicates, % of what came first",
            "1.2 (two-phase), about 100 (Bloom filters only)",
            percent,
        )
        .limit(0),
        Fact::new("most duplicates in a second", "not in the text", number(most)).limit(0),
    ];
    let mut notes = vec![runs_note(request), churn::scale_note(hosts, PAPER_HOSTS, scale as f64)];
    notes.push(
        "Shown is what the core does: one representative forwards, and the others stand by in \
         their rank. The paper's two-phase sync and Bloom filters do not exist in it. What is \
         counted are packets that were dropped as duplicates, where the paper counts segments."
            .into(),
    );
    notes.extend(violations(&case, &played));
    let lines = vec![line(
        "Quilt, k = 3, ranked standbys".into(),
        (0..).map(f64::from).zip(series).collect(),
    )];
    let plot = Plot {
        title: TITLE.into(),
        command: request.command.clone(),
        notes: notes.clone(),
        x: axis("time since the first message, s", false),
        y: axis("duplicate packets per s, all hosts", false),
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
