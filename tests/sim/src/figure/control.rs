//! Figure 14: control messages while one block is sent.

use super::{Case, Played, axis, line, mean_series, number, play, runs_note, sheet, violations};
use crate::paper::{Fact, Outcome, Request, Watch};
use crate::plot::Plot;
use crate::population::System;
use crate::report::Series;
use std::time::Duration;

const TITLE: &str = "Figure 14. INTERNET: control messages while one block is sent";
/// The second in which the block is published.
const START: usize = 5;
/// How many seconds are shown.
const SHOWN: usize = 10;

pub(super) fn make(request: &Request, watch: &mut Watch<'_>) -> Result<Outcome, String> {
    let (mut lines, mut facts, mut notes) = (Vec::new(), Vec::new(), vec![runs_note(request)]);
    for case in [Case::quilt("internet", 1), Case::pure("internet", System::Donet)] {
        let played = play(&case, request.hosts, request, watch, |spec| {
            // The next block comes when what is shown is over, and keeps the run going until then.
            spec.rate = 1.0 / SHOWN as f64;
            spec.duration = Duration::from_secs(SHOWN as u64) + Duration::from_millis(1);
        })?;
        let mean = |of: fn(&Series) -> &[u64]| {
            let seconds = |one: &Played| {
                let shown = of(&one.report.series).iter().skip(START).take(SHOWN);
                shown.map(|&count| count as f64).collect()
            };
            mean_series(&played.iter().map(seconds).collect::<Vec<_>>())
        };
        let of_omni = mean(|series| &series.omni_messages_per_s);
        let series = mean(|series| &series.control_messages_per_s);
        let (name, sum) = (case.name(), series.iter().sum::<f64>());
        let what = format!("{name}: messages in {SHOWN} s");
        let said = match case.system {
            System::Quilt => "substantially fewer than DONet",
            System::Omni | System::Donet => "not in the text",
        };
        facts.push(Fact::new(&what, said, number(sum)).limit(0));
        if case.system == System::Quilt {
            let what = format!("{name}, frames of OMNI only");
            let sum = number(of_omni.iter().sum());
            facts.push(Fact::new(&format!("{what}: messages in {SHOWN} s"), said, sum).limit(0));
            lines.push(line(what, (0..).map(f64::from).zip(of_omni).collect()));
        }
        notes.extend(violations(&case, &played));
        lines.push(line(name, (0..).map(f64::from).zip(series).collect()));
    }
    notes.push(
        "All packets without payload that any host sends count, for whatever reason; the block \
         has 1000 bytes."
            .into(),
    );
    let plot = Plot {
        title: TITLE.into(),
        command: request.command.clone(),
        notes: notes.clone(),
        x: axis("time since the block was published, s", false),
        y: axis("control messages per s, all hosts", false),
        lines,
        moments: Vec::new(),
    };
    Ok(Outcome {
        name: "figure-14".into(),
        title: TITLE.into(),
        facts,
        notes,
        sheet: sheet("s", "messages_per_s", &plot.lines),
        plots: vec![(String::new(), plot)],
    })
}
