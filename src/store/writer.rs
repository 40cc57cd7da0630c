//! The group commit: one writer, one transaction for all that waits.

use std::{future::Future, pin::Pin, time::Duration};

use sqlx::{Connection, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::sleep,
};

use super::StoreError;

const QUEUE_MAX: usize = 4_096;
const BATCH_MAX: usize = 256;
/// How long the writer lets more commands gather once it is busy. About the cost of the commit
/// that they then share.
const GATHER: Duration = Duration::from_millis(1);

/// One change of the books. It may be executed again after a neighbour's failure rolled the batch
/// back, so it keeps nothing of its own between executions.
pub(super) trait Command: Send + Sync + 'static {
    type Answer: Send;

    fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> impl Future<Output = Result<Self::Answer, StoreError>> + Send;
}

/// Where commands wait for the writer.
#[derive(Clone)]
pub(super) struct Queue {
    jobs: mpsc::Sender<Box<dyn Job>>,
}

impl Queue {
    /// Returns once the command is durable, or was refused as a whole.
    pub(super) async fn submit<C: Command>(&self, command: C) -> Result<C::Answer, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(Pending {
            command,
            answer: None,
            sender,
        });
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Stopped,
        })?;
        receiver.await.map_err(|_| StoreError::Stopped)?
    }
}

pub(super) fn start(connection: SqliteConnection) -> (Queue, JoinHandle<()>) {
    let (jobs, receiver) = mpsc::channel(QUEUE_MAX);
    (Queue { jobs }, tokio::spawn(run(connection, receiver)))
}

type Execution<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// A command with the one who waits for its answer.
trait Job: Send {
    fn execute<'a>(&'a mut self, transaction: &'a mut SqliteConnection) -> Execution<'a>;
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Pending<C: Command> {
    command: C,
    answer: Option<C::Answer>,
    sender: oneshot::Sender<Result<C::Answer, StoreError>>,
}

impl<C: Command> Job for Pending<C> {
    fn execute<'a>(&'a mut self, transaction: &'a mut SqliteConnection) -> Execution<'a> {
        Box::pin(async move {
            self.answer = Some(self.command.execute(transaction).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { answer, sender, .. } = *self;
        let answer = outcome.and_then(|()| answer.ok_or(StoreError::Stopped));
        // Whoever waited may have gone; what was committed stands all the same.
        drop(sender.send(answer));
    }
}

async fn run(mut connection: SqliteConnection, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut busy = false;
    loop {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        if jobs.recv_many(&mut batch, BATCH_MAX).await == 0 {
            return;
        }
        if busy && batch.len() < BATCH_MAX {
            sleep(GATHER).await;
            while batch.len() < BATCH_MAX
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
        }
        busy = batch.len() > 1;
        commit(&mut connection, batch).await;
    }
}

/// Commits the batch as one transaction. If any command fails, each is committed on its own, so
/// that a failure never reaches its neighbours.
async fn commit(connection: &mut SqliteConnection, mut batch: Vec<Box<dyn Job>>) {
    if batch.len() > 1 {
        match execute(connection, &mut batch).await {
            Ok(()) => return answer(batch, &Ok(())),
            Err(error) => tracing::debug!(%error, "a batch is committed one by one"),
        }
    }
    for job in batch {
        let mut alone = vec![job];
        let outcome = execute(connection, &mut alone).await;
        if let Err(error) = &outcome {
            tracing::error!(%error, "a write failed");
        }
        answer(alone, &outcome);
    }
}

async fn execute(
    connection: &mut SqliteConnection,
    batch: &mut [Box<dyn Job>],
) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for job in batch {
        job.execute(&mut transaction).await?;
    }
    // Nobody is answered before this returns: a crash up to here loses only what nobody was told.
    Ok(transaction.commit().await?)
}

fn answer(batch: Vec<Box<dyn Job>>, outcome: &Result<(), StoreError>) {
    for job in batch {
        job.answer(outcome.clone());
    }
}
