//! The three counters of a store: they start at 1, never repeat, and are never mixed up.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU64);

        impl $name {
            /// The first one: 1.
            pub const FIRST: Self = Self(NonZeroU64::MIN);

            /// `number`, unless it is 0.
            #[must_use]
            pub fn new(number: u64) -> Option<Self> {
                NonZeroU64::new(number).map(Self)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0.get()
            }

            /// The one after this.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// The one before this; none before the first.
            #[must_use]
            pub fn previous(self) -> Option<Self> {
                Self::new(self.get() - 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

counter! {
    /// The number of a value of a secret; shown as `v4`.
    Version
}
counter! {
    /// The number of a signed state of a secret: a new value, but also new tags, an expiry or a re-encryption.
    Revision
}
counter! {
    /// The number of a policy: each change of members or rules is a new epoch.
    Epoch
}
