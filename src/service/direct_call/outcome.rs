//! What a paid call has come to.

use std::time::Duration;

use super::{DirectAnswer, DirectError, PaidCall, Run};
use crate::{
    base::PurchaseId,
    payment::{DirectStage, PaymentState, PaymentWay},
    service::Service,
    store::{CallReply, DirectCall, Payment, StoreError},
    x402::SettleResponse,
};

impl Service {
    /// The same authorization again. Once it settled, it is public: only who knows the
    /// `payment-identifier` too is the one who paid.
    pub(super) async fn repeat_direct(
        &self,
        known: Payment,
        run: &Run<'_>,
    ) -> Result<DirectAnswer, DirectError> {
        let Payment { id, state, .. } = known;
        let call = match known.way {
            PaymentWay::Direct => self.store().direct_call(id).await?,
            PaymentWay::Purchase | PaymentWay::Claim | PaymentWay::Event | PaymentWay::Transfer => {
                None
            }
        };
        match call {
            Some(call)
                if run.identified && call.identified && call.request_hash == run.request_hash =>
            {
                if state == PaymentState::Confirmed {
                    // Paid for and perhaps not run: whoever was to run it may have failed to.
                    self.run_settled(id, run).await?;
                }
                self.conclude(id, run, true).await
            }
            _ => Err(DirectError::Replay { id, state }),
        }
    }

    /// What a call has come to, after waiting for its settlement as long as the operator allows.
    pub(super) async fn conclude(
        &self,
        id: PurchaseId,
        run: &Run<'_>,
        replayed: bool,
    ) -> Result<DirectAnswer, DirectError> {
        let call = self.stored_direct(id).await?;
        if call.stage == DirectStage::Done {
            self.drive_detached(id);
            let wait = self.settings().settle_wait;
            let payment = self.wait_for(id, wait, PaymentState::is_settled).await?;
            if !payment.state.is_settled() && !run.identified {
                // Nobody can come back for the output, so the payment shall not pay for it.
                self.store().abandon_direct_call(id, self.now()).await?;
            }
        }
        let call = self.stored_direct(id).await?;
        let payment = self
            .wait_for(id, Duration::ZERO, PaymentState::is_settled)
            .await?;
        let state = payment.state;
        match (call.stage, call.reply) {
            (DirectStage::Done, Some(reply)) if state == PaymentState::Credited => {
                Ok(self.finished(payment, reply, run, replayed))
            }
            (DirectStage::Failed | DirectStage::TimedOut, Some(reply)) => {
                Ok(self.finished(payment, reply, run, replayed))
            }
            (DirectStage::Done | DirectStage::Waiting, _)
                if matches!(
                    state,
                    PaymentState::Refused | PaymentState::Failed | PaymentState::Expired
                ) =>
            {
                Err(self.withheld(payment, run))
            }
            (DirectStage::Done, _) if state.is_settled() => {
                // The reply has outlived its time.
                Err(DirectError::Replay { id, state })
            }
            (DirectStage::Abandoned, _) if !replayed && state == PaymentState::Refused => {
                // It did not settle in time and was not broadcast: nothing is owed.
                Err(self.withheld(payment, run))
            }
            (DirectStage::Done, _) => Ok(DirectAnswer::Settling {
                payment: Box::new(payment),
                output_kept: true,
            }),
            (DirectStage::Waiting, _) if run.identified => Ok(DirectAnswer::Settling {
                payment: Box::new(payment),
                output_kept: true,
            }),
            (DirectStage::Waiting, _) => {
                self.store().abandon_direct_call(id, self.now()).await?;
                Ok(DirectAnswer::Settling {
                    payment: Box::new(payment),
                    output_kept: false,
                })
            }
            (DirectStage::Abandoned, _) if !replayed && !state.is_settled() => {
                Ok(DirectAnswer::Settling {
                    payment: Box::new(payment),
                    output_kept: false,
                })
            }
            (DirectStage::Running, _) => Err(DirectError::InFlight { id, state }),
            (DirectStage::Abandoned | DirectStage::Failed | DirectStage::TimedOut, _) => {
                Err(DirectError::BrokenOff { id, state })
            }
        }
    }

    async fn stored_direct(&self, id: PurchaseId) -> Result<DirectCall, DirectError> {
        let call = self.store().direct_call(id).await?;
        Ok(call.ok_or(StoreError::Corrupt("direct_calls"))?)
    }

    fn finished(
        &self,
        payment: Payment,
        reply: CallReply,
        run: &Run<'_>,
        replayed: bool,
    ) -> DirectAnswer {
        let resource_url = self.invoke_url(run.tool.slug(), run.action.slug());
        DirectAnswer::Finished(Box::new(PaidCall {
            payment,
            reply,
            resource_url,
            replayed,
        }))
    }

    /// The payment will never come, so the output stays here.
    fn withheld(&self, payment: Payment, run: &Run<'_>) -> DirectError {
        let reason = payment.reason.unwrap_or_else(|| payment.state.to_string());
        let payer = Some(payment.transfer.from);
        let response = Box::new(SettleResponse::refused(
            payment.asset.network,
            payer,
            &reason,
        ));
        let quote = Box::new(self.quote_of(run.tool, run.action, &reason));
        DirectError::Refused {
            reason,
            response,
            quote,
        }
    }
}
