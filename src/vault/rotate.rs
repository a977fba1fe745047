//! Running a rotation: a generator's value in one commit, or a hook's steps with a pending value between two.
//!
//! With a hook: `create` gives the new value, which is committed as pending before the target is touched; `set` and `test` follow; then the value
//! becomes current, in one commit; `finish` comes last. What has begun is resumed: a pending value is not made again, and the steps behind it are
//! called again with the same token. No lock is held while a hook runs.

use std::io;

use crate::audit;
use crate::crypto::{self, Context, SecretBytes};
use crate::format::{AnswerError, Generator, HookRequest, Step, hook_answer};
use crate::model::{Change, Ciphertext, Digest, HookPath, Pending, SecretPath, Sidecar, Span, Version};
use crate::policy::Action;

use super::access_log::Line;
use super::history::VersionSpec;
use super::pending::knew_pending;
use super::revision::Signed;
use super::rotation::{Method, Note};
use super::write::{Base, Plan, Position, Sealed};
use super::{Outcome, Reading, Vault, VaultError, Writing};

/// A program larger than this is none that anybody reads before trusting it.
const MAX_HOOK_BYTES: u64 = 64 * 1024 * 1024;

/// Why a hook did not do its step. Nothing of what it printed is part of it.
#[derive(Debug, thiserror::Error)]
pub enum HookFault {
    /// It could not be started, or talked to.
    #[error("it could not be run")]
    Io(#[source] io::Error),
    /// It took too long, and was killed.
    #[error("it did not end within {after}, and was killed")]
    TimedOut {
        /// How long it had.
        after: Span,
    },
    /// It ended with an exit code other than 0.
    #[error("it ended with exit code {code}")]
    Exited {
        /// Which.
        code: i32,
    },
    /// A signal killed it.
    #[error("it was killed by signal {signal}")]
    Killed {
        /// Which.
        signal: i32,
    },
    /// We were told to stop, and it was killed.
    #[error("it was interrupted")]
    Interrupted,
    /// It printed more than any answer has.
    #[error("it printed more than {limit} bytes")]
    TooMuch {
        /// How much is read at most.
        limit: u64,
    },
    /// It did not answer with a value.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The value that it answered with is not allowed.
    #[error("the value in its answer is refused")]
    Value(#[source] Box<VaultError>),
    /// It answered with the value that is to be replaced.
    #[error("it answered with the present value")]
    SameValue,
}

/// One call of a hook.
#[derive(Debug)]
pub struct HookCall<'a> {
    /// Its place from the work tree's root.
    pub program: &'a HookPath,
    /// What was read there and is trusted: this runs, whatever lies there meanwhile.
    pub content: &'a [u8],
    /// Where it runs: the work tree's root.
    pub work_tree: &'a std::path::Path,
    /// What it gets on its standard input, and nowhere else.
    pub input: SecretBytes,
    /// What must not be shown of what it prints.
    pub values: Vec<&'a SecretBytes>,
}

/// Who runs programs for the vault.
pub trait RunHook {
    /// Runs the hook to its end; what it printed.
    ///
    /// # Errors
    /// [`HookFault`]; the program and what it started are gone then.
    fn run(&mut self, call: HookCall<'_>) -> Result<SecretBytes, HookFault>;
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    /// There is a new value.
    Renewed(Outcome),
    /// The new value was current already, and its hook's last step is done now.
    Finished(Outcome),
}

impl Rotated {
    /// The secret, as it is now.
    #[must_use]
    pub const fn outcome(&self) -> &Outcome {
        match self {
            Self::Renewed(outcome) | Self::Finished(outcome) => outcome,
        }
    }
}

/// A trusted hook, for one secret.
struct Hook {
    program: HookPath,
    content: Vec<u8>,
    generator: Option<Generator>,
}

/// A rotation whose new value is known.
struct Rotating {
    token: Digest,
    version: Version,
    current: Option<SecretBytes>,
    pending: SecretBytes,
}

impl Vault {
    /// The content of a program that may be trusted as a hook, and its hash.
    ///
    /// # Errors
    /// [`VaultError::HookMissing`], or what keeps it from being read.
    fn hook_content(&self, program: &HookPath) -> Result<(Vec<u8>, Digest), VaultError> {
        let content = self.store.read_program(program.as_str(), MAX_HOOK_BYTES)?;
        let content = content.ok_or_else(|| VaultError::HookMissing { program: program.clone() })?;
        let digest = Digest::of(&content);
        Ok((content, digest))
    }

    /// Lets `program` run as a hook of this store, with the content that it has now and no other; the hash of that. Where a hash is `said`, it must
    /// be that one.
    ///
    /// # Errors
    /// [`VaultError::HookMissing`], [`VaultError::OtherHook`], or when that can't be remembered.
    pub fn trust_hook(&self, program: &HookPath, said: Option<Digest>) -> Result<Digest, VaultError> {
        let (_, found) = self.hook_content(program)?;
        if let Some(said) = said.filter(|said| *said != found) {
            return Err(VaultError::OtherHook { program: program.clone(), found, said });
        }
        let pins = self.options.pins.as_ref().ok_or(VaultError::NoState)?;
        pins.trust_hook(&self.id(), program, found)?;
        Ok(found)
    }

    /// The content of a hook that this machine's owner trusts.
    fn trusted_hook(&self, program: &HookPath) -> Result<Vec<u8>, VaultError> {
        let (content, digest) = self.hook_content(program)?;
        let pins = self.options.pins.as_ref();
        let known = pins.map(|pins| pins.trusted_hook(&self.id(), program)).transpose()?.flatten();
        if known == Some(digest) {
            return Ok(content);
        }
        Err(VaultError::HookNotTrusted { program: program.clone(), digest, changed: known.is_some() })
    }

    /// Gives a secret its next value, as its rotation says; what was begun goes on.
    ///
    /// # Errors
    /// [`VaultError`]: no rotation, nobody but a person can make the value, a hook that is not trusted or fails, a right that lacks, git.
    pub fn rotate(
        &self,
        path: &SecretPath,
        runner: &mut dyn RunHook,
        writing: &Writing,
    ) -> Result<Rotated, VaultError> {
        self.demand(Action::Read, path)?;
        self.demand(Action::Write, path)?;
        let signed = self.living(&self.store, path)?;
        match self.method(&signed.sidecar)? {
            Method::Generator(generator) => self.rotate_generated(path, &generator, writing).map(Rotated::Renewed),
            Method::Hook(program, generator) => {
                let content = self.trusted_hook(&program)?;
                self.rotate_hooked(&signed, &Hook { program, content, generator }, runner, writing)
            }
        }
    }

    fn rotate_generated(
        &self,
        path: &SecretPath,
        generator: &Generator,
        writing: &Writing,
    ) -> Result<Outcome, VaultError> {
        let value = generator.generate().map_err(|_| VaultError::NoRandomness)?;
        self.check_size(&value, false)?;
        self.write(writing, &|base| {
            let position = self.position(base, path)?;
            self.open_value(&self.store, position.living()?)?;
            let mut sidecar = self.draft(&position, Change::Rotate)?;
            let expiry_cleared = self.clear_passed_expiry(&mut sidecar);
            let age = self.put_new_value(&position, &mut sidecar, &value)?;
            let mut plan = self.plan(&position, &sidecar, age, format!("Rotate {path} to v{}", sidecar.version))?;
            plan.outcome.expiry_cleared = expiry_cleared;
            Ok(plan)
        })
    }

    fn rotate_hooked(
        &self,
        signed: &Signed,
        hook: &Hook,
        runner: &mut dyn RunHook,
        writing: &Writing,
    ) -> Result<Rotated, VaultError> {
        let sidecar = &signed.sidecar;
        // What a hook has been told of must be in a commit, now and later.
        self.demand_committed(&sidecar.path)?;
        // A file that is not as signed is refused before a hook makes anything.
        self.pending_file(&self.store, signed)?;
        let outcome = self.outcome(sidecar);
        if let Some(note) = self.note_on(sidecar).filter(|note| note.step == Step::Finish && sidecar.next.is_none()) {
            if !writing.dry_run {
                self.finish_again(signed, &note, hook, runner)?;
            }
            return Ok(Rotated::Finished(Outcome { changed: false, ..outcome }));
        }
        if writing.dry_run {
            let version = sidecar.version.next();
            return Ok(Rotated::Renewed(Outcome { change: Change::Rotate, version, ..outcome }));
        }
        let token = match &sidecar.next {
            Some(next) => next.token,
            None => self.begin(signed, hook, runner, writing)?,
        };
        let rotating = self.rotating(&sidecar.path, token)?;
        for step in [Step::Set, Step::Test] {
            self.step(step, sidecar, &rotating, hook, runner)?;
        }
        // Noted down before it is so: a kill between the two loses no step.
        self.keep_note(&sidecar.path, &Note::of(Step::Finish, token, sidecar, None));
        let outcome = self.write(&committing(writing), &|base| self.plan_finish(base, &sidecar.path, token))?;
        self.step(Step::Finish, sidecar, &rotating, hook, runner)?;
        self.forget_note(&sidecar.path);
        Ok(Rotated::Renewed(outcome))
    }

    /// Gets a new value and commits it as pending; the rotation's token.
    fn begin(
        &self,
        signed: &Signed,
        hook: &Hook,
        runner: &mut dyn RunHook,
        writing: &Writing,
    ) -> Result<Digest, VaultError> {
        let sidecar = &signed.sidecar;
        let path = &sidecar.path;
        let token = self.new_token(signed);
        let value = match &hook.generator {
            Some(generator) => generator.generate().map_err(|_| VaultError::NoRandomness)?,
            None => {
                let current = self.handed_out(sidecar, sidecar.version, self.open_value(&self.store, signed))?;
                let request = HookRequest {
                    step: Step::Create,
                    path,
                    version: sidecar.version.next(),
                    token,
                    current: Some(&current),
                    pending: None,
                };
                let made = self.call(hook, runner, &request).and_then(|printed| self.answered(&printed, &current));
                made.map_err(|fault| self.failed(Step::Create, token, sidecar, hook, fault))?
            }
        };
        self.write(&committing(writing), &|base| self.plan_begin(base, sidecar, token, &value))?;
        self.forget_note(path);
        Ok(token)
    }

    /// The value that a hook answered with, if it may be the next one.
    fn answered(&self, printed: &SecretBytes, current: &SecretBytes) -> Result<SecretBytes, HookFault> {
        let value = hook_answer(printed)?;
        self.check_size(&value, false).map_err(|error| HookFault::Value(Box::new(error)))?;
        if value.same_as(current) { Err(HookFault::SameValue) } else { Ok(value) }
    }

    /// What a rotation is known by from before its first step: the state that it begins upon.
    fn new_token(&self, signed: &Signed) -> Digest {
        let id = self.id();
        Digest::of(format!("vsecure-rotation-v1\0{id}\0{}\0{}", signed.sidecar.path, signed.digest).as_bytes())
    }

    /// States `value` as the one that is to follow that of `begun`, whatever else of the secret was changed meanwhile.
    fn plan_begin(
        &self,
        base: Base<'_>,
        begun: &Sidecar,
        token: Digest,
        value: &SecretBytes,
    ) -> Result<Plan, VaultError> {
        let path = &begun.path;
        let position = self.committed_position(base, path)?;
        let current = position.living()?;
        match &current.sidecar.next {
            // Somebody else began the same rotation, and was quicker.
            Some(next) if next.token == token => {
                let outcome = self.outcome(&current.sidecar);
                return Ok(Plan { changes: Vec::new(), outcome, subject: String::new() });
            }
            None if current.sidecar.version == begun.version => {}
            _ => return Err(VaultError::Raced { path: path.clone() }),
        }
        self.open_value(&self.store, current)?;
        let (recipients, holders) = self.authority.readers(path, self.grants_in_force()?);
        if recipients.is_empty() {
            return Err(VaultError::NoReaders { path: path.clone() });
        }
        let mut sidecar = self.draft(&position, Change::Metadata)?;
        let version = sidecar.version.next();
        let context = Context::new(&sidecar.store, path, version);
        let file = crypto::seal(value, &context, &recipients).map_err(VaultError::Seal)?;
        sidecar.next = Some(Pending {
            version,
            token,
            ciphertext: Ciphertext::of(&file),
            recipients: holders,
            exposed_to: std::collections::BTreeSet::new(),
            author: sidecar.author.clone(),
            created_at: self.options.now,
        });
        let sealed = Sealed { value: None, pending: Some(file) };
        self.plan(&position, &sidecar, sealed, format!("Begin the rotation of {path} to v{version}"))
    }

    /// The rotation `token`, as it is committed and was verified.
    fn rotating(&self, path: &SecretPath, token: Digest) -> Result<Rotating, VaultError> {
        let signed = self.living(&self.store, path)?;
        let next = signed.sidecar.next.as_ref().filter(|next| next.token == token);
        let next = next.ok_or_else(|| VaultError::Raced { path: path.clone() })?;
        let current = self.open_value(&self.store, &signed)?;
        let pending = self
            .open_pending(&self.store, &signed)
            .and_then(|opened| opened.map(|(_, value)| value).ok_or_else(|| VaultError::Raced { path: path.clone() }));
        let pending = self.handed_out(&signed.sidecar, next.version, pending)?;
        Ok(Rotating { token, version: next.version, current: Some(current), pending })
    }

    /// Writes down that a value of `sidecar` goes to a hook.
    fn handed_out(
        &self,
        sidecar: &Sidecar,
        version: Version,
        value: Result<SecretBytes, VaultError>,
    ) -> Result<SecretBytes, VaultError> {
        let line = match &value {
            Ok(_) => Some(Line::released_as(sidecar, version)),
            Err(error) => Line::refused(&sidecar.path, error),
        };
        let written = self.write_lines(audit::Action::Accessed, line.as_slice());
        value.and_then(|value| written.map(|()| value))
    }

    /// Calls the hook for `step` of a rotation that replaces the value of `sidecar`.
    fn step(
        &self,
        step: Step,
        sidecar: &Sidecar,
        rotating: &Rotating,
        hook: &Hook,
        runner: &mut dyn RunHook,
    ) -> Result<(), VaultError> {
        let request = HookRequest {
            step,
            path: &sidecar.path,
            version: rotating.version,
            token: rotating.token,
            current: rotating.current.as_ref(),
            pending: Some(&rotating.pending),
        };
        let called = self.call(hook, runner, &request);
        called.map(drop).map_err(|fault| self.failed(step, rotating.token, sidecar, hook, fault))
    }

    fn call(&self, hook: &Hook, runner: &mut dyn RunHook, request: &HookRequest<'_>) -> Result<SecretBytes, HookFault> {
        let work_tree = self.store.work_tree().map_err(|error| HookFault::Io(io::Error::other(error)))?;
        runner.run(HookCall {
            program: &hook.program,
            content: &hook.content,
            work_tree,
            input: request.to_json().map_err(HookFault::Io)?,
            values: [request.current, request.pending].into_iter().flatten().collect(),
        })
    }

    /// Notes down that a step failed, and says so.
    fn failed(&self, step: Step, token: Digest, sidecar: &Sidecar, hook: &Hook, source: HookFault) -> VaultError {
        self.keep_note(&sidecar.path, &Note::of(step, token, sidecar, Some(self.options.now)));
        VaultError::Hook { path: sidecar.path.clone(), program: hook.program.clone(), step, source }
    }

    /// The pending value becomes the present one.
    fn plan_finish(&self, base: Base<'_>, path: &SecretPath, token: Digest) -> Result<Plan, VaultError> {
        let position = self.committed_position(base, path)?;
        let current = position.living()?;
        let next = current.sidecar.next.as_ref().filter(|next| next.token == token);
        let next = next.ok_or_else(|| VaultError::Raced { path: path.clone() })?;
        self.open_value(&self.store, current)?;
        let opened = self.open_pending(&self.store, current)?;
        let (file, value) = opened.ok_or_else(|| VaultError::Raced { path: path.clone() })?;
        let mut sidecar = self.draft(&position, Change::Rotate)?;
        sidecar.next = None;
        let expiry_cleared = self.clear_passed_expiry(&mut sidecar);
        let age = self.put_new_value(&position, &mut sidecar, &value)?;
        sidecar.value_author = next.author.clone();
        let exposed = knew_pending(next, &sidecar.recipients);
        if !exposed.is_subset(&sidecar.exposed_to) {
            // Somebody took note of a smaller debt.
            sidecar.acknowledged = None;
            sidecar.exposed_to.extend(exposed);
        }
        let age = if sidecar.recipients == next.recipients {
            // It is bound to this version, and encrypted to today's readers already.
            sidecar.ciphertext = Some(next.ciphertext.clone());
            file
        } else {
            age
        };
        let mut plan = self.plan(&position, &sidecar, age, format!("Rotate {path} to v{}", sidecar.version))?;
        plan.outcome.expiry_cleared = expiry_cleared;
        Ok(plan)
    }

    /// Calls the last step of a rotation again whose value is current already.
    fn finish_again(
        &self,
        signed: &Signed,
        note: &Note,
        hook: &Hook,
        runner: &mut dyn RunHook,
    ) -> Result<(), VaultError> {
        let sidecar = &signed.sidecar;
        let before = sidecar.version.previous();
        let former = before.and_then(|version| self.former_value(&sidecar.path, version).ok());
        let current = former.as_ref().map(|reading| reading.value.clone());
        if let Some(former) = &former {
            self.handed_out(&former.sidecar, former.sidecar.version, Ok(former.value.clone()))?;
        }
        let pending = self.handed_out(sidecar, sidecar.version, self.open_value(&self.store, signed))?;
        let rotating = Rotating { token: note.token, version: sidecar.version, current, pending };
        let mut begun = sidecar.clone();
        begun.version = before.unwrap_or(sidecar.version);
        self.step(Step::Finish, &begun, &rotating, hook, runner)?;
        self.forget_note(&sidecar.path);
        Ok(())
    }

    fn former_value(&self, path: &SecretPath, version: Version) -> Result<Reading, VaultError> {
        let record = self.record(path)?;
        self.reading_of(self.choose(&record, &VersionSpec::from(version))?)
    }

    /// Drops a pending value, or a last step that is left to be done. What a hook has done at its target stays.
    ///
    /// # Errors
    /// [`VaultError::NothingPending`], a right that lacks, git.
    pub fn cancel_rotation(&self, path: &SecretPath, writing: &Writing) -> Result<Outcome, VaultError> {
        self.demand(Action::Write, path)?;
        let signed = self.living(&self.store, path)?;
        if signed.sidecar.next.is_none() && self.note_on(&signed.sidecar).is_some() {
            // Only a step was left to be done.
            if !writing.dry_run {
                self.forget_note(path);
            }
            return Ok(Outcome { changed: false, ..self.outcome(&signed.sidecar) });
        }
        let outcome = self.write(writing, &|base| {
            let position = self.position(base, path)?;
            let current = position.living()?;
            let next = current.sidecar.next.as_ref();
            let version = next.ok_or_else(|| VaultError::NothingPending { path: path.clone() })?.version;
            let mut sidecar = self.draft(&position, Change::Metadata)?;
            sidecar.next = None;
            let subject = format!("Give up the rotation of {path} to v{version}");
            self.plan(&position, &sidecar, Sealed::default(), subject)
        })?;
        if !writing.dry_run {
            self.forget_note(path);
        }
        Ok(outcome)
    }

    fn demand_committed(&self, path: &SecretPath) -> Result<(), VaultError> {
        self.committed_position(self.store.head_tree()?.as_ref(), path).map(drop)
    }

    /// Where `path` stands, if a commit has that.
    fn committed_position(&self, base: Base<'_>, path: &SecretPath) -> Result<Position, VaultError> {
        let position = self.position(base, path)?;
        if position.uncommitted().is_some() {
            return Err(VaultError::Uncommitted { path: path.clone() });
        }
        Ok(position)
    }
}

/// Each step's state is a commit, whatever the settings say of others.
fn committing(writing: &Writing) -> Writing {
    Writing { no_commit: false, ..writing.clone() }
}
