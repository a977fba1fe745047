//! The store's documents, made in memory: policy with any number of members, sidecars with their age files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use base64::Engine as _;
use vsecure::crypto::{self, Identity, Namespace, Recipient, SecretBytes};
use vsecure::model::{
    Acceptance, Change, Ciphertext, Digest, Document as _, KeyHolder, Member, MemberKeys, MemberName, Policy,
    PolicyRef, Revision, SecretPath, Sidecar, StoreId, Timestamp, Version,
};
use vsecure::vault::{AccessLog, InitRequest, LogMode, Progress, Vault, VaultOptions, Writing};

/// A policy in its first epoch, whose every member reads and writes everything.
pub struct Household {
    pub identity: Identity,
    pub name: MemberName,
    pub id: StoreId,
    pub policy: Policy,
    pub policy_file: Vec<u8>,
    pub gitattributes: Vec<u8>,
    pub now: Timestamp,
    recipients: Vec<Recipient>,
    holders: Vec<KeyHolder>,
}

/// One revision: its sidecar's file and its age file.
pub struct Documents {
    pub path: SecretPath,
    pub version: Version,
    pub sidecar: Vec<u8>,
    pub age: Vec<u8>,
}

impl Household {
    /// As `vsecure init` makes it, with more members of the same role, so that there are `readers`; to so many `newcomers` no secret is
    /// encrypted yet.
    pub fn new(readers: usize, newcomers: usize, now: Timestamp) -> anyhow::Result<Self> {
        let identity = Identity::generate();
        let (mut policy, gitattributes) = first_epoch(identity.clone(), now)?;
        let name = policy.author.clone();
        let first = policy.members.get(&name).context("the author is a member")?.clone();
        for number in 1..readers + newcomers {
            let other = Identity::generate();
            let keys =
                MemberKeys { recipient: other.recipient().to_string(), signing: other.verifying_key().to_string() };
            let name = if number < readers { format!("reader{number}") } else { format!("newcomer{number}") };
            let email = format!("{name}@example.com").parse()?;
            let member = Member { email, keys: vec![keys], ..first.clone() };
            policy.members.insert(name.parse()?, member);
        }
        let policy_file = crypto::sign_document(&policy.body(), Namespace::Policy, &identity)?;
        let mut recipients = Vec::new();
        let mut holders = Vec::new();
        for (name, member) in policy.members.iter().filter(|(name, _)| !name.as_str().starts_with("newcomer")) {
            let recipient: Recipient = member.keys.first().context("a member has a key")?.recipient.parse()?;
            holders.push(KeyHolder { member: name.clone(), key: recipient.fingerprint() });
            recipients.push(recipient);
        }
        let id = StoreId::of_first_epoch(&policy_file);
        Ok(Self { identity, name, id, policy, policy_file, gitattributes, now, recipients, holders })
    }

    /// The files of the epochs behind the first one, in order, up to the `last`, and the acceptance list that the last one names. By that one only
    /// another reader may write: what counts still does so because it is `accepted`.
    pub fn later_epochs(&self, last: u64, accepted: &Acceptance) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let mut files = Vec::new();
        let mut policy = self.policy.clone();
        let mut previous = self.policy_file.clone();
        while policy.epoch.get() < last {
            policy.epoch = policy.epoch.next();
            policy.salt = None;
            policy.previous = Some(Digest::of(&previous));
            policy.environments.push(format!("environment{}", policy.epoch).parse()?);
            if policy.epoch.get() == last && !accepted.is_empty() {
                policy.accepted = Some(Digest::of(&accepted.to_bytes()));
                for rule in policy.secrets.values_mut() {
                    rule.write = vec!["reader1".parse()?];
                }
                files.push((format!("accepted/{}", Digest::of(&accepted.to_bytes())), accepted.to_bytes()));
            }
            previous = crypto::sign_document(&policy.body(), Namespace::Policy, &self.identity)?;
            files.push((format!("{:06}.yaml", policy.epoch.get()), previous.clone()));
        }
        Ok(files)
    }

    /// A random value as the next revision of `path` after `previous`.
    pub fn secret(&self, path: &SecretPath, tags: &[&str], previous: Option<&Documents>) -> anyhow::Result<Documents> {
        let mut bytes = [0u8; 60];
        getrandom::fill(&mut bytes).map_err(|_| anyhow!("no random numbers"))?;
        let value = SecretBytes::new(base64::engine::general_purpose::STANDARD.encode(bytes).into_bytes());
        let (mut version, mut revision) = (Version::FIRST, Revision::FIRST);
        if let Some(previous) = previous {
            version = previous.version.next();
            (1..version.get()).for_each(|_| revision = revision.next());
        }
        let age = crypto::seal(&value, &crypto::Context::new(&self.id, path, version), &self.recipients)?;
        let sidecar = Sidecar {
            store: self.id,
            path: path.clone(),
            revision,
            parents: previous.iter().map(|previous| Digest::of(&previous.sidecar)).collect(),
            change: if previous.is_some() { Change::Set } else { Change::Create },
            version,
            ciphertext: Some(Ciphertext::of(&age)),
            source: None,
            policy: PolicyRef { epoch: self.policy.epoch, sha256: *self.id.digest() },
            author: self.name.clone(),
            time: self.now,
            recipients: self.holders.clone(),
            exposed_to: BTreeSet::new(),
            value_author: self.name.clone(),
            created_at: self.now,
            updated_at: self.now,
            tags: tags.iter().map(|tag| tag.parse()).collect::<Result<_, _>>()?,
            metadata: BTreeMap::from([("owner".parse()?, "backend-team".parse()?)]),
            expires_at: None,
            rotation: None,
            next: None,
            acknowledged: None,
        };
        let sidecar = crypto::sign_document(&sidecar.body(), Namespace::Secret, &self.identity)?;
        Ok(Documents { path: path.clone(), version, sidecar, age })
    }
}

/// Epoch 1 and the attributes file as `init` writes them, made in a repository of its own.
fn first_epoch(identity: Identity, now: Timestamp) -> anyhow::Result<(Policy, Vec<u8>)> {
    let folder = tempfile::tempdir()?;
    let made = Command::new("git").args(["init", "-q"]).arg(folder.path()).status()?;
    ensure!(made.success(), "git init failed");
    let options = vault_options(folder.path(), now)?;
    let request = InitRequest { here: true, name: "bench".parse()?, email: "bench@example.com".parse()?, identity };
    Vault::init(options, request, &Writing { no_commit: true, ..Writing::default() })?;
    let store = folder.path().join(".vsecure");
    let file = fs::read(store.join("policy/000001.yaml"))?;
    let policy = Policy::parse(crypto::verify_document(&file, Namespace::Policy)?.body())?;
    Ok((policy, fs::read(store.join(".gitattributes"))?))
}

/// How the library is told to use a store at `start`, whoever is asked to trust it.
pub fn vault_options(start: &Path, now: Timestamp) -> anyhow::Result<VaultOptions> {
    Ok(VaultOptions {
        start: start.to_owned(),
        store: None,
        claim: None,
        pins: None,
        now,
        max_value_bytes: 1 << 20,
        lock_timeout: Duration::from_secs(10),
        author: None,
        committer: None,
        progress: Progress::default(),
        look: true,
        access_log: AccessLog { mode: LogMode::Off, command: "bench".parse()?, client: "bench".parse()?, ci: None },
        recover: true,
    })
}
