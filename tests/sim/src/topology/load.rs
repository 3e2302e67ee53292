//! From a path to a topology: which format it is, and the files that it needs.

use super::{Problem, Shape, Topology, TopologyError, hosts, matrix, platform, synthetic};
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A full matrix of the largest size, with ten characters a value, is a little larger.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 30;

const HOSTS: &str = "_hosts.csv";
const MATRIX: &str = "_rtt_upper_ms.csv";

/// What a file holds, and what it is called in errors.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) file: String,
    pub(super) text: Cow<'static, str>,
}

impl Text {
    pub(super) fn built_in(file: &str, text: &'static str) -> Self {
        Self { file: format!("{file} (built in)"), text: text.into() }
    }

    /// The name of the topology in it, if it has no other.
    fn stem(&self) -> &str {
        let name = self.file.rsplit(['/', '\\']).next().unwrap_or_default();
        name.split_once('.').map_or(name, |(stem, _)| stem)
    }

    fn read(path: &Path) -> Result<Self, TopologyError> {
        let file = path.display().to_string();
        let error = |problem| TopologyError::new(&file, problem);
        let unreadable = |reason| error(Problem::Unreadable(reason));
        // Before it is opened: a pipe would block.
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(error(Problem::NotAFile));
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(error(Problem::FileTooLarge { bytes: metadata.len() }));
        }
        let mut bytes = Vec::new();
        let limited = File::open(path).map_err(unreadable)?.take(MAX_FILE_BYTES);
        { limited }.read_to_end(&mut bytes).map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|not_utf8| {
            let good = not_utf8.utf8_error().valid_up_to();
            let before = &not_utf8.as_bytes()[..good];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count() as u64;
            TopologyError::at_line(&file, line, Problem::NotUtf8)
        })?;
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        if text.trim().is_empty() {
            return Err(error(Problem::Empty));
        }
        Ok(Self { file, text: text.into() })
    }

    /// An error in the first line that has `word` in it and no digit behind, whatever the white
    /// space: a JSON reader places only what it reads, not what that means.
    pub(super) fn fault_at_first(&self, word: &str, problem: Problem) -> TopologyError {
        let line = self.lines_with(word).next();
        TopologyError { line, ..TopologyError::new(&self.file, problem) }
    }

    /// The same in the last such line.
    pub(super) fn fault_at_last(&self, word: &str, problem: Problem) -> TopologyError {
        let line = self.lines_with(word).last();
        TopologyError { line, ..TopologyError::new(&self.file, problem) }
    }

    fn lines_with(&self, word: &str) -> impl Iterator<Item = u64> {
        let has_word = move |line: &str| {
            let dense: String = line.chars().filter(|char| !char.is_whitespace()).collect();
            let mut behind = dense.match_indices(word).map(|(at, _)| &dense[at + word.len()..]);
            behind.any(|rest| !rest.starts_with(|char: char| char.is_ascii_digit()))
        };
        let lines = self.text.lines().zip(1..);
        lines.filter(move |(line, _)| has_word(line)).map(|(_, number)| number)
    }
}

pub(super) fn load(path: &Path, shape: &Shape) -> Result<Topology, TopologyError> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    if let Some(stem) = name.strip_suffix(HOSTS) {
        let matrix = companion(path, &format!("{stem}{MATRIX}"), "")?;
        return hosts::measured(stem, &Text::read(path)?, &matrix, shape);
    }
    if let Some(stem) = name.strip_suffix(MATRIX) {
        let or = ", or rename this file to use the bare matrix";
        let table = companion(path, &format!("{stem}{HOSTS}"), or)?;
        return hosts::measured(stem, &table, &Text::read(path)?, shape);
    }
    let text = Text::read(path)?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => json(&text, shape),
        Some("csv") if text.text.starts_with("host,") => {
            Err(TopologyError::new(&text.file, Problem::NoLatencies))
        }
        Some("csv") => matrix::bare(text.stem(), &text, shape),
        _ => Err(TopologyError::new(&text.file, Problem::UnknownKind)),
    }
}

/// The file called `name` beside `path`. That it is missing is the fault of `path`.
fn companion(path: &Path, name: &str, or: &'static str) -> Result<Text, TopologyError> {
    let beside = path.with_file_name(name);
    if path.is_file() && !beside.exists() {
        let problem = Problem::NoCompanion { missing: name.into(), or };
        return Err(TopologyError::new(&path.display().to_string(), problem));
    }
    // If `path` itself is missing, it is the one to name.
    if path.is_file() { Text::read(&beside) } else { Text::read(path) }
}

/// Platforms have sites, and the synthetic structure has domains.
fn json(text: &Text, shape: &Shape) -> Result<Topology, TopologyError> {
    #[derive(serde::Deserialize)]
    struct Kind {
        sites: Option<serde::de::IgnoredAny>,
        domains: Option<serde::de::IgnoredAny>,
    }
    let kind: Kind = serde_json::from_str(&text.text)
        .map_err(|error| TopologyError::json(&text.file, &error))?;
    match kind {
        Kind { sites: Some(_), .. } => platform::read(text, shape),
        Kind { domains: Some(_), .. } => synthetic::read(text, shape),
        _ => {
            let reason = "has neither \"sites\" nor \"domains\"; compare it with tests/sim/data";
            Err(TopologyError::new(&text.file, Problem::Json(reason.into())))
        }
    }
}
