//! What is sold in the demo: a small HTTP API that knows nothing of payments.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// The tool while it is served. Ends when dropped.
pub(super) struct Tool {
    pub(super) address: SocketAddr,
    runs: Arc<AtomicU64>,
    server: JoinHandle<()>,
}

#[derive(Deserialize)]
struct ForecastRequest {
    place: String,
}

impl Tool {
    /// Serves on a free port of the loopback interface.
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let runs = Arc::new(AtomicU64::new(0));
        let router = Router::new()
            .route("/forecast", post(forecast))
            .route("/fail", post(fail))
            .with_state(runs.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the demo's tool ended");
            }
        });
        Ok(Self {
            address,
            runs,
            server,
        })
    }

    /// How many requests have reached the tool.
    pub(super) fn runs(&self) -> u64 {
        self.runs.load(Ordering::SeqCst)
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn forecast(
    State(runs): State<Arc<AtomicU64>>,
    Json(request): Json<ForecastRequest>,
) -> Json<Value> {
    runs.fetch_add(1, Ordering::SeqCst);
    // The same weather for the same place, every day.
    let seed: u32 = request.place.bytes().map(u32::from).sum();
    let sky = ["sunny", "cloudy", "rain", "fog"][seed as usize % 4];
    let high = 12 + seed % 17;
    Json(json!({
        "place": request.place,
        "days": [
            { "day": "today", "sky": sky, "high_c": high },
            { "day": "tomorrow", "sky": "sunny", "high_c": high + 2 },
        ],
    }))
}

async fn fail(State(runs): State<Arc<AtomicU64>>) -> (StatusCode, Json<Value>) {
    runs.fetch_add(1, Ordering::SeqCst);
    let body = json!({ "error": "the weather station does not answer" });
    (StatusCode::INTERNAL_SERVER_ERROR, Json(body))
}
