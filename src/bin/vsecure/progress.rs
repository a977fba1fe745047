//! A bar on a terminal's standard error, while work over many secrets goes on.

use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use vsecure::vault::ProgressReport;

/// Fewer secrets than this are done before anybody has seen a bar.
const MANY: usize = 20;

/// The bar of the work that goes on, if any.
#[derive(Debug, Default)]
pub struct Bar(Mutex<Option<ProgressBar>>);

impl Bar {
    fn with(&self, act: impl FnOnce(&mut Option<ProgressBar>)) {
        if let Ok(mut bar) = self.0.lock() {
            act(&mut bar);
        }
    }
}

impl ProgressReport for Bar {
    fn begin(&self, total: usize) {
        if total < MANY {
            return;
        }
        let bar = ProgressBar::new(total as u64);
        if let Ok(style) = ProgressStyle::with_template("encrypting {pos}/{len} [{wide_bar}] {eta}") {
            bar.set_style(style);
        }
        self.with(|place| *place = Some(bar));
    }

    fn step(&self) {
        self.with(|bar| bar.iter().for_each(|bar| bar.inc(1)));
    }

    fn end(&self) {
        self.with(|bar| bar.take().iter().for_each(ProgressBar::finish_and_clear));
    }
}
