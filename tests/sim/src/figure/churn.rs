//! Figures 10 and 15: throughput while half of the hosts die.

use super::{Case, Played, axis, line, mean, mean_series, number, play, runs_note, violations};
use crate::paper::{Fact, Outcome, Request, Sheet, Watch};
use crate::plot::{Line, Plot};
use crate::run::{Kill, Spec};
use std::time::Duration;

/// Messages a second (the paper's video of section 5.3 has ten segments a second).
const RATE: f64 = 10.0;
/// When hosts die, after the first message.
const KILL: Duration = Duration::from_secs(40);
const DURATION: Duration = Duration::from_secs(65);

/// A figure of two parts, each with its own rate.
pub(super) struct Figure {
    name: &'static str,
    title: &'static str,
    scenario: &'static str,
    /// In bit/s.
    rates: [f64; 2],
    /// How many times lower the rates are without `--full`.
    lower_rates: f64,
    paper_hosts: usize,
    said: [&'static str; 3],
}

pub(super) const DATA_CENTER: Figure = Figure {
    name: "figure-10",
    title: "Figure 10. DATA CENTER: throughput while half of the hosts die",
    scenario: "datacenter",
    rates: [10e6, 50e6],
    lower_rates: 20.0,
    paper_hosts: 1531,
    said: ["about 10", "faster than k = 1", "no patch is cut off; the tree about 2"],
};

pub(super) const INTERNET: Figure = Figure {
    name: "figure-15",
    title: "Figure 15. INTERNET: throughput while half of the hosts die",
    scenario: "internet",
    rates: [200e3, 500e3],
    lower_rates: 1.0,
    paper_hosts: 951,
    said: ["within 10", "within 10", "within 10"],
};

pub(super) fn make(
    figure: &Figure,
    request: &Request,
    watch: &mut Watch<'_>,
) -> Result<Outcome, String> {
    let hosts = request.hosts.unwrap_or(figure.paper_hosts);
    let lower = if request.full { 1.0 } else { figure.lower_rates };
    let mut outcome = Outcome {
        name: figure.name.into(),
        title: figure.title.into(),
        facts: Vec::new(),
        notes: vec![runs_note(request), scale_note(hosts, figure.paper_hosts, lower)],
        sheet: Sheet::new(&["part", "line", "s", "mbit_per_s"]),
        plots: Vec::new(),
    };
    for (part, paper_bps) in ["a", "b"].into_iter().zip(figure.rates) {
        let bps = paper_bps / lower;
        let mut lines: Vec<Line> = Vec::new();
        for (k, said) in (1..).zip(figure.said) {
            let case = Case::quilt(figure.scenario, k);
            let played = play(&case, Some(hosts), request, watch, |spec| set(spec, bps))?;
            outcome.facts.extend(facts(&format!("{} Mbit/s, k = {k}", bps / 1e6), said, &played));
            outcome.notes.extend(violations(&case, &played));
            let points = throughput(&played, bps);
            for (at, rate) in &points {
                let cells = [part.into(), case.name(), at.to_string(), format!("{rate:.4}")];
                outcome.sheet.push(cells);
            }
            lines.push(line(case.name(), points));
        }
        let title = format!("{} ({part}: {} Mbit/s)", figure.title, bps / 1e6);
        outcome.plots.push((part.into(), plot(title, request, &outcome.notes, lines)));
    }
    Ok(outcome)
}

/// One stream, and half of the hosts die.
pub(super) fn set(spec: &mut Spec, bps: f64) {
    spec.rate = RATE;
    spec.size = (bps / 8.0 / RATE) as usize;
    spec.duration = DURATION;
    spec.kill = Some(Kill { fraction: 0.5, at: KILL });
    spec.population.publish_bytes_per_second = (bps as u64).max(12_500_000);
}

pub(super) fn scale_note(hosts: usize, paper_hosts: usize, lower: f64) -> String {
    let rates = match lower {
        1.0 => "at the paper's rates".into(),
        lower => format!(
            "at rates {lower} times lower than the paper's (with --full they are the paper's)"
        ),
    };
    format!(
        "{hosts} hosts (the paper: {paper_hosts}), {rates}, in {RATE} messages a second; half of \
         the hosts die {} s after the first message.",
        KILL.as_secs()
    )
}

/// What a surviving host gets on the average, by second since the first message.
fn throughput(played: &[Played], bps: f64) -> Vec<(f64, f64)> {
    let series: Vec<Vec<f64>> = played.iter().map(|one| ratios(one).to_vec()).collect();
    let mbps = mean_series(&series).into_iter().map(|ratio| ratio * bps / 1e6);
    (0..).map(f64::from).zip(mbps).collect()
}

fn ratios(played: &Played) -> &[f64] {
    played.report.recovery.as_ref().map_or(&[], |recovery| &recovery.delivered_ratio_per_second)
}

fn facts(of: &str, said: &str, played: &[Played]) -> [Fact; 3] {
    let after = |played: &Played| {
        let seconds = ratios(played).get(KILL.as_secs() as usize..).unwrap_or(&[]);
        seconds.iter().copied().fold(1.0, f64::min)
    };
    let least = played.iter().map(after).sum::<f64>() / played.len() as f64;
    let full_rate = |worst: bool| {
        mean(played, |report| {
            let times = report.recovery.as_ref()?.full_rate_after_ms;
            Some(if worst { times.worst? } else { times.median? } / 1_000.0)
        })
    };
    let fact = |what: &str, paper, measured| Fact::new(&format!("{of}: {what}"), paper, measured);
    [
        fact("s until the last survivor has the full rate", said, full_rate(true)).limit(0),
        fact("s until half of them have it", "not in the text", full_rate(false)).limit(0),
        fact("least of a second that came, %", "not in the text", number(100.0 * least)).limit(100),
    ]
}

fn plot(title: String, request: &Request, notes: &[String], lines: Vec<Line>) -> Plot {
    let counted = "A message counts if it comes within a second of its publication; the mean is \
                   over the hosts that survive.";
    Plot {
        title,
        command: request.command.clone(),
        notes: notes.iter().cloned().chain([counted.into()]).collect(),
        x: axis("time since the first message, s", false),
        y: axis("mean throughput, Mbit/s", false),
        lines,
        moments: vec![(KILL.as_secs_f64(), "half of the hosts die".into())],
    }
}
