//! Which programs of a repository this machine's owner lets run as hooks, by the hash of their content: `hooks/<store id>.json` in the state
//! directory. A repository can't vouch for its own programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::pin::{FORMAT, PinError, Pins, load};
use crate::model::{Digest, HookPath, StoreId};

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustedHooks {
    format: u32,
    /// The one content that may run, by the program's place.
    hooks: BTreeMap<HookPath, Digest>,
}

impl Pins {
    /// The content of `program`, as its hash, that may run for the store `id`; none where nobody said so.
    ///
    /// # Errors
    /// [`PinError`] when what is remembered can't be read.
    pub fn trusted_hook(&self, id: &StoreId, program: &HookPath) -> Result<Option<Digest>, PinError> {
        let path = self.hooks_file(id);
        let Some(known) = load::<TrustedHooks>(&path)? else { return Ok(None) };
        if known.format != FORMAT {
            return Err(PinError::Damaged { path });
        }
        Ok(known.hooks.get(program).copied())
    }

    /// Lets `program` run for the store `id` as long as its content has the hash `content`; no earlier content of it any more.
    ///
    /// # Errors
    /// [`PinError`] when what is remembered can't be read or written.
    pub fn trust_hook(&self, id: &StoreId, program: &HookPath, content: Digest) -> Result<(), PinError> {
        let _lock = self.lock()?;
        let path = self.hooks_file(id);
        let mut known = load::<TrustedHooks>(&path)?.unwrap_or_default();
        known.format = FORMAT;
        known.hooks.insert(program.clone(), content);
        self.save(&path, &known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_trusted_by_store_place_and_content() {
        let directory = tempfile::tempdir().unwrap();
        let pins = Pins::in_directory(directory.path().join("vsecure"));
        let [one, two] = [b"1", b"2"].map(|bytes| StoreId::of_first_epoch(bytes));
        let [rotate, other]: [HookPath; 2] = ["ops/rotate.sh", "ops/other.sh"].map(|text| text.parse().unwrap());
        assert_eq!(pins.trusted_hook(&one, &rotate).unwrap(), None);
        pins.trust_hook(&one, &rotate, Digest::of(b"a")).unwrap();
        pins.trust_hook(&one, &other, Digest::of(b"c")).unwrap();
        pins.trust_hook(&one, &rotate, Digest::of(b"b")).unwrap();
        assert_eq!(pins.trusted_hook(&one, &rotate).unwrap(), Some(Digest::of(b"b")));
        assert_eq!(pins.trusted_hook(&one, &other).unwrap(), Some(Digest::of(b"c")));
        assert_eq!(pins.trusted_hook(&two, &rotate).unwrap(), None);
        let good = std::fs::read_to_string(pins.hooks_file(&one)).unwrap();
        for bad in ["{}", &good.replace("\"format\": 1", "\"format\": 2")] {
            assert_ne!(bad, good);
            std::fs::write(pins.hooks_file(&one), bad).unwrap();
            assert!(matches!(pins.trusted_hook(&one, &rotate), Err(PinError::Damaged { .. })), "{bad}");
        }
    }
}
