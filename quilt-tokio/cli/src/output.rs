//! Where received bytes go.

use crate::text::Failure;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What is to be done with what arrives.
pub(crate) enum Output {
    /// Write it to this file. The partial one is opened at the start, so that a place that cannot
    /// be written shows at once; the first transfer takes it.
    File { target: PathBuf, ready: Option<Partial> },
    /// Write it to standard output, one transfer at a time.
    Stdout { taken: bool },
    /// Only verify it.
    Nowhere,
}

/// Where one transfer goes.
pub(crate) enum Sink {
    File(Partial),
    Stdout,
    Nowhere,
}

/// A file that is not known to be whole; it is removed if that does not change.
pub(crate) struct Partial {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Output {
    pub(crate) fn new(target: Option<&Path>, json: bool) -> Result<Self, Failure> {
        match target {
            Some(target) => {
                let ready = Some(Partial::beside(target)?);
                Ok(Self::File { target: target.into(), ready })
            }
            None if json => Ok(Self::Nowhere),
            None => Ok(Self::Stdout { taken: false }),
        }
    }

    /// A place for the transfer of `source`; `None` if there is none while another one runs.
    pub(crate) fn open(&mut self, source: &str) -> Result<Option<Sink>, Failure> {
        match self {
            Self::File { target, ready } => {
                let partial = match ready.take() {
                    Some(partial) => partial,
                    None => Partial::create(with_suffix(target, &format!(".{source}.partial")))?,
                };
                Ok(Some(Sink::File(partial)))
            }
            Self::Stdout { taken: true } => Ok(None),
            Self::Stdout { taken } => {
                *taken = true;
                Ok(Some(Sink::Stdout))
            }
            Self::Nowhere => Ok(Some(Sink::Nowhere)),
        }
    }

    /// A transfer is whole; its file gets its name, which is returned.
    pub(crate) fn keep(&mut self, sink: Sink) -> Result<Option<PathBuf>, Failure> {
        let kept = match (&mut *self, sink) {
            (Self::File { target, .. }, Sink::File(partial)) => {
                partial.keep(target)?;
                Some(target.clone())
            }
            _ => None,
        };
        self.release();
        Ok(kept)
    }

    /// A transfer is given up; its file is gone.
    pub(crate) fn discard(&mut self, sink: Sink) {
        drop(sink);
        self.release();
    }

    fn release(&mut self) {
        if let Self::Stdout { taken } = self {
            *taken = false;
        }
    }
}

impl Sink {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::File(partial) => partial.write(bytes),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
                written.map_err(|error| Failure::write(Path::new("standard output"), &error))
            }
            Self::Nowhere => Ok(()),
        }
    }
}

impl Partial {
    /// The partial file of `target`, beside it.
    pub(crate) fn beside(target: &Path) -> Result<Self, Failure> {
        // What is whole takes the target's name: a device or a folder would be lost.
        if fs::metadata(target).is_ok_and(|there| !there.is_file()) {
            let error = io::Error::other("it is not a regular file");
            return Err(Failure::write(target, &error));
        }
        Self::create(partial(target))
    }

    fn create(path: PathBuf) -> Result<Self, Failure> {
        let file = File::create(&path).map_err(|error| Failure::write(&path, &error))?;
        Ok(Self { path, file, kept: false })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| Failure::write(&self.path, &error))
    }

    /// It is whole, and takes its target's place.
    pub(crate) fn keep(mut self, target: &Path) -> Result<(), Failure> {
        let renamed = std::fs::rename(&self.path, target);
        self.kept = renamed.is_ok();
        renamed.map_err(|error| Failure::write(target, &error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether a file written to `target`, or its partial file, would take the place of `other`. It does
/// not matter how the paths are spelt, nor whether the files exist yet.
pub(crate) fn overwrites(target: &Path, other: &Path) -> bool {
    let other = place(other);
    other.is_some() && [place(target), place(&partial(target))].contains(&other)
}

/// The one spelling of a path; `None` if its folder cannot be found.
fn place(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok().or_else(|| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
        Some(folder.join(path.file_name()?))
    })
}

fn partial(target: &Path) -> PathBuf {
    with_suffix(target, ".partial")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_overwrites_what_has_its_place_or_that_of_its_partial_file() {
        // The tests run in the package's folder.
        let there = fs::canonicalize("src").unwrap();
        let at = |name: &str| there.join(name);
        for (target, other) in [
            ("src/main.rs", at("main.rs")),
            ("./src/../src/main.rs", at("main.rs")),
            ("src/not-there", at("not-there")),
            ("src/./not-there", at("not-there")),
            ("Cargo.toml", "./Cargo.toml".into()),
            ("not-there", "src/../not-there".into()),
            ("src/not-there", at("not-there.partial")),
        ] {
            assert!(overwrites(target.as_ref(), &other), "{target} and {other:?}");
        }
        for (target, other) in [
            ("src/main.rs", "src/args.rs"),
            ("not-there", "src/not-there"),
            ("not-there.partial", "not-there"),
            ("no-folder/a", "no-folder/b"),
        ] {
            assert!(!overwrites(target.as_ref(), other.as_ref()), "{target} and {other}");
        }
    }
}
