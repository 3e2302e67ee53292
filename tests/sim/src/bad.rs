//! What honest hosts get among bad ones, by how many are bad and what those do.

use crate::liar::Badness;
use crate::paper::{self, Fact, News, Outcome, Request, Sheet, Watch};
use crate::plot::{Axis, Line, Plot};
use crate::population::System;
use crate::run::Spec;
use quilt_proto::Rng;
use std::time::Duration;

/// How many of a hundred hosts are bad.
pub const PERCENTS: [usize; 4] = [0, 10, 20, 33];
const SYSTEMS: [System; 3] = [System::Quilt, System::Donet, System::Omni];
/// Where nothing else is asked for.
const HOSTS: usize = 60;
/// With fewer the least share of bad hosts would be none.
const LEAST_HOSTS: usize = 10;
const RATE: f64 = 20.0;
const PUBLISHING: Duration = Duration::from_secs(8);
/// What comes within so long after it was published counts as in time.
const IN_TIME: Duration = Duration::from_secs(1);

/// What honest hosts got in one run, in parts of what they should have got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Got {
    /// Until the end of the run.
    pub at_all: f64,
    /// Within a second.
    pub in_time: f64,
}

/// Plays one run of 8 s with 20 messages a second, in which so many of a hundred hosts, drawn by
/// the seed, but never the source, are bad from the beginning.
///
/// # Errors
/// There are no hosts, or more than the topology has.
pub fn play(
    system: System,
    badness: Badness,
    percent: usize,
    request: &Request,
    seed: u64,
    watch: &mut Watch<'_>,
) -> Result<Got, String> {
    let hosts = request.hosts.unwrap_or(HOSTS);
    let spec = request.spec("internet", system, Some(hosts), seed);
    let mut spec = spec.map_err(|error| error.to_string())?;
    set(&mut spec);
    let (mut run, progress) = paper::start(spec, watch);
    let source = run.source();
    let mut others: Vec<usize> = (0..hosts).filter(|&host| host != source).collect();
    Rng::new(seed).fork("bad hosts").shuffle(&mut others);
    let (bad, good) = others.split_at(hosts * percent / 100);
    bad.iter().for_each(|&host| run.set_lie(host, badness.lie()));
    run.play_through(progress);
    let mut honest = vec![false; hosts];
    good.iter().for_each(|&host| honest[host] = true);
    let came = run.deliveries().latencies(&honest).count() as f64;
    let at_all = came / run.deliveries().expected(&honest).max(1) as f64;
    Ok(Got { at_all, in_time: run.deliveries().continuity(&honest, IN_TIME) })
}

fn set(spec: &mut Spec) {
    (spec.rate, spec.duration) = (RATE, PUBLISHING);
}

/// Makes the figure: a picture for each system, a line for each way to be bad.
///
/// # Errors
/// There are fewer than ten hosts, of which a tenth is nobody; and as for [`play`].
pub fn make(request: &Request, watch: &mut Watch<'_>) -> Result<Outcome, String> {
    if let Some(hosts) = request.hosts.filter(|&hosts| hosts < LEAST_HOSTS) {
        return Err(format!("of {hosts} hosts 10 % are nobody; give {LEAST_HOSTS} hosts or more"));
    }
    let mut outcome = Outcome {
        name: "bad-hosts".into(),
        title: "What honest hosts get among bad ones".into(),
        facts: Vec::new(),
        notes: notes(request),
        sheet: Sheet::new(&["system", "bad hosts", "bad_percent", "seed", "came", "in_time"]),
        plots: Vec::new(),
    };
    let cases = SYSTEMS.len() * Badness::ALL.len() * PERCENTS.len();
    watch(News::Runs(cases as u64 * request.runs.max(1)));
    for system in SYSTEMS {
        let mut lines = Vec::new();
        for badness in Badness::ALL {
            let mut points = Vec::new();
            for percent in PERCENTS {
                let (mean, worst) =
                    several(system, badness, percent, request, watch, &mut outcome)?;
                points.push((percent as f64, mean));
                let what =
                    format!("{system}, {percent} % {}: worst run, % that came", badness.name());
                if percent > 0 {
                    outcome.facts.push(Fact::new(&what, "", format!("{worst:.2}")).limit(100));
                }
            }
            lines.push(Line { name: badness.name().into(), steps: false, points });
        }
        let plot = plot(system, request, &outcome.notes, lines);
        outcome.plots.push((format!("-{system}"), plot));
    }
    Ok(outcome)
}

/// The mean and the least of what came in several runs, in percent; each has its row.
fn several(
    system: System,
    badness: Badness,
    percent: usize,
    request: &Request,
    watch: &mut Watch<'_>,
    outcome: &mut Outcome,
) -> Result<(f64, f64), String> {
    let (mut sum, mut worst, mut runs) = (0.0, 100.0_f64, 0.0);
    for seed in request.seeds() {
        let got = play(system, badness, percent, request, seed, watch)?;
        let numbers = [got.at_all, got.in_time].map(|part| format!("{part:.5}"));
        let head =
            [system.to_string(), badness.name().into(), percent.to_string(), seed.to_string()];
        outcome.sheet.push(head.into_iter().chain(numbers));
        let came = got.at_all * 100.0;
        (sum, worst, runs) = (sum + came, worst.min(came), runs + 1.0);
    }
    Ok((sum / runs, worst))
}

fn notes(request: &Request) -> Vec<String> {
    let hosts = request.hosts.unwrap_or(HOSTS);
    let runs = request.runs.max(1);
    vec![
        format!(
            "Mean of {runs} runs from seed {} on, of {hosts} hosts of the Internet; {RATE} messages a \
             second for {} s. Bad hosts are drawn among all but the source.",
            request.seed,
            PUBLISHING.as_secs()
        ),
        "What came to honest hosts until the run ended, at most 10 s after the last message. The rest \
         was told as gaps, or not at all where a host was cut off."
            .into(),
    ]
}

fn plot(system: System, request: &Request, notes: &[String], lines: Vec<Line>) -> Plot {
    let axis = |label: &str| Axis { label: label.into(), log: false };
    Plot {
        title: format!("What honest hosts get among bad ones: {system}"),
        command: request.command.clone(),
        notes: notes.to_vec(),
        x: axis("bad hosts, %"),
        y: axis("deliveries to honest hosts, %"),
        lines,
        moments: Vec::new(),
    }
}
