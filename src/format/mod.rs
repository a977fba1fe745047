//! Values as people see them: compared, picked from, generated; and text made safe for terminals. Pure: no file, no terminal, no
//! store. What is returned as text and may hold a value says so.

mod attributes;
mod diff;
mod dotenv;
mod export;
mod generate;
mod hook;
mod import;
mod needles;
mod pick;
mod structure;
mod template;
mod terminal;
mod variables;

pub use attributes::added_rules;
pub use diff::{FieldChange, ValueDiff, compare};
pub use dotenv::{DotenvError, read_dotenv};
pub use export::{Delimiter, ExportError, Form, Manifest, export, github_masks};
pub use generate::{GenerateError, Generator, GeneratorError};
pub use hook::{AnswerError, HookRequest, Step, hook_answer};
pub use import::{Found, ImportError, Source, import, source_of};
pub use needles::{Disguise, Hit, MIN_NEEDLE_BYTES, Needles};
pub use pick::{PickError, pick};
pub use template::{Piece, TemplateError, filled, pieces};
pub use terminal::{escape, escape_json, escape_lines};
pub use variables::{Naming, NamingError, Variable, demand_shell_names, steers_programs, variables};
