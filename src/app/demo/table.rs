//! What was shown, one row a step.

use std::time::Duration;

use super::paint::{self, Paint};

pub(super) struct Row {
    pub(super) title: &'static str,
    /// Answer, cost, and credits left.
    pub(super) summary: [String; 3],
    pub(super) took: Duration,
}

pub(super) fn head(paint: Paint, rows: &[Row]) -> String {
    let [title, cost] = widths(rows);
    let head = format!(
        "     {:title$}  answer  {:>cost$}  credits left    time",
        "", "cost"
    );
    format!("\n{}", paint.dim(head))
}

pub(super) fn line(paint: Paint, rows: &[Row], number: usize, row: &Row) -> String {
    let [title, cost] = widths(rows);
    let [answer, charged, left] = &row.summary;
    format!(
        "{} {number}  {:title$}  {answer:>6}  {charged:>cost$}  {left:>12}  {:>6}",
        paint.green("✓"),
        row.title,
        paint::took(row.took),
    )
}

/// Of the columns that are as wide as what is in them.
fn widths(rows: &[Row]) -> [usize; 2] {
    let width = |cell: fn(&Row) -> &str| {
        let cells = rows.iter().map(|row| cell(row).chars().count());
        cells.max().unwrap_or_default()
    };
    let cost = width(|row| &row.summary[1]);
    [width(|row| row.title), cost.max("cost".len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_their_heads() {
        let paint = Paint { on: false };
        let row = |title, cost: &str| Row {
            title,
            summary: ["200".into(), cost.into(), "95".into()],
            took: Duration::from_millis(7),
        };
        let rows = [row("A longer title", "1.00 USDC"), row("Short", "0")];
        let lines: Vec<_> = rows.iter().map(|row| line(paint, &rows, 1, row)).collect();
        let head = head(paint, &rows);
        let width = head.trim_start_matches('\n').chars().count();
        assert_eq!(lines[0].chars().count(), width);
        assert_eq!(lines[1].chars().count(), width);
        assert!(lines[1].ends_with("7 ms"), "{}", lines[1]);
    }
}
