//! What a list need not verify again: sidecars that were valid when a list last looked, by the stamps of their files.
//!
//! It lies in the git directory, where nobody who pushes can write, and holds for one policy and one version of this program. A file whose
//! stamp is not the one kept, or whose last change is too fresh to tell, is read and verified. Only lists use it: a value that is
//! read and whatever is written, re-encrypted or judged rests on sidecars that were verified for it.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::crypto::unverified_parts;
use crate::model::{Digest, Document as _, KeyHolder, Sidecar};
use crate::store::{Stamp, StorePath};

use super::revision::Signed;

const FORMAT: &str = "vsecure-list/1";
const RECIPIENTS: &str = "\nrecipients:\n";
const BEHIND_RECIPIENTS: &str = "\nexposed_to:";
/// A list of recipients that is left out, and stands elsewhere.
const ELSEWHERE: &str = "\nrecipients: []";

/// One sidecar as it is kept: with its recipients, which are the same for most, elsewhere.
#[derive(Clone, Copy)]
struct Kept<'a> {
    stamp: [u64; 7],
    /// Which of the lists of recipients.
    readers: usize,
    body: &'a str,
}

/// What was kept.
#[derive(Default)]
pub(super) struct Memory<'a> {
    /// A whole body for each list of recipients, and the list.
    readers: Vec<(&'a str, Vec<KeyHolder>)>,
    kept: HashMap<&'a str, Kept<'a>>,
}

impl<'a> Memory<'a> {
    /// Reads what [`keep`] wrote under the same policy; anything else is nothing.
    pub(super) fn of(bytes: &'a [u8], policy: &Digest) -> Self {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        parse(text, policy).unwrap_or_default()
    }

    /// The sidecar `file`, if it is unchanged since it was verified. Its recipients are there if it is `wanted`.
    pub(super) fn sidecar(
        &self,
        file: &StorePath,
        stamp: Option<&Stamp>,
        wanted: &dyn Fn(&Sidecar) -> bool,
    ) -> Option<Sidecar> {
        let kept = self.kept.get(file.as_str()).filter(|kept| Some(kept.stamp) == stamp.map(Stamp::numbers))?;
        let (_, readers) = self.readers.get(kept.readers)?;
        let mut sidecar = Sidecar::of_known(kept.body.as_bytes())?;
        if !sidecar.is_tombstone() && wanted(&sidecar) {
            sidecar.recipients.clone_from(readers);
        }
        Some(sidecar)
    }
}

/// The bytes that keep `again`, which `memory` has already, and `fresh`, which were verified now.
pub(super) fn keep(
    memory: &Memory<'_>,
    again: &[StorePath],
    fresh: &[(StorePath, Stamp, &Signed)],
    policy: &Digest,
) -> Vec<u8> {
    let mut readers: Vec<&str> = memory.readers.iter().map(|(body, _)| *body).collect();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (place, body) in readers.iter().enumerate() {
        places.insert(recipients_of(body).unwrap_or_default(), place);
    }
    let known = again.iter().filter_map(|file| Some((file.as_str(), *memory.kept.get(file.as_str())?)));
    let mut entries: Vec<(&str, [u64; 7], usize, String)> =
        known.map(|(file, kept)| (file, kept.stamp, kept.readers, kept.body.to_owned())).collect();
    let short = fresh.par_iter().map(|(.., signed)| shortened(signed)).collect::<Vec<_>>();
    for ((file, stamp, _), (body, list, short)) in
        fresh.iter().zip(short).filter_map(|(found, short)| Some((found, short?)))
    {
        let place = *places.entry(list).or_insert_with(|| {
            readers.push(body);
            readers.len() - 1
        });
        entries.push((file.as_str(), stamp.numbers(), place, short));
    }
    let mut text = format!("{} {} {}\n", head(policy), readers.len(), entries.len());
    for body in readers {
        text.push_str(&format!("{}\n{body}", body.len()));
    }
    for (file, [a, b, c, d, e, f, g], place, body) in entries {
        text.push_str(&format!("{file} {a} {b} {c} {d} {e} {f} {g} {place} {}\n{body}", body.len()));
    }
    text.into_bytes()
}

/// The body of `signed`, its recipients, and the body without them; none when that would not come back as it is, and is verified again each time.
fn shortened(signed: &Signed) -> Option<(&str, &str, String)> {
    let (body, _) = unverified_parts(&signed.file)?;
    let body = std::str::from_utf8(body).ok()?;
    let (list, short) = match around_recipients(body) {
        Some([before, list, behind]) => (list, [before, ELSEWHERE, behind].concat()),
        None => ("", body.to_owned()),
    };
    let mut back = Sidecar::of_known(short.as_bytes())?;
    back.recipients.clone_from(&signed.sidecar.recipients);
    (back == signed.sidecar).then_some((body, list, short))
}

fn head(policy: &Digest) -> String {
    format!("{FORMAT} {} {policy}", env!("CARGO_PKG_VERSION"))
}

/// The lines of a body that list its recipients, with the line end before them; none where it has none.
fn recipients_of(body: &str) -> Option<&str> {
    around_recipients(body).map(|[_, list, _]| list)
}

/// What is before these lines, they themselves, and what is behind them.
fn around_recipients(body: &str) -> Option<[&str; 3]> {
    // Strings are quoted: a line that is one of the format's own is not part of any.
    let (before, rest) = body.split_at_checked(body.find(RECIPIENTS)?)?;
    let (list, behind) = rest.split_at_checked(rest.find(BEHIND_RECIPIENTS)?)?;
    Some([before, list, behind])
}

fn parse<'a>(text: &'a str, policy: &Digest) -> Option<Memory<'a>> {
    let mut rest = text.strip_prefix(head(policy).as_str())?.strip_prefix(' ')?;
    let mut counts = line(&mut rest)?.split(' ').map(str::parse::<usize>);
    let (readers, entries) = (counts.next()?.ok()?, counts.next()?.ok()?);
    let mut memory = Memory::default();
    for _ in 0..readers {
        let length = line(&mut rest)?.parse().ok()?;
        let body = take(&mut rest, length)?;
        memory.readers.push((body, Sidecar::of_known(body.as_bytes())?.recipients));
    }
    memory.kept.reserve(entries.min(text.len()));
    for _ in 0..entries {
        let (file, numbers) = line(&mut rest)?.split_once(' ')?;
        let mut numbers = numbers.split(' ').map(|number| number.parse::<u64>().ok());
        let mut stamp = [0; 7];
        for number in &mut stamp {
            *number = numbers.next()??;
        }
        let mut number = || usize::try_from(numbers.next()??).ok();
        let (place, length) = (number()?, number()?);
        memory.kept.insert(file, Kept { stamp, readers: place, body: take(&mut rest, length)? });
    }
    // One that was cut off, by a full disk say, is none; neither is one with something behind it.
    rest.is_empty().then_some(memory)
}

fn line<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (line, behind) = rest.split_once('\n')?;
    *rest = behind;
    Some(line)
}

fn take<'a>(rest: &mut &'a str, length: usize) -> Option<&'a str> {
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(taken)
}
