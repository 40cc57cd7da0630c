//! Shows that something is waited for, and how long, where somebody is looking.

use std::{
    io::{self, IsTerminal},
    pin::pin,
    time::Duration,
};

use tokio::time::{Instant, interval_at};

const TICK: Duration = Duration::from_secs(1);
const CLEAR_LINE: &str = "\r\x1b[2K";

/// Waits; from the first second on, a line on standard error counts, if that is a terminal.
pub(super) async fn waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let mut work = pin!(work);
    let start = Instant::now();
    let mut ticks = interval_at(start + TICK, TICK);
    loop {
        tokio::select! {
            output = &mut work => {
                eprint!("{CLEAR_LINE}");
                return output;
            }
            now = ticks.tick() => {
                eprint!("{CLEAR_LINE}{what} … {} s", (now - start).as_secs());
            }
        }
    }
}
