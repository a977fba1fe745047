//! A few threads that live as long as the store, for what waits for the disk: to start one for every piece of work costs more than most
//! of that work.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// How many threads there are at most.
pub(super) const THREADS: usize = 5;

type Job = Box<dyn FnOnce() + Send>;

/// Threads, started when they are first needed. What they have been given they do even when nobody has the crew any more, unless the
/// process ends.
#[derive(Default)]
pub(super) struct Crew(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// Nothing will be added.
    closed: bool,
}

impl Crew {
    /// Has a thread do `job`, at once or when one is free; drops it where no thread is to be had. Whether one was. No job may wait for
    /// another that may not have begun.
    pub(super) fn offer(&self, job: impl FnOnce() + Send + 'static) -> bool {
        let mut state = self.0.state();
        state.waiting.push_back(Box::new(job));
        if state.idle >= state.waiting.len() {
            self.0.more.notify_one();
        } else if state.threads < THREADS {
            let shared = Arc::clone(&self.0);
            let started = thread::Builder::new().spawn(move || shared.work());
            state.threads += usize::from(started.is_ok());
        }
        let done = state.threads > 0;
        let left = if done { None } else { state.waiting.pop_back() };
        drop((state, left));
        done
    }
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").finish_non_exhaustive()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.more.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one job after the other.
    fn work(&self) {
        let mut state = self.state();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                drop(state);
                // Whoever waits for it is told by what the job lets go of.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                state = self.state();
            } else if state.closed {
                return;
            } else {
                state.idle += 1;
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn everything_is_done_by_a_few_threads_and_a_panic_ends_none_of_them() {
        let crew = Crew::default();
        let (done, all) = mpsc::channel();
        for number in 0..100 {
            let done = done.clone();
            crew.offer(move || {
                assert_ne!(number % 10, 3, "as it should");
                done.send((number, thread::current().id())).unwrap();
            });
        }
        drop((crew, done));
        let mut all: Vec<_> = all.iter().collect();
        all.sort_by_key(|(number, _)| *number);
        assert!(all.iter().map(|(number, _)| *number).eq((0..100).filter(|number| number % 10 != 3)));
        let threads: std::collections::HashSet<_> = all.iter().map(|(_, thread)| *thread).collect();
        assert!(threads.len() <= THREADS && !threads.contains(&thread::current().id()));
    }
}
