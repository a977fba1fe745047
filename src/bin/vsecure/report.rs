//! The one table from errors to text, help and exit code.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use vsecure::crypto::{IdentityError, IdentityFileError, OpenError};
use vsecure::format::{ExportError, ImportError, NamingError, PickError, Step, TemplateError, escape};
use vsecure::model::{NameError, SecretPath, StoreId};
use vsecure::policy::{EditError, PinError};
use vsecure::store::StoreError;
use vsecure::vault::{Flaw, VaultError};

use crate::editor::EditorError;
use crate::prompt::PromptError;
use crate::settings::SettingsError;

const FAILURE: u8 = 1;
const USAGE: u8 = 2;
const NOT_FOUND: u8 = 3;
const DENIED: u8 = 4;
const CONFLICT: u8 = 5;
const INTEGRITY: u8 = 6;
const EXPIRED: u8 = 7;
const FOUND: u8 = 8;
const BUG: u8 = 70;
/// As env, nohup and shells have it.
const NOTHING_STARTED: u8 = 125;
const NOT_RUNNABLE: u8 = 126;
const NO_PROGRAM: u8 = 127;

/// What the binary itself refuses.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Something was asked for in a way that can't be done.
    #[error("{what}")]
    Usage {
        /// What.
        what: String,
        /// What to do instead.
        help: String,
    },
    /// Nobody may answer for the person who is not there.
    #[error("{what}")]
    NotTrusted {
        /// What.
        what: String,
        /// What to do.
        help: String,
    },
    /// Some of what a list is about was refused; the rest was shown.
    #[error("{count} of the store's files {} refused", if *count == 1 { "is" } else { "are" })]
    Refused {
        /// How many.
        count: usize,
    },
    /// The person said no.
    #[error("nothing was done")]
    Declined,
    /// A check found something; it was shown.
    #[error("a check found something")]
    Found,
    /// Some of the rotations that were run failed; each was told.
    #[error("{count} of the rotations failed")]
    RotationsFailed {
        /// How many.
        count: usize,
    },
    /// Help or version was printed.
    #[error("help was shown")]
    Shown,
    /// An identity file's content can't be used.
    #[error("the identity from {source_name} can't be used")]
    Identity {
        /// Where it came from.
        source_name: String,
        /// Why.
        #[source]
        source: IdentityError,
    },
    /// A key that is in force already could not be printed.
    #[error("the new key of `{member}` could not be printed: nobody has it")]
    KeyLost {
        /// Whose.
        member: String,
    },
    /// No secret is selected.
    #[error("no secret is selected")]
    NothingSelected,
    /// A variable that makes programs load code.
    #[error("{path} would be the variable `{variable}`, which makes programs load or run something")]
    Steering {
        /// The variable.
        variable: String,
        /// The secret.
        path: SecretPath,
    },
    /// A value that a form can't hold.
    #[error("the value of {path} holds {what}, which {form} can't hold")]
    NotExpressible {
        /// The secret.
        path: SecretPath,
        /// What is in it.
        what: &'static str,
        /// What can't hold it.
        form: &'static str,
    },
    /// An output file exists.
    #[error("the file {} exists", path.display())]
    OutputExists {
        /// Which.
        path: PathBuf,
    },
    /// A file to import from is not what it should be.
    #[error("{} can't be imported", path.display())]
    Import {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: ImportError,
    },
    /// A program of the user's that has to help is missing.
    #[error("`{program}` is needed for this, and could not be started")]
    NoHelper {
        /// The program.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program of the user's refused or failed; it said why.
    #[error("`{program}` did not decrypt {what}")]
    HelperFailed {
        /// The program.
        program: &'static str,
        /// What it was given.
        what: String,
    },
    /// An entry of passage can't be opened.
    #[error("{entry} can't be decrypted")]
    Undecryptable {
        /// The file, and the commit where it is not the newest.
        entry: String,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// Another store that nobody vouched for.
    #[error("the store in {} is not trusted yet", path.display())]
    ForeignUntrusted {
        /// Where.
        path: PathBuf,
        /// Its id.
        id: StoreId,
    },
    /// A template with a reference that is none.
    #[error("{} is no template", path.display())]
    Template {
        /// Which.
        path: PathBuf,
        /// Where.
        #[source]
        source: TemplateError,
    },
    /// A key that can't be a secret's name.
    #[error("`{key}` can't be the name of a secret")]
    ImportName {
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: NameError,
    },
    /// A program could not be started.
    #[error("`{program}` could not be started")]
    NotStarted {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program that was started has ended.
    #[error("the program ended with {code}")]
    Ended {
        /// Its exit code, or 128 and the signal that killed it.
        code: u8,
    },
    /// `VSECURE_IDENTITY_COMMAND` failed.
    #[error("the command of VSECURE_IDENTITY_COMMAND failed")]
    IdentityCommand,
}

/// That no program was started, and why, is the cause: exit codes below 125 are the program's.
#[derive(Debug, thiserror::Error)]
#[error("nothing was started")]
pub struct NothingStarted;

impl CommandError {
    /// A usage error with what to do instead.
    pub fn usage(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), help: help.into() }
    }
}

struct Advice {
    code: u8,
    help: Option<String>,
}

fn advice(code: u8, help: impl Into<String>) -> Advice {
    Advice { code, help: Some(help.into()) }
}

const fn plain(code: u8) -> Advice {
    Advice { code, help: None }
}

/// Says what went wrong on standard error, and gives the exit code.
pub fn report(error: &anyhow::Error, json: bool) -> ExitCode {
    if matches!(error.downcast_ref(), Some(CommandError::Shown)) || is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    if let Some(CommandError::Ended { code }) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    let Advice { mut code, help } = advice_on(error);
    if error.is::<NothingStarted>() && !matches!(code, NOT_RUNNABLE | NO_PROGRAM) {
        code = NOTHING_STARTED;
    }
    let causes: Vec<String> = error.chain().map(|cause| escape(&cause.to_string()).into_owned()).collect();
    let mut told: Vec<&String> = Vec::new();
    for cause in &causes {
        // Transparent errors say the same as what they wrap.
        if !told.contains(&cause) {
            told.push(cause);
        }
    }
    let told = told.into_iter().map(String::as_str).collect::<Vec<_>>().join(": ");
    let help = help.map(|help| escape(&help).into_owned());
    let text = if json {
        let kind = error.downcast_ref::<VaultError>().map(VaultError::kind);
        let error = serde_json::json!({ "message": told, "kind": kind, "help": help, "exit_code": code });
        format!("{}\n", serde_json::json!({ "format": 1, "error": error }))
    } else {
        let help = help.map_or_else(String::new, |help| format!("  help: {help}\n"));
        format!("error: {told}\n{help}")
    };
    // There is nobody left to tell when standard error is gone.
    let _ = io::stderr().write_all(text.as_bytes());
    ExitCode::from(code)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn advice_on(error: &anyhow::Error) -> Advice {
    if let Some(error) = error.downcast_ref() {
        return on_command(error);
    }
    if let Some(error) = error.downcast_ref() {
        return on_vault(error);
    }
    if let Some(error) = error.downcast_ref() {
        return on_identity_file(error);
    }
    if let Some(error) = error.downcast_ref() {
        return on_settings(error);
    }
    if let Some(error) = error.downcast_ref::<PromptError>() {
        return match error {
            PromptError::NoTerminal { pass } => advice(USAGE, *pass),
            PromptError::Mismatch => advice(USAGE, "type the same value twice"),
            PromptError::Io(_) => plain(FAILURE),
        };
    }
    if let Some(error) = error.downcast_ref::<PickError>() {
        return plain(if matches!(error, PickError::NotThere { .. }) { NOT_FOUND } else { USAGE });
    }
    if error.is::<ExportError>() {
        return advice(USAGE, "nothing was written; --except leaves it out");
    }
    if let Some(error) = error.downcast_ref::<NamingError>() {
        return match error {
            NamingError::Collision { .. } => {
                advice(USAGE, "--map gives one of them another name, --except leaves it out")
            }
            NamingError::NotSelected { .. } => advice(NOT_FOUND, "vsecure list   shows what there is"),
            NamingError::BadName { .. } => advice(USAGE, "--map gives it another name, --except leaves it out"),
        };
    }
    if error.downcast_ref::<EditorError>().is_some() {
        return advice(FAILURE, "nothing was changed; VISUAL or EDITOR names the editor");
    }
    plain(FAILURE)
}

fn on_command(error: &CommandError) -> Advice {
    match error {
        CommandError::Usage { help, .. } => advice(USAGE, help),
        CommandError::NotTrusted { help, .. } => advice(INTEGRITY, help),
        CommandError::Refused { .. } => advice(INTEGRITY, "git log -- .vsecure   shows who changed them"),
        CommandError::Found => plain(FOUND),
        CommandError::RotationsFailed { .. } => {
            advice(FAILURE, "vsecure rotation:status   shows how far each has come")
        }
        CommandError::Declined => plain(FAILURE),
        CommandError::Shown => plain(0),
        CommandError::Identity { source, .. } => match source {
            IdentityError::Passphrase(_) => {
                advice(DENIED, "run it in a terminal, or pass the key itself in VSECURE_IDENTITY_KEY")
            }
            _ => advice(DENIED, "vsecure keys:generate   makes a key; --identity FILE names another"),
        },
        CommandError::KeyLost { member } => {
            advice(FAILURE, format!("vsecure members:remove {member}   (or access:expire for a guest), then try again"))
        }
        CommandError::NothingSelected => advice(NOT_FOUND, "vsecure list   shows what there is"),
        CommandError::Steering { variable, .. } => advice(
            DENIED,
            format!(
                "--except leaves it out, --map gives it another name; to allow it here: vsecure config:set allowed_variables {variable}"
            ),
        ),
        CommandError::NotExpressible { .. } => advice(USAGE, "--except leaves it out"),
        CommandError::OutputExists { .. } => advice(CONFLICT, "--force writes over it"),
        CommandError::Import { source, .. } => match source {
            ImportError::Sops => advice(USAGE, "nothing was imported: it is encrypted twice"),
            ImportError::Unknown => advice(USAGE, "--format says it: dotenv, json, yaml, pass, passage or vsecure"),
            ImportError::Collision { .. } => advice(USAGE, "rename one of them"),
            ImportError::TooLong => advice(USAGE, "nothing was imported: divide the file, or shorten its keys"),
            _ => advice(USAGE, "nothing was imported; --format says what a file is written in"),
        },
        CommandError::NoHelper { program, .. } => {
            advice(FAILURE, format!("nothing was imported; put {program} on the path and try again"))
        }
        CommandError::HelperFailed { .. } => advice(FAILURE, "nothing was imported; what it said stands above"),
        CommandError::Undecryptable { source, .. } => {
            let code = if matches!(source, OpenError::NotARecipient) { DENIED } else { FAILURE };
            advice(code, "nothing was imported; --from-identity FILE names another private key")
        }
        CommandError::ForeignUntrusted { path, id } => advice(
            INTEGRITY,
            format!(
                "vsecure trust --store {}   shows its admins and asks; --from-store-id {id}, if you know it to be right",
                path.display()
            ),
        ),
        CommandError::Template { .. } => advice(USAGE, "nothing was written"),
        CommandError::ImportName { .. } => {
            advice(USAGE, "nothing was imported: rename it there, or leave it out with --skip-invalid")
        }
        CommandError::NotStarted { source, .. } => match source.kind() {
            io::ErrorKind::NotFound => plain(NO_PROGRAM),
            io::ErrorKind::ArgumentListTooLong => {
                advice(NOT_RUNNABLE, "the variables are too large together: --files passes values as files")
            }
            _ => plain(NOT_RUNNABLE),
        },
        CommandError::Ended { code } => plain(*code),
        CommandError::IdentityCommand => advice(DENIED, "it has to print the key and exit with 0"),
    }
}

fn on_identity_file(error: &IdentityFileError) -> Advice {
    match error {
        IdentityFileError::NotFound { .. } => advice(DENIED, "vsecure keys:generate   makes one"),
        IdentityFileError::AlreadyExists { .. } => {
            advice(CONFLICT, "it was left as it is: --output FILE writes elsewhere")
        }
        IdentityFileError::OpenPermissions { path, .. } => advice(DENIED, format!("chmod 600 {}", path.display())),
        IdentityFileError::TooLarge { .. } | IdentityFileError::NotAnAgeKey => plain(USAGE),
        IdentityFileError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => plain(DENIED),
        IdentityFileError::Io { .. } => plain(FAILURE),
    }
}

fn on_settings(error: &SettingsError) -> Advice {
    match error {
        SettingsError::UnknownKey => advice(
            USAGE,
            "vsecure config:list   shows all settings: access_log, allowed_variables, commit, lock_timeout, max_value_size",
        ),
        SettingsError::BadValue { .. } | SettingsError::Damaged { .. } => plain(USAGE),
        SettingsError::NoDirectory | SettingsError::Io { .. } => plain(FAILURE),
    }
}

fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// One row a kind of refusal; those with more to say have a function of their own.
fn on_vault(error: &VaultError) -> Advice {
    match error {
        VaultError::Store(error) => on_store(error),
        // A full disk says nothing about trust.
        VaultError::Pin(PinError::Io { source, .. }) if source.kind() != io::ErrorKind::PermissionDenied => {
            plain(FAILURE)
        }
        VaultError::Pin(_) => plain(INTEGRITY),
        VaultError::Name { .. } => plain(USAGE),
        VaultError::UnknownEnvironment { nearest: Some(nearest), .. } => {
            advice(NOT_FOUND, format!("did you mean {nearest}?"))
        }
        VaultError::UnknownEnvironment { known, .. } => advice(NOT_FOUND, format!("there are {}", join(known))),
        VaultError::ContradictingEnvironment { .. } => advice(USAGE, "leave --env out, or give the name alone"),
        VaultError::SeveralEnvironmentTags { environments } => {
            advice(USAGE, format!("--env says which of {} is meant", join(environments)))
        }
        VaultError::NearEnvironmentTag { environment, .. } => {
            advice(USAGE, format!("write --tags {environment}, or say the environment with --env"))
        }
        VaultError::Ambiguous { candidates } => advice(USAGE, format!("say which: {}", join(candidates))),
        VaultError::NotFound { nearest: Some(path), .. } => advice(NOT_FOUND, format!("did you mean {path}?")),
        VaultError::NotFound { .. } => advice(NOT_FOUND, "vsecure list   shows what there is"),
        VaultError::Deleted { path } => advice(NOT_FOUND, format!("vsecure restore {path}   brings it back")),
        VaultError::NotDeleted { path } => advice(CONFLICT, format!("vsecure get {path}   reads it")),
        VaultError::Exists { path } => advice(CONFLICT, format!("vsecure update {path}   changes it")),
        VaultError::CaseTwin { .. } => {
            advice(CONFLICT, "file systems that fold case could hold only one of them: choose another name")
        }
        VaultError::NoVersion { .. } => on_missing_version(error),
        VaultError::NoEarlierVersion { path } => {
            advice(NOT_FOUND, format!("vsecure versions {path}   shows what there is"))
        }
        VaultError::AmbiguousVersion { candidates, .. } => advice(USAGE, format!("say which: {}", join(candidates))),
        VaultError::OtherVersion { path, .. } => {
            advice(CONFLICT, format!("vsecure diff {path}   shows what changed; then try again"))
        }
        VaultError::EmptyValue => advice(USAGE, "pass a value, pipe one in, or say --allow-empty"),
        VaultError::ValueTooLarge { .. } => {
            advice(USAGE, "vsecure config:set max_value_size BYTES   raises the limit, up to 16 MiB")
        }
        VaultError::NoIdentity => {
            advice(DENIED, "vsecure keys:generate   makes one; VSECURE_IDENTITY or VSECURE_IDENTITY_KEY names another")
        }
        VaultError::NotAMember { .. } => {
            advice(DENIED, "use the identity you joined with (--identity FILE), or ask an admin of the store")
        }
        VaultError::Denied { .. } | VaultError::NotARecipient { .. } | VaultError::NoReaders { .. } => {
            advice(DENIED, "ask an admin of the store")
        }
        VaultError::Expired { .. } => plain(EXPIRED),
        VaultError::Refused { file, flaw } => on_flaw(file, flaw),
        VaultError::NoPolicy => advice(INTEGRITY, "git checkout   brings it back, if it was committed"),
        VaultError::Untrusted { id } => advice(
            INTEGRITY,
            format!(
                "vsecure trust   shows its admins and asks; where nobody can be asked: VSECURE_STORE_ID={id}, if you know it to be right"
            ),
        ),
        VaultError::OtherStore { remembered: true, .. } => advice(
            INTEGRITY,
            "somebody replaced the store; if that was right, clone the repository anew and run vsecure trust",
        ),
        VaultError::OtherStore { .. } => advice(INTEGRITY, "the id was said by --store-id or VSECURE_STORE_ID"),
        VaultError::OtherEpoch { .. } => {
            advice(INTEGRITY, "git pull   may bring it; else this is another history of the store")
        }
        VaultError::PinIncomplete => {
            advice(INTEGRITY, "vsecure trust   in a clone whose branch is up to date mends it")
        }
        VaultError::PolicyForked => {
            advice(CONFLICT, "vsecure policy:rebase   puts your change of the policy behind the trusted branch's")
        }
        VaultError::PolicyBehind { .. } => advice(CONFLICT, "merge or rebase onto the trusted branch first"),
        VaultError::PolicyMoved => advice(CONFLICT, "try again"),
        VaultError::GrantEnded { .. } => advice(DENIED, "ask for another grant: vsecure secrets:grant-access"),
        VaultError::NotAnAdmin { .. } => advice(DENIED, "vsecure members:list   shows who is"),
        VaultError::Edit(error) => on_edit(error),
        VaultError::WouldLockOut { .. } => {
            advice(CONFLICT, "add a rule or a member for it first; vsecure access:list   shows who can do what")
        }
        VaultError::EpochRefused(_) => advice(CONFLICT, "vsecure policy:show   says what is in force"),
        VaultError::PolicyTooLarge => plain(USAGE),
        VaultError::NotForked => advice(CONFLICT, "vsecure policy:history   shows the epochs there are"),
        VaultError::NoSuchEpoch { .. } => advice(NOT_FOUND, "vsecure policy:history   shows the epochs there are"),
        VaultError::BeforeTheStore { .. } => advice(NOT_FOUND, "vsecure policy:history   shows when it was made"),
        VaultError::EnvironmentInUse { environment, .. } => {
            advice(CONFLICT, format!("vsecure list --env {environment}   shows them: rename or delete them first"))
        }
        VaultError::NoDebt { .. } => advice(NOT_FOUND, "vsecure access:debt   lists what has one"),
        VaultError::GrantTooLong { .. } | VaultError::TimeOutOfRange => plain(USAGE),
        VaultError::ReadsAlready { .. } => advice(CONFLICT, "vsecure access:why WHO PATH   says by which rule"),
        VaultError::NoSuchGrant { .. } => advice(NOT_FOUND, "vsecure access:grants   lists them"),
        VaultError::Request(_) => advice(INTEGRITY, "ask for a new one: vsecure members:request"),
        VaultError::OtherRequest { .. } => plain(USAGE),
        VaultError::NothingToRevert => advice(NOT_FOUND, "git log -- .vsecure/secrets   lists the commits that did"),
        VaultError::ChangedSince { path } => advice(
            CONFLICT,
            format!("vsecure versions {path}   says what came; vsecure rollback {path} --version N   goes back"),
        ),
        VaultError::NothingToAdopt { path } => advice(CONFLICT, format!("vsecure get {path}   reads it")),
        VaultError::Rewritten { now, .. } => {
            advice(INTEGRITY, format!("find out who rewrote it and why; then: vsecure trust:rewrite {now}"))
        }
        VaultError::TrustedPolicyForked { .. } => {
            advice(INTEGRITY, "somebody replaced epochs of the policy; git log -- .vsecure/policy   shows who")
        }
        VaultError::NoSuchReference { .. } => {
            advice(NOT_FOUND, "git branch -r   lists the remote branches; git fetch   brings new ones")
        }
        VaultError::NotTrustedBranch { .. } => advice(NOT_FOUND, "vsecure trust   lists the branches that are trusted"),
        VaultError::Diverged { file } => {
            advice(CONFLICT, format!("git checkout -- .vsecure/{file}   brings the work tree back to the branch"))
        }
        VaultError::NotCheckedOut { file } => advice(
            CONFLICT,
            format!(
                "git checkout -- .vsecure/{file}   brings it back; where the checkout is sparse: git sparse-checkout add .vsecure"
            ),
        ),
        VaultError::RotationPending { path } => advice(
            CONFLICT,
            format!("vsecure rotation:run {path}   goes on with it; vsecure rotation:cancel {path}   drops the value"),
        ),
        VaultError::NoRotation { path } => {
            advice(NOT_FOUND, format!("vsecure rotation:set {path} --period 30d --generate   gives it one"))
        }
        VaultError::NothingPending { path } => {
            advice(NOT_FOUND, format!("vsecure rotation:run {path}   begins one; vsecure rotation:status   lists all"))
        }
        VaultError::NeedsValue { path } => advice(FOUND, format!("vsecure secrets:update {path}")),
        VaultError::TooLongBefore { .. } => advice(USAGE, "--notify-before takes less"),
        VaultError::BadGenerator { path, .. } => {
            advice(USAGE, format!("vsecure rotation:set {path} --period 30d --generate=40   sets another"))
        }
        VaultError::Uncommitted { .. } => advice(CONFLICT, "git commit   it first"),
        VaultError::HookMissing { .. } => {
            advice(NOT_FOUND, "a hook is named by its path from the work tree's root, such as ops/rotate.sh")
        }
        VaultError::HookNotTrusted { program, digest, .. } => {
            advice(INTEGRITY, format!("read it; then: vsecure trust:hook {program} --sha256 {digest}"))
        }
        VaultError::OtherHook { .. } => advice(INTEGRITY, "it was changed: read it again"),
        VaultError::NoState => advice(FAILURE, "set HOME or XDG_STATE_HOME"),
        VaultError::Hook { path, step, .. } => on_hook(path, *step),
        VaultError::Raced { .. } => advice(CONFLICT, "try again"),
        VaultError::SamePath { .. } | VaultError::SidecarTooLarge { .. } => plain(USAGE),
        VaultError::Seal(_) | VaultError::Sign(_) => plain(BUG),
        VaultError::NotLogged { .. } => {
            advice(FAILURE, "vsecure config:set access_log local   lets reads go on without it")
        }
        VaultError::Log(_) => advice(INTEGRITY, "vsecure audit:verify   says what is wrong"),
        VaultError::GuestLog => plain(DENIED),
        VaultError::LogDiverged => advice(
            CONFLICT,
            "was the clone copied with its .git? move .git/vsecure/audit and .git/vsecure/clone-id away: a new log is begun",
        ),
        VaultError::NoRemote { known } if known.is_empty() => {
            advice(NOT_FOUND, "git remote add origin URL   makes one")
        }
        VaultError::NoRemote { known } => advice(NOT_FOUND, format!("--remote says which: {}", join(known))),
        VaultError::LogEnd(_) => advice(INTEGRITY, "vsecure audit:verify   says what is wrong with it"),
        VaultError::NoCloneId => advice(INTEGRITY, "remove that file: the next command makes a new one"),
        VaultError::TooManyValues => advice(USAGE, "--env, --tags and --only choose fewer"),
        VaultError::NoRandomness => plain(FAILURE),
    }
}

fn on_hook(path: &SecretPath, step: Step) -> Advice {
    let again = format!("vsecure rotation:run {path}");
    let help = match step {
        Step::Create => format!("nothing was changed; {again}   tries again"),
        Step::Set | Step::Test => format!(
            "the new value is kept as pending, and the present one is current; {again}   goes on; vsecure rotation:cancel {path}   drops it"
        ),
        Step::Finish => format!("the new value is current; {again}   calls this step again"),
    };
    advice(FAILURE, help)
}

fn on_edit(error: &EditError) -> Advice {
    match error {
        EditError::NoSuchMember { .. } => advice(NOT_FOUND, "vsecure members:list   shows who there is"),
        EditError::NoSuchEnvironment { .. } => advice(NOT_FOUND, "vsecure env:list   shows what there is"),
        EditError::NameTaken { .. } | EditError::KeyExists { .. } | EditError::EnvironmentExists { .. } => {
            plain(CONFLICT)
        }
        EditError::ReservedName => advice(USAGE, "choose another name: --name says which"),
        EditError::LastAdmin => advice(CONFLICT, "vsecure members:roles NAME admins   makes another one first"),
        EditError::Tie { .. } => advice(USAGE, "write them so that one of them is more specific"),
        EditError::UnknownAddress { .. } => advice(USAGE, "vsecure members:list   shows the members' addresses"),
        EditError::BothChanged { .. } => {
            advice(CONFLICT, "make the change anew upon the trusted branch: git checkout it, then change it there")
        }
    }
}

fn on_missing_version(error: &VaultError) -> Advice {
    let VaultError::NoVersion { path, current, nearest, shallow, version } = error else { return plain(BUG) };
    let nearest = match nearest {
        Some(nearest) => format!("; the nearest that can be read is v{nearest}"),
        None => String::new(),
    };
    let help = if *shallow {
        format!("this clone is shallow: git fetch --unshallow{nearest}")
    } else if version > current {
        format!("the current version is v{current}")
    } else {
        format!("it was squashed or rewritten away{nearest}: vsecure versions {path}")
    };
    advice(NOT_FOUND, help)
}

fn on_flaw(file: &str, flaw: &Flaw) -> Advice {
    advice(
        INTEGRITY,
        match flaw {
            Flaw::LostKey { author } => after_loss(author.as_ref(), file),
            flaw => remedy(flaw.kind(), file),
        },
    )
}

/// Where the store's file `file` lies, as somebody may type it: whoever named it must not have a word in that.
fn typed(file: &str) -> String {
    let harmless = file.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    if harmless { format!(".vsecure/{file}") } else { ".vsecure".to_owned() }
}

/// The secret that `file` belongs to, as somebody may type it.
fn secret_typed(file: &str) -> Option<String> {
    let place = typed(file);
    let path = place.strip_prefix(".vsecure/secrets/")?;
    Some(path.trim_end_matches(".yaml").trim_end_matches(".age").to_owned())
}

/// What helps against what was found, by its kind in one word: a flaw's, or a finding's rule.
pub fn remedy(kind: &str, file: &str) -> String {
    let (place, secret) = (typed(file), secret_typed(file));
    let path = secret.as_deref().unwrap_or("PATH");
    match kind {
        "reformatted" => {
            format!("git checkout -- {place}   brings it back; changes are made with vsecure secrets:update")
        }
        "lost-key" => after_loss("its author", file),
        "no-right" | "foreign-key" | "unsigned" | "replayed" if secret.is_some() && !file.ends_with(".next.age") => {
            format!(
                "git log -- {place} shows who did that; if it is right, somebody who may write signs for it: vsecure secrets:adopt {path}"
            )
        }
        "line-endings" | "attributes" => "restore .vsecure/.gitattributes, then check the store out again".to_owned(),
        "case-twin" => format!("vsecure rename {path} NEW_NAME   gives it a name of its own"),
        "unknown-environment" => format!("vsecure env:add ENV   makes it one; vsecure delete {path}   gives it up"),
        "unknown-file" => "look at it, and rotate what it holds; if nobody needs it: git rm".to_owned(),
        "reader-missing" | "reader-surplus" => {
            format!("vsecure rekey {path}   by somebody who may read and write it")
        }
        "grant-overdue" => "vsecure access:expire   encrypts without that key; then rotate the value".to_owned(),
        "policy-behind" => {
            "merge or rebase onto the trusted branch; vsecure policy:rebase   where they parted".to_owned()
        }
        _ => format!(
            "nothing of it was used; git log -- {place} shows who changed it, git checkout COMMIT -- brings a good state back"
        ),
    }
}

/// What helps against a file that a key signed whose owner has lost it.
fn after_loss(author: &str, file: &str) -> String {
    let place = typed(file);
    match secret_typed(file) {
        None => format!(
            "ask {author} whether they gave this grant: if so, vsecure secrets:grant-access gives it anew; if not, git log -- {place} shows who did"
        ),
        Some(path) => format!(
            "ask {author} whether they made this change: if so, vsecure secrets:adopt {path} signs for it anew; if not, git log -- {place} shows who did, and git checkout COMMIT -- brings a good state back"
        ),
    }
}

fn on_store(error: &StoreError) -> Advice {
    match error {
        StoreError::NoStore { .. } => {
            advice(NOT_FOUND, "vsecure init   makes one in this repository; --store DIR names one elsewhere")
        }
        StoreError::NoRepository { .. } => advice(NOT_FOUND, "git init   makes one here"),
        StoreError::StoreExists { .. } => advice(CONFLICT, "vsecure status   says what is in it"),
        StoreError::Locked { .. } => {
            advice(CONFLICT, "wait for it to end; vsecure config:set lock_timeout 1m   waits longer")
        }
        StoreError::GitLocked { file } => {
            advice(CONFLICT, format!("if no git runs in this repository: rm {}", file.display()))
        }
        StoreError::Conflict { .. } | StoreError::DirtyWorkTree { .. } => advice(CONFLICT, "try again"),
        StoreError::InProgress { .. } => advice(CONFLICT, "finish or abort it, or use --no-commit"),
        StoreError::NoGitUser => advice(
            FAILURE,
            "git config --global user.name \"Your Name\"; git config --global user.email you@example.com",
        ),
        StoreError::NotOwned { path } => {
            advice(FAILURE, format!("git config --global --add safe.directory {}", path.display()))
        }
        StoreError::NotPlain { .. }
        | StoreError::BadPath
        | StoreError::TooMany { .. }
        | StoreError::TooLarge { .. } => advice(INTEGRITY, "git log -- .vsecure   shows who put it there"),
        StoreError::StateNotPlain { path } => {
            advice(INTEGRITY, format!("rm {}   takes it away; a folder is made in its place", path.display()))
        }
        StoreError::NoCommit => advice(NOT_FOUND, "git log   shows the commits there are"),
        StoreError::Unfinished { .. } => advice(FAILURE, "vsecure status   completes it"),
        StoreError::SigningFailed { .. } => {
            advice(FAILURE, "git commit -S would fail in the same way; commit.gpgsign asks for it")
        }
        StoreError::Unsupported { .. } | StoreError::ReadOnly { .. } | StoreError::DiskFull { .. } => {
            advice(FAILURE, "nothing was changed")
        }
        StoreError::BegunElsewhere { place } => advice(
            INTEGRITY,
            format!(
                "if that is a store of yours: vsecure --store {place} status, at the top of the work tree, completes it; if not: rm \"$(git rev-parse --git-dir)/vsecure/journal\""
            ),
        ),
        StoreError::Damaged { path } => advice(INTEGRITY, format!("look at it, then move it away: {}", path.display())),
        StoreError::NoGitProgram { .. } => advice(FAILURE, "install git"),
        StoreError::GitFailed { .. } | StoreError::Git(_) | StoreError::Io { .. } => plain(FAILURE),
    }
}

/// What went wrong and what helps, for where an error is one of several findings.
pub fn advised(error: &anyhow::Error) -> (String, String) {
    (told(error.as_ref()), advice_on(error).help.unwrap_or_default())
}

/// Tells the error chain's texts, for where an error is not the end of a command.
pub fn told(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
        cause = inner.source();
    }
    escape(&texts.join(": ")).into_owned()
}
