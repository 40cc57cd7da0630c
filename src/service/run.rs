//! One run of a tool, as a reply to be stored.

use crate::{
    service::Service,
    store::{CallReply, ReplyKind},
    upstream::{Action, Tool, ToolError},
};

impl Service {
    /// Calls the tool. Every failure is a reply too, so that a repeat is told the same.
    pub(super) async fn run(
        &self,
        tool: &Tool,
        action: &Action,
        parameters: &[u8],
        idempotency_key: &str,
    ) -> CallReply {
        let called = self
            .0
            .parts
            .upstream
            .call(tool, action, parameters, idempotency_key)
            .await;
        let reply = |kind, status, body: &str| CallReply {
            kind,
            status,
            body: body.as_bytes().to_vec(),
        };
        match called {
            Ok(answer) => reply(ReplyKind::Captured, Some(answer.status), answer.data.get()),
            Err(ToolError::Status(answer)) => {
                reply(ReplyKind::Failed, Some(answer.status), answer.data.get())
            }
            Err(ToolError::Timeout) => reply(ReplyKind::TimedOut, None, "null"),
            Err(error) => {
                tracing::warn!(tool = %tool.slug(), action = %action.slug(), %error, "a tool failed");
                reply(ReplyKind::Failed, None, "null")
            }
        }
    }
}
