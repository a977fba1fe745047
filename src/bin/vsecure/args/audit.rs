//! The arguments of `audit:*`.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use strum::VariantNames as _;
use vsecure::audit::{Action, ResourceType};
use vsecure::model::{Environment, Pattern, Timestamp};

use super::values::Moment;

#[derive(Args, Debug)]
pub struct AuditLogsArgs {
    /// Only resources of this kind
    #[arg(long, value_enum, value_name = "KIND", value_delimiter = ',')]
    pub resource: Vec<ResourceKind>,
    /// Only these actions
    #[arg(long, value_name = "ACTION", value_delimiter = ',', value_parser = PossibleValuesParser::new(Action::VARIANTS).try_map(|text| text.parse::<Action>()))]
    pub action: Vec<Action>,
    /// Only what this member did: a name or an e-mail address
    #[arg(long, value_name = "MEMBER")]
    pub actor: Option<String>,
    /// Only names or paths that match, such as 'API_*' or 'production/*'
    #[arg(long, value_name = "PATTERN")]
    pub name: Option<Pattern>,
    /// Only this environment
    #[arg(long, short, value_name = "ENV")]
    pub env: Option<Environment>,
    /// Only from this time on: 7d (ago), 2026-11-24 or 2026-11-24T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<Moment>,
    /// Only before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
    /// Show at most so many, the newest
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

impl AuditLogsArgs {
    /// The moments meant by `--since` and `--until`.
    pub fn between(&self, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
        let at = |moment: &Option<Moment>| moment.map(|moment| moment.at(now));
        (at(&self.since), at(&self.until))
    }
}

/// A kind of resource, in the plural.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    #[value(alias = "secret")]
    Secrets,
    Policy,
    #[value(alias = "grant")]
    Grants,
}

impl From<ResourceKind> for ResourceType {
    fn from(kind: ResourceKind) -> Self {
        match kind {
            ResourceKind::Secrets => Self::Secret,
            ResourceKind::Policy => Self::Policy,
            ResourceKind::Grants => Self::Grant,
        }
    }
}

#[derive(Args, Debug)]
pub struct AuditRemoteArgs {
    /// The remote; by default origin, or the only one
    #[arg(long, value_name = "REMOTE")]
    pub remote: Option<String>,
}
