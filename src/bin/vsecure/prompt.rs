//! Questions to a person. Never asked without a terminal: then it is an error that says what to pass.

use std::io::{self, BufRead as _, Write as _};

use vsecure::crypto::{PassphraseError, PassphraseSource, SecretBytes};

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// Nobody can be asked.
    #[error("there is no terminal to ask on")]
    NoTerminal {
        /// What to pass instead.
        pass: &'static str,
    },
    /// Typed differently the second time.
    #[error("the two values differ")]
    Mismatch,
    /// The terminal failed.
    #[error("the terminal could not be used")]
    Io(#[from] io::Error),
}

/// The terminal, if there is one.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Whether somebody can be asked: standard input and standard error are terminals.
    pub present: bool,
}

impl Terminal {
    fn demand(self, pass: &'static str) -> Result<(), PromptError> {
        if self.present { Ok(()) } else { Err(PromptError::NoTerminal { pass }) }
    }

    /// Asks for a value, hidden, twice.
    ///
    /// # Errors
    /// [`PromptError`].
    pub fn hidden_twice(self, what: &str, pass: &'static str) -> Result<SecretBytes, PromptError> {
        self.demand(pass)?;
        let first = hidden(&format!("Value of {what}: "))?;
        let second = hidden("Again: ")?;
        if first.same_as(&second) { Ok(first) } else { Err(PromptError::Mismatch) }
    }

    /// Asks a question that is answered by typing `yes`.
    ///
    /// # Errors
    /// [`PromptError`].
    pub fn confirm(self, question: &str, pass: &'static str) -> Result<bool, PromptError> {
        self.demand(pass)?;
        write!(io::stderr(), "{question} Type yes to go on: ")?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(answer.trim() == "yes")
    }
}

fn hidden(label: &str) -> io::Result<SecretBytes> {
    rpassword::prompt_password(label).map(|text| SecretBytes::new(text.into_bytes()))
}

impl PassphraseSource for Terminal {
    fn passphrase(&mut self, what: &str) -> Result<SecretBytes, PassphraseError> {
        // Standard input may be a pipe with the value: the terminal is asked all the same, if there is one.
        if std::fs::File::open("/dev/tty").is_err() {
            return Err(PassphraseError::NobodyToAsk);
        }
        hidden(&format!("Passphrase of {what}: ")).map_err(PassphraseError::Failed)
    }
}
