//! Tells the demo: in lines for people, or one JSON object for each step.
//!
//! Owns standard output. Whoever reads may stop reading at any time; the demo goes on all the same.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    time::Instant,
};

use serde_json::{Value, json};

use super::{
    failure::Failure,
    paint::{self, Paint},
    spinner,
    table::{self, Row},
};

/// How the demo is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) json: bool,
    /// Whether a line can be drawn over.
    pub(super) terminal: bool,
    pub(super) paint: Paint,
}

pub(super) struct Narrator {
    manner: Manner,
    /// What went over the wire in the step that is told.
    wire: Vec<Value>,
    rows: Vec<Row>,
}

/// One claim, and its short name for machines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heading {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
}

/// One request and its answer.
pub(super) struct Told<'a> {
    /// Method and path.
    pub(super) request: &'a str,
    /// What mattered in it, if anything.
    pub(super) sent: &'a str,
    pub(super) status: u16,
    /// What mattered in the answer.
    pub(super) received: &'a str,
}

/// What a step has shown.
pub(super) struct Proof {
    /// One line each.
    pub(super) shown: Vec<String>,
    /// The status of the answer that counts, what it cost, and what was left.
    pub(super) summary: [String; 3],
    pub(super) detail: Value,
}

impl Manner {
    /// `no_color` is the environment's wish (no-color.org).
    pub(super) fn of(json: bool, no_color: bool) -> Self {
        let terminal = !json && io::stdout().is_terminal();
        Self {
            json,
            terminal,
            paint: Paint {
                on: terminal && !no_color,
            },
        }
    }
}

impl Narrator {
    pub(super) const fn new(manner: Manner) -> Self {
        Self {
            manner,
            wire: Vec::new(),
            rows: Vec::new(),
        }
    }

    pub(super) const fn paint(&self) -> Paint {
        self.manner.paint
    }

    /// A line for people.
    pub(super) fn say(&self, line: impl Display) {
        if !self.manner.json {
            print(format_args!("{line}\n"));
        }
    }

    /// Something of the stage stands.
    pub(super) fn started(&self, what: &str, text: impl Display, began: Instant) {
        let paint = self.paint();
        let took = paint.dim(paint::took(began.elapsed()));
        self.say(format_args!("{} {what:8} {text}  {took}", paint.green("✓")));
    }

    /// Shows that something is worked on, where a line can be drawn over.
    pub(super) async fn wait<F: Future>(&self, what: &str, work: F) -> F::Output {
        if self.manner.terminal {
            spinner::wait(self.paint(), what, work).await
        } else {
            work.await
        }
    }

    pub(super) fn begin(&mut self, heading: Heading) {
        self.wire.clear();
        let number = self.rows.len() + 1;
        let title = self
            .paint()
            .bold(format_args!("{number}  {}", heading.title));
        self.say(format_args!("\n{title}"));
    }

    /// One request and its answer, in two lines.
    pub(super) fn tell(&mut self, told: &Told<'_>) {
        let Told {
            request,
            sent,
            status,
            received,
        } = *told;
        let paint = self.paint();
        let painted = if status < 300 {
            paint.green(status)
        } else {
            paint.yellow(status)
        };
        self.say(format_args!("   {} {request}", paint.dim("→")));
        if !sent.is_empty() {
            self.say(format_args!("     {}", paint.dim(sent)));
        }
        self.say(format_args!("   {} {painted} {received}", paint.dim("←")));
        self.wire.push(json!({
            "request": request,
            "sent": sent,
            "status": status,
            "received": received,
        }));
    }

    /// How the step ended; whether it held.
    pub(super) fn end(
        &mut self,
        heading: Heading,
        began: Instant,
        outcome: Result<Proof, Failure>,
    ) -> bool {
        let elapsed = began.elapsed();
        let mut line = json!({
            "step": heading.name,
            "ok": outcome.is_ok(),
            "title": heading.title,
            "duration_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            "wire": std::mem::take(&mut self.wire),
        });
        let paint = self.paint();
        let held = match outcome {
            Ok(proof) => {
                for shown in &proof.shown {
                    self.say(format_args!("   {} {shown}", paint.green("✓")));
                }
                self.rows.push(Row {
                    title: heading.title,
                    summary: proof.summary,
                    took: elapsed,
                });
                line["detail"] = proof.detail;
                true
            }
            Err(failure) => {
                let text = failure.to_string();
                self.say(format_args!("   {} {}", paint.red("✗"), paint.red(&text)));
                line["error"] = text.into();
                false
            }
        };
        self.object(&line);
        held
    }

    /// A line for machines.
    pub(super) fn object(&self, line: &Value) {
        if self.manner.json {
            print(format_args!("{line}\n"));
        }
    }

    /// What was shown, in a table.
    pub(super) fn sum_up(&self) {
        self.say(table::head(self.paint(), &self.rows));
        for (index, row) in self.rows.iter().enumerate() {
            self.say(table::line(self.paint(), &self.rows, index + 1, row));
        }
    }
}

pub(super) fn print(text: std::fmt::Arguments<'_>) {
    let mut output = io::stdout().lock();
    // A reader that has gone away misses the rest.
    let _ = output.write_fmt(text).and_then(|()| output.flush());
}
