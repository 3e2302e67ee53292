//! Latency matrices as CSV, and topologies of nothing else.

use super::distance::{Distances, Inside, Zones};
use super::load::Text;
use super::{LatencyOrigin, Place, Problem, Router, Shape, Topology, TopologyError, grow};
use csv::StringRecord;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Most rows and columns: a matrix of that size takes 1 GiB.
pub(super) const MAX_ROWS: usize = 16_384;

/// Nothing on Earth takes longer; what does is in another unit.
pub(super) const MAX_MILLIS: f64 = 60_000.0;

/// Hosts at one place, such as copies, are nearer than that (one-way microseconds): the limit under
/// which the measured hosts were joined to sites.
const SAME_SITE_MICROS: u32 = 1_000;

/// Enough to draw from, of a matrix with many hosts at one place.
const MAX_SAME_SITE: usize = 1 << 20;

/// One-way latencies in microseconds, row by row.
#[derive(Debug)]
pub(super) struct Matrix {
    pub(super) hosts: usize,
    pub(super) labels: Option<Vec<String>>,
    pub(super) one_way: Vec<u32>,
}

/// A one-way latency as JSON states it: a number of milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Option<f64>")]
pub(super) struct Millis(pub(super) u32);

impl TryFrom<Option<f64>> for Millis {
    type Error = Problem;

    fn try_from(millis: Option<f64>) -> Result<Self, Problem> {
        let millis = millis.ok_or_else(|| Problem::Hole { what: "a latency".into() })?;
        micros(millis, 1.0).map(Self)
    }
}

/// Microseconds of one way out of `ways`.
fn micros(millis: f64, ways: f64) -> Result<u32, Problem> {
    match millis {
        _ if !millis.is_finite() => Err(Problem::NotFinite { millis }),
        _ if millis < 0.0 => Err(Problem::Negative { millis }),
        _ if millis > MAX_MILLIS => Err(Problem::TooLong { millis }),
        // At most 60,000,000.
        _ => Ok((millis * 1_000.0 / ways).round() as u32),
    }
}

/// Hosts of which only the latency is known, each in a region and behind a router of its own.
pub(super) fn bare(name: &str, text: &Text, shape: &Shape) -> Result<Topology, TopologyError> {
    let matrix = read(text)?;
    let labels = matrix.labels.clone().unwrap_or_default();
    let place = |row: usize| Place {
        name: labels.get(row).cloned().unwrap_or_else(|| row.to_string()),
        region: row as u32,
        routers: vec![Router { name: format!("r{row}"), multicast: false }],
        ..Place::default()
    };
    let places: Vec<Place> = (0..matrix.hosts).map(place).collect();
    topology(name, &text.file, &places, matrix, shape)
}

/// A topology of `places` with the latencies in `matrix`, cut or grown to the number asked for.
pub(super) fn topology(
    name: &str,
    file: &str,
    places: &[Place],
    matrix: Matrix,
    shape: &Shape,
) -> Result<Topology, TopologyError> {
    let wanted = shape.hosts.unwrap_or(places.len());
    grow::check_count(file, wanted)?;
    let chosen = grow::repeat(places.len(), wanted, shape.seed);
    let inside = Inside::Drawn { seed: shape.seed, from: matrix.same_site() };
    let zone_of = chosen.iter().map(|&row| row as u32).collect();
    let zones = Zones::new(zone_of, matrix.one_way, inside);
    let places = grow::places(places, &chosen);
    let topology = Topology::of(name, places, LatencyOrigin::Measured, Distances::Zones(zones));
    Ok(Topology { internet: true, ..topology })
}

impl Matrix {
    /// Latencies between different hosts at one place; half a millisecond if there are none.
    fn same_site(&self) -> Vec<u32> {
        let cells = self.one_way.iter().enumerate();
        let near: Vec<u32> = cells
            .filter(|&(index, &micros)| {
                index / self.hosts != index % self.hosts && micros < SAME_SITE_MICROS
            })
            .map(|(_, &micros)| micros)
            .take(MAX_SAME_SITE)
            .collect();
        if near.is_empty() { vec![SAME_SITE_MICROS / 2] } else { near }
    }
}

/// The values of a file, as far as they can be understood without knowing its shape.
#[derive(Default)]
struct Rows {
    /// One-way microseconds.
    cells: Vec<u32>,
    /// How many of them make up a value in the file: 2 for round trips.
    ways: f64,
    /// Where each row ends in `cells`, and its line in the file.
    ends: Vec<(usize, u64)>,
    /// Names in the first line, behind the first value; each row then begins with its own.
    columns: Option<Vec<String>>,
}

impl Rows {
    fn len(&self, row: usize) -> usize {
        self.ends[row].0 - self.start(row)
    }

    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).map_or(0, |before| self.ends[before].0)
    }
}

/// A full matrix or an upper triangle, with or without labels. Values are round trips, or one-way
/// if the file's name says `oneway`.
pub(super) fn read(text: &Text) -> Result<Matrix, TopologyError> {
    let rows = read_rows(text)?;
    let triangle = width_of_triangle(&rows);
    let hosts = triangle.map_or(rows.ends.len(), |width| width + 1);
    if hosts > MAX_ROWS {
        return Err(TopologyError::new(&text.file, Problem::MatrixTooLarge));
    }
    check_shape(text, &rows, triangle)?;
    if triangle.is_some() {
        let one_way = unfold(&rows, hosts);
        return Ok(Matrix { hosts, labels: None, one_way });
    }
    check_diagonal(text, &rows)?;
    let labels = check_labels(text, &rows)?;
    Ok(Matrix { hosts, labels, one_way: rows.cells })
}

fn read_rows(text: &Text) -> Result<Rows, TopologyError> {
    let name = text.file.rsplit(['/', '\\']).next().unwrap_or_default();
    let ways = if name.contains("oneway") { 1.0 } else { 2.0 };
    let mut reader = csv_reader(&text.text);
    let mut record = StringRecord::new();
    let mut rows = Rows { ways, ..Rows::default() };
    while next(&mut reader, text, &mut record)? {
        let line = line_of(&record, text);
        let words = |cell: Option<&str>| cell.is_some_and(|cell| cell.parse::<f64>().is_err());
        let first = rows.ends.is_empty() && rows.columns.is_none();
        if first && !record[0].is_empty() && words(record.get(0)) && words(record.get(1)) {
            rows.columns = Some(record.iter().skip(1).map(str::to_owned).collect());
            continue;
        }
        let labelled = usize::from(rows.columns.is_some());
        if let Some(column) = rows.columns.iter().flatten().nth(rows.ends.len())
            && *column != record[0]
        {
            let problem = Problem::OtherLabel { row: record[0].into(), column: column.clone() };
            return Err(TopologyError::at(&text.file, line, 0, problem));
        }
        for (column, cell) in record.iter().enumerate().skip(labelled) {
            let micros = value(cell, ways)
                .map_err(|problem| TopologyError::at(&text.file, line, column, problem))?;
            rows.cells.push(micros);
        }
        rows.ends.push((rows.cells.len(), line));
        if rows.ends.len() > MAX_ROWS || record.len() > MAX_ROWS {
            return Err(TopologyError::at_line(&text.file, line, Problem::MatrixTooLarge));
        }
    }
    if rows.ends.is_empty() {
        return Err(TopologyError::new(&text.file, Problem::Empty));
    }
    Ok(rows)
}

fn value(cell: &str, ways: f64) -> Result<u32, Problem> {
    if cell.is_empty() {
        return Err(Problem::Hole { what: "this latency".into() });
    }
    let not_a_number = |_| Problem::NotANumber { text: cell.chars().take(40).collect() };
    micros(cell.parse().map_err(not_a_number)?, ways)
}

/// How many values the first row has if this is an upper triangle: the number that most rows fit, if
/// these are more than those that fit the same number of columns. Of so few rows that both are as
/// many, the last one tells.
fn width_of_triangle(rows: &Rows) -> Option<usize> {
    if rows.columns.is_some() {
        return None;
    }
    let (mut triangles, mut squares) = (BTreeMap::new(), BTreeMap::new());
    for row in 0..rows.ends.len() {
        *triangles.entry(rows.len(row) + row).or_insert(0_usize) += 1;
        *squares.entry(rows.len(row)).or_insert(0_usize) += 1;
    }
    let (&width, &fit) = triangles.iter().max_by_key(|&(_, &fit)| fit)?;
    let square = squares.values().copied().max()?;
    let ends_in_one = rows.len(rows.ends.len() - 1) == 1;
    (fit > square || fit == square && ends_in_one).then_some(width)
}

fn check_shape(text: &Text, rows: &Rows, triangle: Option<usize>) -> Result<(), TopologyError> {
    let count = rows.ends.len();
    // The row that would follow the last one has no values.
    for index in 0..count.max(triangle.unwrap_or(0)).min(count + 1) {
        let (have, row) = (if index < count { rows.len(index) } else { 0 }, index + 1);
        let need = triangle.map_or(count, |width| width.saturating_sub(index));
        if have != need {
            let problem = match triangle {
                Some(width) => Problem::NotTriangle { row, have, need, rows: width },
                None => Problem::NotSquare { row, have, need },
            };
            let line = rows.ends[index.min(count - 1)].1;
            return Err(TopologyError::at_line(&text.file, line, problem));
        }
    }
    Ok(())
}

fn check_diagonal(text: &Text, rows: &Rows) -> Result<(), TopologyError> {
    for (row, &(_, line)) in rows.ends.iter().enumerate() {
        let micros = rows.cells[rows.start(row) + row];
        if micros != 0 {
            let millis = f64::from(micros) * rows.ways / 1_000.0;
            let problem = Problem::Diagonal { millis };
            let column = row + usize::from(rows.columns.is_some());
            return Err(TopologyError::at(&text.file, line, column, problem));
        }
    }
    Ok(())
}

/// Each row is labelled like its column; here, no column may be without a row or there twice.
fn check_labels(text: &Text, rows: &Rows) -> Result<Option<Vec<String>>, TopologyError> {
    let Some(columns) = &rows.columns else { return Ok(None) };
    if columns.len() != rows.ends.len() {
        let problem = Problem::NotSquare { row: 0, have: columns.len(), need: rows.ends.len() };
        return Err(TopologyError::at_line(&text.file, 1, problem));
    }
    let mut seen = BTreeSet::new();
    for (label, &(_, line)) in columns.iter().zip(&rows.ends) {
        if !seen.insert(label) {
            let problem = Problem::Duplicate { what: "host", name: label.clone() };
            return Err(TopologyError::at(&text.file, line, 0, problem));
        }
    }
    Ok(Some(columns.clone()))
}

/// The full, symmetric matrix to an upper triangle.
fn unfold(rows: &Rows, hosts: usize) -> Vec<u32> {
    let mut full = vec![0; hosts * hosts];
    for row in 0..hosts - 1 {
        for (offset, &micros) in rows.cells[rows.start(row)..rows.ends[row].0].iter().enumerate() {
            let column = row + 1 + offset;
            full[row * hosts + column] = micros;
            full[column * hosts + row] = micros;
        }
    }
    full
}

/// A reader of lines of any length; who uses it checks the lengths, and says what they should be.
pub(super) fn csv_reader(text: &str) -> csv::Reader<&[u8]> {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes())
}

/// Reads the next line that is not empty; `false` at the end.
pub(super) fn next(
    reader: &mut csv::Reader<&[u8]>,
    text: &Text,
    record: &mut StringRecord,
) -> Result<bool, TopologyError> {
    reader.read_record(record).map_err(|error| {
        let line = error.position().map(csv::Position::line);
        TopologyError { line, ..TopologyError::new(&text.file, Problem::Csv(error)) }
    })
}

/// The line that a record is in. Where it was looked for is not enough: empty lines are skipped.
pub(super) fn line_of(record: &StringRecord, text: &Text) -> u64 {
    let Some(start) = record.position() else { return 0 };
    let behind = text.text.as_bytes().get(start.byte() as usize..).unwrap_or_default();
    let skipped = behind.iter().take_while(|&byte| matches!(byte, b'\r' | b'\n'));
    start.line() + skipped.filter(|&&byte| byte == b'\n').count() as u64
}
