//! Why the store could not answer.

use thiserror::Error;

/// The store could not answer. Refusals that the books decide are values, not errors.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// Internal text: for the log, never for a client.
    #[error("the database failed: {0}")]
    Database(String),
    #[error("the database holds a value that this version cannot read in {0}")]
    Corrupt(&'static str),
    #[error("the queue of writes is full")]
    Busy,
    #[error("the writer has stopped")]
    Stopped,
    #[error("another process uses the database {0}; one SQLite file belongs to one server")]
    Locked(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.to_string())
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Database(error.to_string())
    }
}
