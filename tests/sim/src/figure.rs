//! The paper's figures that a run can make again: 8 to 15.

mod build;
mod churn;
mod control;
mod duplicates;
mod reach;

use crate::paper::{self, Fact, News, Outcome, Request, Watch};
use crate::plot::{Axis, Line, Plot};
use crate::population::System;
use crate::report::Report;
use crate::run::Spec;
use crate::topology::Topology;

/// The figures that can be made.
pub const NUMBERS: std::ops::RangeInclusive<u8> = 8..=15;

/// Those that are at lower rates than the paper's if nothing else is asked for.
const LOWER: [u8; 2] = [10, 11];

/// Makes a figure.
///
/// # Errors
/// There is no such figure, or it cannot be made as asked.
pub fn make(number: u8, request: &Request, watch: &mut Watch<'_>) -> Result<Outcome, String> {
    if !NUMBERS.contains(&number) {
        return Err(format!("no figure {number}; there are {NUMBERS:?}"));
    }
    if request.full && !LOWER.contains(&number) {
        return Err(format!("figure {number} is at the paper's rates anyway; leave out --full"));
    }
    watch(News::Runs(cases(number) * request.runs.max(1)));
    match number {
        8 => build::make(&build::DATA_CENTER, request, watch),
        9 => reach::make(&reach::DATA_CENTER, request, watch),
        10 => churn::make(&churn::DATA_CENTER, request, watch),
        11 => duplicates::make(request, watch),
        12 => reach::make(&reach::INTERNET, request, watch),
        13 => build::make(&build::INTERNET, request, watch),
        14 => control::make(request, watch),
        _ => churn::make(&churn::INTERNET, request, watch),
    }
}

/// How many cases a figure has, each of which is played once for each seed.
fn cases(number: u8) -> u64 {
    match number {
        10 | 15 => 6,
        11 => 3,
        _ => 2,
    }
}

/// What runs where.
#[derive(Clone, Copy, Debug)]
struct Case {
    scenario: &'static str,
    system: System,
    k: u8,
}

impl Case {
    const fn quilt(scenario: &'static str, k: u8) -> Self {
        Self { scenario, system: System::Quilt, k }
    }

    const fn pure(scenario: &'static str, system: System) -> Self {
        Self { scenario, system, k: 1 }
    }

    fn name(&self) -> String {
        match self.system {
            System::Quilt => format!("Quilt, k = {}", self.k),
            System::Omni => "OMNI over all hosts".into(),
            System::Donet => "DONet over all hosts".into(),
        }
    }
}

/// A run that is over.
struct Played {
    report: Report,
    topology: Topology,
    source: usize,
}

/// Plays a case once for each seed.
fn play(
    case: &Case,
    hosts: Option<usize>,
    request: &Request,
    watch: &mut Watch<'_>,
    set: impl Fn(&mut Spec),
) -> Result<Vec<Played>, String> {
    let once = |seed| {
        let spec = request.spec(case.scenario, case.system, hosts, seed);
        let mut spec = spec.map_err(|error| error.to_string())?;
        spec.population.representatives = case.k;
        set(&mut spec);
        let topology = spec.topology.clone();
        let (run, report) = paper::play(spec, watch);
        Ok(Played { report, topology, source: run.source() })
    };
    request.seeds().map(once).collect()
}

/// What broke a claimed invariant, so that no figure hides it.
fn violations(case: &Case, played: &[Played]) -> Vec<String> {
    let said = |played: &Played| {
        let Report { seed, violations, .. } = &played.report;
        let name = case.name();
        violations
            .iter()
            .map(move |what| format!("Violated by {name}, seed {seed}: {what}."))
            .collect::<Vec<_>>()
    };
    played.iter().flat_map(said).collect()
}

/// The mean of a number over all runs that have it, and how many have not.
fn mean(played: &[Played], of: impl Fn(&Report) -> Option<f64>) -> String {
    let values: Vec<f64> = played.iter().filter_map(|played| of(&played.report)).collect();
    let without = played.len() - values.len();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    match (values.is_empty(), without) {
        (true, _) => "never".into(),
        (false, 0) => number(mean),
        (false, without) => format!("{} ({without} runs: never)", number(mean)),
    }
}

/// Three digits that say something, or all of a whole number.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The mean of series that begin together; one that ends early is zero from there on.
fn mean_series(series: &[Vec<f64>]) -> Vec<f64> {
    let len = series.iter().map(Vec::len).max().unwrap_or(0);
    let at = |nth: usize| series.iter().filter_map(|one| one.get(nth)).sum::<f64>();
    (0..len).map(|nth| at(nth) / series.len() as f64).collect()
}

fn axis(label: &str, log: bool) -> Axis {
    Axis { label: label.into(), log }
}

fn line(name: String, points: Vec<(f64, f64)>) -> Line {
    Line { name, steps: false, points }
}

/// A figure of one picture, whose title and notes are the figure's.
fn outcome(name: &str, facts: Vec<Fact>, sheet: paper::Sheet, plot: Plot) -> Outcome {
    let (title, notes) = (plot.title.clone(), plot.notes.clone());
    Outcome { name: name.into(), title, facts, notes, sheet, plots: vec![(String::new(), plot)] }
}

/// The rows of all lines, one point each.
fn sheet(x: &str, y: &str, lines: &[Line]) -> paper::Sheet {
    let mut sheet = paper::Sheet::new(&["line", x, y]);
    for line in lines {
        for (x, y) in &line.points {
            let rounded = |value: f64| ((value * 1e4).round() / 1e4).to_string();
            sheet.push([line.name.clone(), rounded(*x), rounded(*y)]);
        }
    }
    sheet
}

fn runs_note(request: &Request) -> String {
    match request.runs {
        0 | 1 => format!("One run, seed {}; the paper shows the mean of 10 runs.", request.seed),
        runs => format!("Mean of {runs} runs; the paper's is of 10."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::News;
    use std::time::Duration;

    #[test]
    fn what_a_run_of_a_figure_breaks_is_told_with_its_seed() {
        let request = Request { runs: 2, seed: 3, hosts: None, full: false, command: "".into() };
        let (case, mut wrong) = (Case::quilt("datacenter", 1), Vec::new());
        let mut watch = |news: News<'_>| {
            if let News::Wrong { seed, what } = news {
                wrong.push((seed, what.to_owned()));
            }
        };
        // So slow a processor admits nobody in time.
        let slow = |spec: &mut Spec| {
            (spec.cpu, spec.duration) = (Duration::from_millis(900), Duration::from_secs(1));
        };
        play(&case, Some(12), &request, &mut watch, slow).unwrap();
        let seeds: Vec<u64> = wrong.iter().map(|&(seed, _)| seed).collect();
        assert!(seeds.contains(&3) && seeds.contains(&4), "{wrong:?}");
        assert!(wrong[0].1.starts_with("violated: L1 at "), "{wrong:?}");
        assert!(wrong[0].1.ends_with(", by quilt on datacenter"), "{wrong:?}");
    }
}
