//! The books in one SQLite file: WAL, `synchronous=FULL`, one writer, many readers.
//!
//! One process owns the file, held by a lock beside it; that is why a start may void every hold it
//! finds. Each write is a [`Command`](super::writer::Command) in the file named after what it does.

mod arrivals;
mod books;
mod direct;
pub(super) mod facilitators;
mod finish;
mod hold;
mod housekeeping;
pub(super) mod payers;
mod payments;
#[cfg(test)]
mod plans;
pub(super) mod reads;
pub(super) mod refunds;
pub(super) mod reversals;
mod rows;
mod settlements;
mod start;
pub(super) mod suspense;
pub(super) mod watch;

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    ConnectOptions, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub(super) use direct::{Abandon, AbandonDirectCalls, StartDirectCall};
pub(super) use hold::{Debit, Hold};
pub(super) use housekeeping::{Check, Sweep, VoidOrphans};
pub(super) use payments::{InsertPayment, ReopenPayment};
pub(super) use settlements::CloseTransaction;
pub(super) use start::{KeepAddress, KeepPriceList, KeptAddress, PinKey};

use super::{StoreError, StoreLimits};

const READERS_MAX: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Sqlite {
    readers: SqlitePool,
    limits: StoreLimits,
    /// Held for as long as any handle lives.
    _lock: Arc<File>,
}

impl Sqlite {
    pub(super) async fn open(
        path: &Path,
        limits: StoreLimits,
    ) -> Result<(Self, SqliteConnection), StoreError> {
        // Another name of the same file must not be another ledger.
        let path = &canonical(path);
        let lock = lock(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .disable_statement_logging();
        let mut writer = options.clone().create_if_missing(true).connect().await?;
        sqlx::migrate!("migrations/sqlite").run(&mut writer).await?;

        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .connect_with(options.read_only(true))
            .await?;
        Ok((
            Self {
                readers,
                limits,
                _lock: Arc::new(lock),
            },
            writer,
        ))
    }

    pub(super) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    pub(super) fn limits(&self) -> StoreLimits {
        self.limits
    }
}

/// The file's one name, also when the file is still to be made.
fn canonical(path: &Path) -> PathBuf {
    if let Ok(canonical) = path.canonicalize() {
        return canonical;
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let unusable = |error: std::io::Error| {
        StoreError::Database(format!(
            "cannot use {}: {error}",
            Path::new(&name).display()
        ))
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(Path::new(&name))
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(path.display().to_string())),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}
