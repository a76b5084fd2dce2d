//! `THROUGHLINE_ERROR_TEXT`: how much of error text is recorded.

use super::{ConfigError, Env};
use crate::redact::error_text::{self, ErrorText};

/// The choice of error text. It is process-wide, and code may have made one before `init`.
#[derive(Debug, Clone, Default)]
pub(crate) enum ErrorTextConfig {
    #[default]
    Unset,
    /// Made by the variable; yields to a choice made in code.
    Variable(ErrorText),
    /// Made by the builder; the last choice in code takes precedence.
    Builder(ErrorText),
}

impl ErrorTextConfig {
    pub(super) fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        let type_only = env.choice("THROUGHLINE_ERROR_TEXT", &[("full", false), ("type", true)])?;
        Ok(type_only.map_or(Self::Unset, |type_only| {
            Self::Variable(if type_only { ErrorText::type_only() } else { ErrorText::full() })
        }))
    }

    pub(crate) fn apply(self) {
        match self {
            Self::Unset => {}
            Self::Variable(choice) => error_text::set_default(choice),
            Self::Builder(choice) => error_text::set_error_text(choice),
        }
    }
}
