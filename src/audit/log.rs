//! A log: lines in an unbroken sequence.

use crate::model::{Digest, Fingerprint, RandomId};

use super::event::{Deed, Event, LineError, line_digest};

/// Whose log it is: every line must say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The fingerprint of the signing key.
    pub key: Fingerprint,
    /// The clone.
    pub device: RandomId,
}

/// Why lines are no log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// A line that is no event.
    #[error("line {line} can't be used")]
    Line {
        /// Which, from 1.
        line: u64,
        /// Why.
        #[source]
        source: LineError,
    },
    /// A line was changed, dropped or put in before this one.
    #[error("the chain is broken at line {line}")]
    Broken {
        /// Which, from 1.
        line: u64,
    },
    /// A line of another key or clone.
    #[error("line {line} belongs to another log")]
    Foreign {
        /// Which, from 1.
        line: u64,
    },
    /// The last line has no end.
    #[error("the last line is cut off")]
    CutOff,
}

/// A log whose chain is unbroken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    events: Vec<Event>,
    digests: Vec<Digest>,
}

impl Log {
    /// Reads a log's files, in order, strictly: from its first line on, each naming the one before, all of one key and clone; with an
    /// `owner`, of that one.
    ///
    /// # Errors
    /// [`LogError`], for the first line that is wrong.
    pub fn read(files: &[Vec<u8>], owner: Option<&Owner>) -> Result<Self, LogError> {
        let mut log = Self::default();
        for line in files.iter().flat_map(|file| file.split_inclusive(|byte| *byte == b'\n')) {
            log.take(line, owner)?;
        }
        Ok(log)
    }

    fn take(&mut self, line: &[u8], owner: Option<&Owner>) -> Result<(), LogError> {
        let number = self.len() + 1;
        if line.last() != Some(&b'\n') {
            return Err(LogError::CutOff);
        }
        let event = Event::parse(line).map_err(|source| LogError::Line { line: number, source })?;
        if event.sequence != number || event.previous != self.last() {
            return Err(LogError::Broken { line: number });
        }
        let is = |key: &Fingerprint, device: &RandomId| event.deed.actor.key == *key && event.device == *device;
        let named = owner.is_none_or(|owner| is(&owner.key, &owner.device));
        if !named || self.events.first().is_some_and(|first| !is(&first.deed.actor.key, &first.device)) {
            return Err(LogError::Foreign { line: number });
        }
        self.events.push(event);
        self.digests.push(line_digest(line));
        Ok(())
    }

    /// The events, oldest first.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.events.len() as u64
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The hash of the last line.
    #[must_use]
    pub fn last(&self) -> Option<Digest> {
        self.digests.last().copied()
    }

    /// Whether this is `earlier`, or goes on from it.
    #[must_use]
    pub fn goes_on_from(&self, earlier: &Self) -> bool {
        self.digests.starts_with(&earlier.digests)
    }
}

impl Event {
    /// The first event of the log that the clone `device` begins.
    #[must_use]
    pub const fn first(id: RandomId, device: RandomId, deed: Deed) -> Self {
        Self { sequence: 1, previous: None, id, device, deed }
    }

    /// The event that comes after this one, in the same log.
    #[must_use]
    pub fn next(&self, id: RandomId, deed: Deed) -> Self {
        let previous = Some(line_digest(&self.to_line()));
        Self { sequence: self.sequence.saturating_add(1), previous, id, device: self.device.clone(), deed }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::event::{Action, Actor, CiRun, Outcome, Resource, ResourceType};
    use super::*;
    use crate::model::{Revision, Timestamp, Version};

    pub fn owner() -> Owner {
        Owner { key: Fingerprint::over(b"key"), device: RandomId::of([1; 16]) }
    }

    fn deed(path: &str) -> Deed {
        Deed {
            time: Timestamp::from_unix(1_800_000_000).unwrap(),
            actor: Actor { member: "alice".parse().unwrap(), key: owner().key },
            action: Action::Accessed,
            resource: Resource {
                kind: ResourceType::Secret,
                path: Some(path.parse().unwrap()),
                version: Version::new(4),
                revision: Revision::new(9),
            },
            result: Outcome::Ok,
            reason: None,
            grant: None,
            command: "secrets:get".parse().unwrap(),
            client: "vsecure 0.1.0".parse().unwrap(),
            ci: Some(CiRun { provider: "github-actions".parse().unwrap(), run: Some("77".parse().unwrap()) }),
        }
    }

    /// The lines of a log of `count` events.
    pub fn lines(count: u8) -> Vec<Vec<u8>> {
        let mut events: Vec<Event> = Vec::new();
        for number in 0..count {
            let (id, deed) = (RandomId::of([number; 16]), deed(&format!("production/A{number}")));
            events.push(match events.last() {
                Some(last) => last.next(id, deed),
                None => Event::first(id, owner().device, deed),
            });
        }
        events.iter().map(Event::to_line).collect()
    }

    #[test]
    fn a_line_says_what_the_format_lists_in_its_order() {
        let line = String::from_utf8(lines(1).concat()).unwrap();
        let key = owner().key;
        let expected = format!(
            "{{\"format\":1,\"sequence\":1,\"previous\":null,\"id\":\"{0}\",\"time\":\"2027-01-15T08:00:00Z\",\"device\":\"{1}\",\
             \"actor\":{{\"member\":\"alice\",\"key\":\"{key}\"}},\"action\":\"accessed\",\"resource\":{{\"type\":\"secret\",\
             \"path\":\"production/A0\",\"version\":4,\"revision\":9}},\"result\":\"ok\",\"reason\":null,\"grant\":null,\
             \"command\":\"secrets:get\",\"client\":\"vsecure 0.1.0\",\"ci\":{{\"provider\":\"github-actions\",\"run\":\"77\"}}}}\n",
            "00".repeat(16),
            "01".repeat(16),
        );
        assert_eq!(line, expected);
    }

    #[test]
    fn an_unbroken_chain_is_read_from_any_number_of_files() {
        let lines = lines(4);
        let log = Log::read(&[lines[..2].concat(), lines[2..].concat()], Some(&owner())).unwrap();
        assert_eq!((log.len(), log.last()), (4, Some(line_digest(&lines[3]))));
        let start = Log::read(&[lines[..3].concat()], Some(&owner())).unwrap();
        assert!(log.goes_on_from(&start) && log.goes_on_from(&log) && log.goes_on_from(&Log::default()));
        assert!(!start.goes_on_from(&log));
        let mut other = lines[0].clone();
        other = String::from_utf8(other).unwrap().replace("A0", "B0").into_bytes();
        let other = Log::read(&[other], Some(&owner())).unwrap();
        assert!(!log.goes_on_from(&other));
    }

    #[test]
    fn every_change_to_a_log_is_found() {
        let lines = lines(4);
        let read = |lines: &[Vec<u8>]| Log::read(&[lines.concat()], Some(&owner())).unwrap_err();
        let mut changed = lines.clone();
        changed[1] = String::from_utf8(changed[1].clone()).unwrap().replace("alice", "mallory").into_bytes();
        assert_eq!(read(&changed), LogError::Broken { line: 3 });
        assert_eq!(read(&lines[1..]), LogError::Broken { line: 1 });
        assert_eq!(read(&[lines[0].clone(), lines[2].clone()]), LogError::Broken { line: 2 });
        assert_eq!(read(&[lines[0].clone(), lines[0].clone()]), LogError::Broken { line: 2 });
        assert_eq!(Log::read(&[lines[0][..9].to_vec()], None), Err(LogError::CutOff));
        for other in
            [Owner { key: Fingerprint::over(b"other"), ..owner() }, Owner { device: RandomId::of([2; 16]), ..owner() }]
        {
            assert_eq!(Log::read(&[lines.concat()], Some(&other)), Err(LogError::Foreign { line: 1 }));
        }
        let first = Event::parse(&lines[0]).unwrap();
        let other = Event { device: RandomId::of([2; 16]), ..first.next(first.id.clone(), first.deed.clone()) };
        let mixed = [first.to_line(), other.to_line()].concat();
        assert_eq!(Log::read(&[mixed], None), Err(LogError::Foreign { line: 2 }));
    }

    #[test]
    fn a_line_in_another_spelling_or_format_is_refused() {
        let line = String::from_utf8(lines(1).concat()).unwrap();
        let refused = |from: &str, to: &str| Event::parse(line.replace(from, to).as_bytes()).unwrap_err();
        assert_eq!(refused("{\"format\"", "{ \"format\""), LineError::NotCanonical);
        assert_eq!(refused("08:00:00Z", "08:00:00.5Z"), LineError::NotCanonical);
        assert_eq!(refused("\"format\":1", "\"format\":2"), LineError::Newer { format: 2 });
        assert_eq!(refused("\"format\":1", "\"format\":3,\"extra\":[]"), LineError::Newer { format: 3 });
        assert_eq!(refused("\"reason\":null", "\"reason\":null,\"value\":\"x\""), LineError::Malformed);
        assert_eq!(refused("\"reason\":null,", ""), LineError::NotCanonical);
        assert_eq!(refused("\"reason\":null", "\"reason\":null,\"reason\":null"), LineError::Malformed);
        assert_eq!(refused("\"reason\":null", "\"reason\":\"\\u001b[2J\""), LineError::Malformed);
        assert_eq!(refused("production/A0", "../../etc"), LineError::Malformed);
        assert_eq!(Event::parse(&vec![b' '; 5000]), Err(LineError::TooLong));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_log_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..600) {
            let mut file = lines(2).concat();
            file.splice(at.min(file.len())..at.min(file.len()), bytes);
            let _ = Log::read(&[file], None);
        }
    }
}
