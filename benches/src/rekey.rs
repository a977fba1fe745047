//! Work over many secrets at once, by the library.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use vsecure::crypto::{self, NoPassphrase};
use vsecure::model::Timestamp;
use vsecure::policy::Pins;
use vsecure::vault::{Vault, Writing};

use crate::documents::vault_options;

fn unlocked(dir: &Path) -> anyhow::Result<Vault> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let mut options = vault_options(&dir.join("project"), Timestamp::from_unix(now).context("a time")?)?;
    options.pins = Some(Pins::in_directory(dir.join("home/.local/state/vsecure")));
    let mut vault = Vault::open(options)?;
    let (bytes, _) = crypto::read_identity_file(&dir.join("home/.config/vsecure/identity.txt"))?;
    vault.unlock(crypto::parse_identities(&bytes, "the identity file", &mut NoPassphrase)?)?;
    Ok(vault)
}

/// Encrypts every secret anew for those who may read it, in one commit, the opening of the store included: how long it took. Of how
/// many secrets it has to be is checked.
pub fn rekey(dir: &Path, count: usize) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let done = unlocked(dir)?.rekey(None, &Writing::default())?;
    let time = start.elapsed();
    ensure!(done.reencrypted.len() == count, "{} secrets were encrypted anew", done.reencrypted.len());
    Ok(time)
}
