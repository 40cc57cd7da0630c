//! Progress on a terminal: one line, drawn over.

use std::{pin::pin, time::Duration};

use tokio::{
    select,
    time::{Instant, interval_at},
};

use super::{narrator::print, paint::Paint};

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_INTERVAL: Duration = Duration::from_millis(80);
const CLEAR_LINE: &str = "\r\x1b[2K";

/// Draws while the work goes on. Both in one task, so no other line gets in between.
pub(super) async fn wait<F: Future>(paint: Paint, what: &str, work: F) -> F::Output {
    let mut work = pin!(work);
    let _line = Line;
    let mut ticks = interval_at(Instant::now() + FRAME_INTERVAL, FRAME_INTERVAL);
    let mut frames = FRAMES.iter().cycle();
    loop {
        select! {
            biased;
            output = &mut work => return output,
            _ = ticks.tick() => {
                let frame = paint.yellow(frames.next().unwrap_or(&""));
                print(format_args!("{CLEAR_LINE}   {frame} {what}"));
            }
        }
    }
}

/// Cleared however the waiting ends.
struct Line;

impl Drop for Line {
    fn drop(&mut self) {
        print(format_args!("{CLEAR_LINE}"));
    }
}
