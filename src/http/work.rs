//! Places for the work of requests. A place is held by the work, not by its connection: a client
//! that hangs up does not end what it asked for.

use std::{future::Future, sync::Arc};

use axum::{http::StatusCode, response::Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{House, HttpLimits, problem::Problem};

const PAYMENTS_FULL: &str = "too many payments are being looked at";

/// How many requests work at one time.
#[derive(Clone)]
pub(super) struct Places {
    requests: Arc<Semaphore>,
    /// Those of the requests that bring a payment: each asks the chain, and waits for it.
    payments: Arc<Semaphore>,
}

/// A place among the requests that work, until it is dropped.
pub(super) struct Place {
    _request: OwnedSemaphorePermit,
    _payment: Option<OwnedSemaphorePermit>,
}

impl Places {
    pub(super) fn new(limits: HttpLimits) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(limits.in_flight_max)),
            payments: Arc::new(Semaphore::new(limits.payments_in_flight_max)),
        }
    }
}

impl House {
    /// A place for work that ends with its handler. To be taken once the body is here: who sends
    /// slowly must not keep others out.
    ///
    /// # Errors
    /// 503 when all are taken.
    pub(super) fn place(&self) -> Result<Place, Problem> {
        self.place_for(false)
    }

    /// A place among the requests that bring a payment, for work that has its place and turns out to
    /// bring one.
    ///
    /// # Errors
    /// 503 when all are taken.
    pub(super) fn payment_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        take(&self.places.payments, PAYMENTS_FULL)
    }

    fn place_for(&self, payment: bool) -> Result<Place, Problem> {
        let request = take(&self.places.requests, "too many requests are running")?;
        let payment = payment
            .then(|| take(&self.places.payments, PAYMENTS_FULL))
            .transpose()?;
        Ok(Place {
            _request: request,
            _payment: payment,
        })
    }

    /// Does work that must not end with the connection that asked for it, in a place of its own:
    /// a charge outlives its client.
    ///
    /// # Errors
    /// 503 when all places are taken, and what the work itself answers.
    pub(super) fn detached<W>(
        &self,
        payment: bool,
        work: impl FnOnce(Self) -> W,
    ) -> impl Future<Output = Result<Response, Problem>> + Send
    where
        W: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        let service = self.service.clone();
        // Nothing of the work is begun before it has its place.
        let work = self.place_for(payment).map(|place| {
            let work = work(self.clone());
            Box::pin(async move {
                let answer = work.await;
                drop(place);
                answer
            })
        });
        async move {
            let answer = service.detached(work?).await;
            answer.map_err(|_| Problem::internal())?
        }
    }
}

fn take(places: &Arc<Semaphore>, full: &str) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(places).try_acquire_owned().map_err(|_| {
        let detail = format!("{full}; send the same request again");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", detail).retry_after(1)
    })
}
