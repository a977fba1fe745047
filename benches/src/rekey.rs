//! Work over many secrets at once, by the library.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use vsecure::crypto::{self, Identity, Namespace, NoPassphrase, Recipient};
use vsecure::model::{
    Change, Ciphertext, Digest, Document as _, KeyHolder, MAX_SIDECAR_BYTES, Policy, SecretPath, Sidecar, Timestamp,
};
use vsecure::policy::Pins;
use vsecure::store::{Batch, FileChange, Mode, Store, StoreOptions, StorePath};
use vsecure::vault::{Vault, VaultOptions};

const LARGEST: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

fn options(dir: &Path) -> anyhow::Result<VaultOptions> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(VaultOptions {
        start: dir.join("project"),
        store: None,
        claim: None,
        pins: Some(Pins::in_directory(dir.join("home/.local/state/vsecure"))),
        now: Timestamp::from_unix(i64::try_from(now.as_secs())?).context("a time")?,
        max_value_bytes: LARGEST,
        lock_timeout: PATIENCE,
        author: None,
        committer: None,
        recover: true,
    })
}

fn identity(dir: &Path) -> anyhow::Result<Identity> {
    let (bytes, _) = crypto::read_identity_file(&dir.join("home/.config/vsecure/identity.txt"))?;
    let identities = crypto::parse_identities(&bytes, "the identity file", &mut NoPassphrase)?;
    identities.into_iter().next().context("an identity")
}

/// Reads the first `count` secrets, the opening of the store included: how long it took.
pub fn read(dir: &Path, count: usize) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let mut vault = Vault::open(options(dir)?)?;
    vault.unlock(vec![identity(dir)?])?;
    for number in 0..count {
        vault.get(&path(dir, number)?)?;
    }
    Ok(start.elapsed())
}

/// Seals the first `count` secrets for one reader more, signs, and commits all of it durably: how long it took. Members are changed by
/// nobody here: what is measured is what each such change has to do.
pub fn rekey(dir: &Path, count: usize) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let identity = identity(dir)?;
    let options = options(dir)?;
    let store_options = StoreOptions { git_program: PathBuf::from("git"), lock_timeout: PATIENCE };
    let store = Store::discover(&options.start, None, store_options)?;
    let transaction = store.begin("rekey")?;
    let mut readers = readers(&store)?;
    let newcomer = Identity::generate().recipient().clone();
    readers.push((newcomer.clone(), KeyHolder { member: "newcomer".parse()?, key: newcomer.fingerprint() }));
    let mut sources = Vec::new();
    for number in 0..count {
        let path = path(dir, number)?;
        let file = |ending: &str| -> anyhow::Result<(StorePath, Vec<u8>)> {
            let place: StorePath = format!("secrets/{path}{ending}").parse()?;
            let bytes = store.read(&place, LARGEST)?.context("a file of the store")?;
            Ok((place, bytes))
        };
        sources.push((file(".yaml")?, file(".age")?));
    }
    let changes =
        sources.into_par_iter().map(|(sidecar, age)| resealed(&identity, &readers, options.now, sidecar, age));
    let changes: Vec<[FileChange; 2]> = changes.collect::<anyhow::Result<_>>()?;
    let batch = Batch {
        changes: changes.into_iter().flatten().collect(),
        unchanged: Vec::new(),
        message: format!("Re-encrypt {count} secrets\n\nVsecure-Change: rekey\n"),
        author: None,
        committer: None,
        mode: Mode::Commit,
    };
    transaction.apply(batch)?;
    Ok(start.elapsed())
}

fn resealed(
    identity: &Identity,
    readers: &[(Recipient, KeyHolder)],
    now: Timestamp,
    (place, file): (StorePath, Vec<u8>),
    (age_place, age): (StorePath, Vec<u8>),
) -> anyhow::Result<[FileChange; 2]> {
    anyhow::ensure!(file.len() <= MAX_SIDECAR_BYTES, "a sidecar that is too large");
    let mut sidecar = Sidecar::parse(crypto::verify_document(&file, Namespace::Secret)?.body())?;
    let context = crypto::Context::new(&sidecar.store, &sidecar.path, sidecar.version);
    let holders: Vec<_> = sidecar.recipients.iter().map(|holder| holder.key).collect();
    let value = crypto::open(&age, &context, &holders, identity)?;
    let (recipients, holders): (Vec<_>, Vec<_>) = readers.iter().cloned().unzip();
    let new_age = crypto::seal(&value, &context, &recipients)?;
    sidecar.revision = sidecar.revision.next();
    sidecar.parents = vec![Digest::of(&file)];
    sidecar.change = Change::Rekey;
    sidecar.time = now;
    sidecar.ciphertext = Some(Ciphertext::of(&new_age));
    sidecar.recipients = holders;
    let new_file = crypto::sign_document(&sidecar.body(), Namespace::Secret, identity)?;
    let change = |path, seen, content| FileChange { path, seen: Some(seen), content: Some(content) };
    Ok([change(place, file, new_file), change(age_place, age, new_age)])
}

/// Everybody in the policy.
fn readers(store: &Store) -> anyhow::Result<Vec<(Recipient, KeyHolder)>> {
    let file = store.read(&"policy/000001.yaml".parse()?, LARGEST)?.context("a policy")?;
    let policy = Policy::parse(crypto::verify_document(&file, Namespace::Policy)?.body())?;
    let members = policy.members.iter().flat_map(|(name, member)| member.keys.iter().map(move |keys| (name, keys)));
    let each = members.map(|(name, keys)| {
        let recipient: Recipient = keys.recipient.parse()?;
        let holder = KeyHolder { member: name.clone(), key: recipient.fingerprint() };
        Ok((recipient, holder))
    });
    each.collect()
}

fn path(dir: &Path, number: usize) -> anyhow::Result<SecretPath> {
    let folders = std::fs::read_dir(dir.join("project/.vsecure/secrets/production"))?
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_dir()))
        .count();
    crate::import::path_of(number, folders)
}
