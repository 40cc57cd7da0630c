//! The two orders in which a paid call runs and settles.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::{DirectAnswer, DirectError, Run};
use crate::{
    base::PurchaseId,
    payment::PaymentState,
    service::Service,
    store::{CallReply, FinishDirectCall},
};

/// The least pause between two looks at a payment that somebody else drives.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

impl Service {
    pub(super) async fn run_then_settle(
        &self,
        id: PurchaseId,
        run: &Run<'_>,
    ) -> Result<DirectAnswer, DirectError> {
        // The intent is stored. A crash while the tool runs gives the payment up at the next start.
        let reply = self.run_direct(id, run).await;
        self.store()
            .finish_direct_call(FinishDirectCall {
                payment: id,
                reply,
                now: self.now(),
            })
            .await?;
        self.conclude(id, run, false).await
    }

    pub(super) async fn settle_then_run(
        &self,
        id: PurchaseId,
        run: &Run<'_>,
    ) -> Result<DirectAnswer, DirectError> {
        self.drive_detached(id);
        let wait = self.settings().settle_wait;
        let payment = self.wait_for(id, wait, PaymentState::is_settled).await?;
        if !payment.state.is_settled() && run.identified {
            self.run_when_settled(id, run);
        } else if payment.state == PaymentState::Confirmed {
            self.run_settled(id, run).await?;
        }
        self.conclude(id, run, false).await
    }

    /// Goes on waiting for a payment whose client was sent away, and runs the tool then.
    fn run_when_settled(&self, id: PurchaseId, run: &Run<'_>) {
        let (service, parameters) = (self.clone(), run.parameters.to_vec());
        let (tool, action) = (run.tool.slug().clone(), run.action.slug().clone());
        let (request_hash, identified) = (run.request_hash, run.identified);
        self.tasks().spawn(async move {
            let Some((tool, action)) = service.catalogue().lookup(&tool, &action) else {
                return;
            };
            let run = Run {
                tool,
                action,
                parameters: &parameters,
                request_hash,
                identified,
            };
            if let Err(error) = service.follow_and_run(id, &run).await {
                // Past its deadline, the sweeper turns the payment into credits of its payer.
                tracing::warn!(payment = ?id, %error, "a paid call was not run");
            }
        });
    }

    async fn follow_and_run(&self, id: PurchaseId, run: &Run<'_>) -> Result<(), DirectError> {
        while !self.stopping() {
            self.drive(id).await;
            let wait = self.settings().settle_wait;
            let payment = self.wait_for(id, wait, PaymentState::is_settled).await?;
            if payment.state == PaymentState::Confirmed {
                return self.run_settled(id, run).await;
            }
            if payment.state.is_settled() {
                return Ok(());
            }
            sleep(LOOK_PAUSE).await;
        }
        Ok(())
    }

    pub(super) async fn run_settled(
        &self,
        id: PurchaseId,
        run: &Run<'_>,
    ) -> Result<(), DirectError> {
        if self.store().start_direct_call(id).await? {
            // Paid and running. A crash from here on makes the payment credits of its payer.
            let reply = self.run_direct(id, run).await;
            let finish = FinishDirectCall {
                payment: id,
                reply,
                now: self.now(),
            };
            self.store().finish_direct_call(finish).await?;
        }
        Ok(())
    }

    async fn run_direct(&self, id: PurchaseId, run: &Run<'_>) -> CallReply {
        // The id itself is the buyer's secret, so the tool is given its hash.
        let key = hex::encode(Sha256::digest(id.to_string()));
        self.run(run.tool, run.action, run.parameters, &key).await
    }
}
