//! The paper's tables and figures, made again: what is asked for, and what came of it.

use crate::plot::Plot;
use crate::population::System;
use crate::report::Report;
use crate::run::{Run, Spec};
use crate::topology::{SiteLatency, Topology, TopologyError};
use quilt_proto::Time;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// How a table or a figure is to be made.
#[derive(Clone, Debug)]
pub struct Request {
    /// How many runs, with the seeds from `seed` on; what is shown is their mean. The paper made 10.
    pub runs: u64,
    /// The seed of the first run.
    pub seed: u64,
    /// How many hosts, where a figure leaves a choice; `None` is what the figure says of itself.
    pub hosts: Option<usize>,
    /// The paper's rates, also where that takes hours.
    pub full: bool,
    /// The command that makes the same again; figures show it.
    pub command: String,
}

/// Is told how the runs go.
pub type Watch<'a> = dyn FnMut(News<'_>) + 'a;

/// What there is to tell while something is made.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// There will be so many runs.
    Runs(u64),
    /// The next one begins; what is run.
    Begins(&'a str),
    /// It goes on.
    Progress {
        /// The virtual time.
        at: Time,
        /// When that ends.
        end: Time,
        /// How many packets have come.
        events: u64,
    },
    /// Something is not as it must be: a claimed invariant was broken, or a table is not the paper's.
    Wrong {
        /// The seed of the run.
        seed: u64,
        /// What.
        what: &'a str,
    },
}

impl Request {
    /// The seeds of its runs.
    pub fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        (0..self.runs.max(1)).map({
            let first = self.seed;
            move |run| first.wrapping_add(run)
        })
    }

    /// A run on one of the paper's topologies.
    ///
    /// # Errors
    /// There are no hosts, or too many.
    pub fn spec(
        &self,
        scenario: &str,
        system: System,
        hosts: Option<usize>,
        seed: u64,
    ) -> Result<Spec, TopologyError> {
        let topology = match scenario {
            "internet" => Topology::internet(hosts, seed)?,
            "router-stacks" => Topology::router_stacks(hosts, seed)?,
            _ => Topology::data_center(hosts, SiteLatency::Paper)?,
        };
        let mut spec = Spec::new(scenario, topology, system);
        spec.seed = seed;
        Ok(spec)
    }
}

/// Makes a run ready, of which `watch` is told, with a progress callback.
pub(crate) fn start<'a>(
    spec: Spec,
    watch: &'a mut Watch<'_>,
) -> (Run, impl FnMut(Time, Time, u64) + 'a) {
    let k = spec.population.representatives;
    let label =
        format!("{} on {}, k = {k}, seed {}", spec.population.system, spec.scenario, spec.seed);
    watch(News::Begins(&label));
    let progress = move |at, end, events| watch(News::Progress { at, end, events });
    (Run::new(spec), progress)
}

/// Plays a run, and tells of every claimed invariant that it breaks.
pub(crate) fn play(spec: Spec, watch: &mut Watch<'_>) -> (Run, Report) {
    let (mut run, progress) = start(spec, watch);
    let report = run.play_through(progress);
    let Report { scenario, system, seed, violations, .. } = &report;
    for violation in violations {
        let what = format!("violated: {violation}, by {system} on {scenario}");
        watch(News::Wrong { seed: *seed, what: &what });
    }
    (run, report)
}

/// A number of the paper beside what was measured and what cannot be beaten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What the numbers are about, with the unit.
    pub what: String,
    /// What the paper says.
    pub paper: String,
    /// What came of the runs.
    pub measured: String,
    /// What nothing can beat; empty if that is not known.
    pub limit: String,
}

impl Fact {
    /// Without a limit.
    pub fn new(what: &str, paper: &str, measured: impl fmt::Display) -> Self {
        let (what, paper) = (what.into(), paper.into());
        Self { what, paper, measured: measured.to_string(), limit: String::new() }
    }

    /// With a limit.
    #[must_use]
    pub fn limit(self, limit: impl fmt::Display) -> Self {
        Self { limit: limit.to_string(), ..self }
    }
}

/// Rows of values under a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// Names of the columns.
    pub header: Vec<String>,
    /// As many values in each as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Sheet {
    /// Without rows.
    pub fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|&name| name.into()).collect(), rows: Vec::new() }
    }

    /// One more row.
    pub fn push<T: ToString>(&mut self, row: impl IntoIterator<Item = T>) {
        self.rows.push(row.into_iter().map(|value| value.to_string()).collect());
    }

    /// As CSV (RFC 4180, but with the line ends of Unix).
    pub fn csv(&self) -> String {
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        // A vector takes whatever is written to it.
        for row in std::iter::once(&self.header).chain(&self.rows) {
            writer.write_record(row).expect("a vector takes it");
        }
        let bytes = writer.into_inner().expect("a vector takes it");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A table or a figure.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What its files are called, without the ending.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The numbers that can be compared.
    pub facts: Vec<Fact>,
    /// What else has to be said.
    pub notes: Vec<String>,
    /// What is in the figure, or the table.
    pub sheet: Sheet,
    /// The pictures, each with what its file's name has more than `name`.
    pub plots: Vec<(String, Plot)>,
}

impl Outcome {
    /// Writes the values and the pictures into a folder, which is made if there is none; which
    /// files.
    ///
    /// # Errors
    /// The folder cannot be written to. Files may be there in part.
    pub fn write(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::create_dir_all(folder)?;
        let values = folder.join(format!("{}.csv", self.name));
        std::fs::write(&values, self.sheet.csv())?;
        let mut files = vec![values];
        for (more, plot) in &self.plots {
            let picture = folder.join(format!("{}{more}.svg", self.name));
            std::fs::write(&picture, plot.svg())?;
            files.push(picture);
        }
        Ok(files)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        let header = ["", "paper", "measured", "limit"].map(String::from);
        let rows = self.facts.iter().map(|fact| {
            let Fact { what, paper, measured, limit } = fact.clone();
            [what, paper, measured, limit]
        });
        let rows: Vec<[String; 4]> = std::iter::once(header).chain(rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths = [0, 1, 2, 3].map(|column| width(column).unwrap_or(0));
        for row in &rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(f, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bad, figure, optimum, table};

    /// How many runs were announced, and how many there were.
    fn counted(
        runs: u64,
        make: impl FnOnce(&Request, &mut Watch<'_>) -> Result<Outcome, String>,
    ) -> (u64, u64) {
        let (mut announced, mut begun) = (0, 0);
        let hosts = Some(10);
        let request = Request { runs, seed: 1, hosts, full: false, command: String::new() };
        let made = make(&request, &mut |news| match news {
            News::Runs(runs) => announced += runs,
            News::Begins(_) => begun += 1,
            News::Progress { .. } | News::Wrong { .. } => {}
        });
        made.expect("it can be made of ten hosts");
        (announced, begun)
    }

    #[test]
    fn as_many_runs_are_announced_as_there_are() {
        let check = |name: &str, (announced, begun): (u64, u64)| {
            assert!(begun > 0 && announced == begun, "{name}: {announced}, but there were {begun}");
        };
        for number in figure::NUMBERS {
            let runs = if number == 9 { 2 } else { 1 };
            check(&format!("figure {number}"), counted(runs, |r, w| figure::make(number, r, w)));
        }
        let all_hosts = |r: &Request| Request { hosts: None, ..r.clone() };
        check("table 3", counted(1, |r, w| table::make(3, &all_hosts(r), w)));
        check("table 4", counted(2, |r, w| table::make(4, r, w)));
        check("optimum", counted(2, |r, w| optimum::make(3, r, w)));
        check("bad", counted(1, bad::make));
    }

    #[test]
    fn values_with_commas_and_quotes_are_one_value_again() {
        let mut sheet = Sheet::new(&["hosts", "says"]);
        sheet.push(["1,2", "a \"b\""]);
        assert_eq!(sheet.csv(), "hosts,says\n\"1,2\",\"a \"\"b\"\"\"\n");
    }
}
