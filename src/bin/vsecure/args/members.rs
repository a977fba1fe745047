//! The arguments of `members:*`, `env:*` and `keys:recovery`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use vsecure::model::{Email, Environment, MemberName, RoleName};

use super::WriteArgs;

#[derive(Subcommand, Debug)]
pub enum MembersCommand {
    /// Ask to be listed in this store: print a request, signed by your key, for an admin
    #[command(
        name = "members:request",
        after_help = "Examples:\n  vsecure members:request > bob.yaml          # and send it to an admin\n  \
                      vsecure members:request --in-repo            # as a file, for a pull request"
    )]
    Request(RequestArgs),
    /// Add the person whose request this is
    #[command(
        name = "members:add",
        after_help = "Examples:\n  vsecure members:add bob.yaml --roles engineers\n  \
                      vsecure members:add .vsecure/requests/bob.yaml --roles engineers,devops"
    )]
    Add(AddArgs),
    /// Add a machine: make its key and print it once, for a CI secret
    #[command(
        name = "members:add-machine",
        after_help = "Example:\n  vsecure members:add-machine deploy --roles deployers --yes | gh secret set VSECURE_IDENTITY_KEY"
    )]
    AddMachine(AddMachineArgs),
    /// List people and machines
    #[command(name = "members:list", after_help = "Example:\n  vsecure members:list --json")]
    List,
    /// Say everything about a member: keys, roles, what they may do
    #[command(name = "members:show", after_help = "Example:\n  vsecure members:show bob")]
    Show(MemberArgs),
    /// Give a member other roles, instead of all they have
    #[command(name = "members:roles", after_help = "Example:\n  vsecure members:roles bob engineers devops")]
    Roles(RolesArgs),
    /// Remove a member, encrypt anew what they could read, and list what they know
    #[command(
        name = "members:remove",
        after_help = "Examples:\n  vsecure members:remove bob --dry-run\n  \
                      vsecure members:remove bob --accept-at 4f2a1c9   # distrust what bob changed after that commit"
    )]
    Remove(RemoveArgs),
    /// Give a member one more key, from a request signed by that key
    #[command(name = "members:add-key", after_help = "Example:\n  vsecure members:add-key bob bobs-laptop.yaml")]
    AddKey(AddKeyArgs),
    /// Give a member another key instead of all they have
    #[command(
        name = "members:replace-key",
        after_help = "Examples:\n  vsecure members:replace-key bob new.yaml --planned\n  \
                      vsecure members:replace-key bob new.yaml --lost   # others may have the old key: its values are debt"
    )]
    ReplaceKey(ReplaceKeyArgs),
    /// Let the present state of secrets stay valid, though who signed it has no right
    #[command(name = "members:accept", after_help = "Example:\n  vsecure members:accept production/API_KEY")]
    Accept(AcceptArgs),
    /// Add an environment
    #[command(name = "env:add", after_help = "Example:\n  vsecure env:add qa")]
    EnvAdd(EnvArgs),
    /// List the environments
    #[command(name = "env:list", after_help = "Example:\n  vsecure env:list")]
    EnvList,
    /// Remove an environment that has no secrets
    #[command(name = "env:remove", after_help = "Example:\n  vsecure env:remove qa")]
    EnvRemove(EnvArgs),
}

#[derive(Args, Debug)]
pub struct RequestArgs {
    /// The name to be listed with; by default made of git's user.name
    #[arg(long)]
    pub name: Option<String>,
    /// Your e-mail address; by default git's user.email
    #[arg(long)]
    pub email: Option<String>,
    /// Write it to requests/ in the store and commit it, instead of printing it
    #[arg(long)]
    pub in_repo: bool,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct AddArgs {
    /// The request's file; `-` is standard input
    pub file: PathBuf,
    /// Roles; one that the store has not yet is made
    #[arg(long, value_name = "ROLE", value_delimiter = ',')]
    pub roles: Vec<RoleName>,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct AddMachineArgs {
    /// The machine's name
    pub machine: MemberName,
    /// Roles; one that the store has not yet is made
    #[arg(long, value_name = "ROLE", value_delimiter = ',', required = true)]
    pub roles: Vec<RoleName>,
    /// An e-mail address to list it with; by default one that nobody can have
    #[arg(long)]
    pub email: Option<Email>,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct MemberArgs {
    /// Who: a name or an e-mail address
    pub member: String,
}

#[derive(Args, Debug)]
pub struct RolesArgs {
    /// Who: a name or an e-mail address
    pub member: String,
    /// All roles from now on
    #[arg(required_unless_present = "none", value_delimiter = ',')]
    pub roles: Vec<RoleName>,
    /// No role at all
    #[arg(long, conflicts_with = "roles")]
    pub none: bool,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct RemoveArgs {
    /// Who: a name or an e-mail address
    pub member: String,
    /// Distrust what they changed after this commit
    #[arg(long, value_name = "COMMIT")]
    pub accept_at: Option<String>,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct AddKeyArgs {
    /// Who: a name or an e-mail address
    pub member: String,
    /// The request's file, signed by the new key; `-` is standard input
    pub file: PathBuf,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("why").required(true).args(["planned", "lost"]))]
pub struct ReplaceKeyArgs {
    /// Who: a name or an e-mail address
    pub member: String,
    /// The request's file, signed by the new key; `-` is standard input
    pub file: PathBuf,
    /// The old key is still in its owner's hands only, or destroyed
    #[arg(long)]
    pub planned: bool,
    /// Others may have the old key: the values it opens have to be rotated
    #[arg(long)]
    pub lost: bool,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct AcceptArgs {
    /// The secrets' paths
    #[arg(required = true)]
    pub path: Vec<String>,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct EnvArgs {
    /// The environment
    pub environment: Environment,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct RecoveryArgs {
    /// The name to list it with; a removed member's is not used again
    #[arg(long, default_value = vsecure::policy::RECOVERY)]
    pub name: MemberName,
    #[command(flatten)]
    pub write: WriteArgs,
}
