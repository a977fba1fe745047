//! Values as people see them: compared, picked from, generated; and text made safe for terminals. Pure: no file, no terminal, no
//! store. What is returned as text and may hold a value says so.

mod diff;
mod generate;
mod pick;
mod structure;
mod terminal;
mod variables;

pub use diff::{FieldChange, ValueDiff, compare};
pub use generate::{GenerateError, Generator, GeneratorError};
pub use pick::{PickError, pick};
pub use terminal::{escape, escape_json, escape_lines};
pub use variables::{Naming, NamingError, Variable, demand_shell_names, steers_programs, variables};
