//! How long work over many secrets is told of, by whoever talks to people.

use std::fmt::Debug;
use std::sync::Arc;

/// Who is told how far work has come; called from several threads.
pub trait ProgressReport: Debug + Send + Sync {
    /// Work on `total` secrets begins.
    fn begin(&self, total: usize);
    /// One more is done.
    fn step(&self);
    /// The work ended.
    fn end(&self);
}

/// A place for a [`ProgressReport`], which may be empty.
#[derive(Debug, Clone, Default)]
pub struct Progress(Option<Arc<dyn ProgressReport>>);

impl Progress {
    /// Tells `report`.
    #[must_use]
    pub fn to(report: Arc<dyn ProgressReport>) -> Self {
        Self(Some(report))
    }

    pub(super) fn begin(&self, total: usize) {
        self.0.iter().for_each(|report| report.begin(total));
    }

    pub(super) fn step(&self) {
        self.0.iter().for_each(|report| report.step());
    }

    pub(super) fn end(&self) {
        self.0.iter().for_each(|report| report.end());
    }
}
