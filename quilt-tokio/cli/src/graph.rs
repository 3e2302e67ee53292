//! The patchwork drawn: `--graph FILE.svg`.

mod drawing;
mod layout;
mod picture;
#[cfg(test)]
mod tests;
mod words;

use crate::output::Partial;
use crate::text::{Failure, Line};
use picture::Picture;
use quilt_tokio::proto::survey::Survey;
use quilt_tokio::{Node, Notice};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};

/// How often a running command looks whether the picture has changed.
const EVERY: Duration = Duration::from_secs(2);
/// How long the last survey may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How soon a survey that shows a tree in the making is taken again.
const SOON: Duration = Duration::from_millis(250);

/// A file that shows how a group is put together. Whoever looks at it never sees half a picture.
pub(crate) struct Graph {
    target: PathBuf,
    group: String,
    every: Interval,
    drawn: Option<Picture>,
    /// The last attempt to write failed, and that was said.
    failed: bool,
}

/// That the picture was drawn, or why not.
pub(crate) struct Drawn {
    pub(crate) line: Line,
    /// Not only machines want to know.
    pub(crate) news: bool,
}

impl Graph {
    /// Makes sure that the file can be written. Nothing is at its place yet.
    pub(crate) fn new(target: &Path, group: &str) -> Result<Self, Failure> {
        Partial::beside(target)?;
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (target, group) = (target.into(), group.into());
        Ok(Self { target, group, every, drawn: None, failed: false })
    }

    /// Waits until a survey is due; the first one is at once. Dropping the future loses nothing.
    pub(crate) async fn due(graph: &mut Option<Self>) {
        match graph {
            Some(graph) => drop(graph.every.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Draws a survey, unless it looks as the last one did. What cannot be written costs the
    /// picture and nothing else.
    pub(crate) fn on_survey(&mut self, survey: &Survey) -> Option<Drawn> {
        let picture = Picture::of(&self.group, survey);
        if self.drawn.as_ref() == Some(&picture) {
            return None;
        }
        if let Err(failure) = self.write(&picture) {
            let again = std::mem::replace(&mut self.failed, true);
            return (!again).then(|| Drawn { line: failure.into(), news: true });
        }
        self.failed = false;
        let line = self.line(&picture);
        Some(Drawn { line, news: self.drawn.replace(picture).is_none() })
    }

    /// Draws the group once more before this host leaves it. With `whole`, waits a little for a
    /// tree in which every representative has found its place.
    pub(crate) async fn finish(&mut self, node: &mut Node, whole: bool) -> Option<Drawn> {
        let deadline = Instant::now() + PATIENCE;
        let mut last: Option<Drawn> = None;
        while node.survey().is_ok() {
            let Ok(Some(survey)) = timeout_at(deadline, answer(node)).await else { break };
            if let Some(Drawn { line, news }) = self.on_survey(&survey) {
                let news = news || last.is_some_and(|last| last.news);
                last = Some(Drawn { line, news });
            }
            let done = !whole || self.drawn.as_ref().is_some_and(Picture::is_whole);
            if done || Instant::now() + SOON > deadline {
                break;
            }
            tokio::time::sleep(SOON).await;
        }
        if self.drawn.is_none() && !self.failed {
            let line = Failure::not_surveyed(&self.target).into();
            return Some(Drawn { line, news: true });
        }
        last
    }

    fn write(&self, picture: &Picture) -> Result<(), Failure> {
        let mut partial = Partial::beside(&self.target)?;
        let document = drawing::draw(picture, &words::moment(SystemTime::now()));
        partial.write(format!("{document}\n").as_bytes())?;
        partial.keep(&self.target)
    }

    fn line(&self, picture: &Picture) -> Line {
        Line::Drawn {
            file: self.target.clone(),
            patches: picture.patches.len(),
            representatives: picture.representatives,
            links: picture.measured(),
        }
    }
}

/// What the survey that is under way shows; `None` if there is no answer.
async fn answer(node: &mut Node) -> Option<Survey> {
    loop {
        match node.next().await? {
            Notice::Surveyed(survey) => return Some(survey),
            Notice::NotSurveyed { .. } => return None,
            _ => {}
        }
    }
}
