//! Tables of a page, and what may be in their cells.

use serde::Serialize;

use crate::inert::inert;

/// Most that the rows of a table may take in the page, in bytes; what does not fit is counted.
const LIMIT: usize = 480_000;
/// What the tags around a cell take, at most.
const TAGS: usize = 60;

/// A table with a heading.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    /// Where links lead to.
    pub(super) id: &'static str,
    title: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    count: usize,
    left_out: usize,
    empty: &'static str,
}

/// A cell.
#[derive(Debug, Default, Serialize)]
pub(super) struct Cell {
    /// What is written there.
    pub(super) text: String,
    /// How it looks.
    pub(super) class: &'static str,
    /// What it is sorted by; its text when that is empty.
    pub(super) key: String,
    /// What is said when it is pointed at.
    pub(super) title: &'static str,
}

impl Table {
    /// A table; `empty` is said when there are no rows.
    pub(super) fn new(
        id: &'static str,
        title: &'static str,
        columns: &[&'static str],
        rows: impl Iterator<Item = Vec<Cell>>,
        empty: &'static str,
    ) -> Self {
        let (mut kept, mut count, mut len) = (Vec::new(), 0, 0);
        for row in rows {
            count += 1;
            len += row.iter().map(Cell::len).sum::<usize>();
            if len <= LIMIT {
                kept.push(row);
            }
        }
        let left_out = count - kept.len();
        Self { id, title, columns: columns.to_vec(), rows: kept, count, left_out, empty }
    }
}

impl Cell {
    /// How many bytes it takes in the page.
    fn len(&self) -> usize {
        // The longest escape, `&quot;`, has six.
        let escaped = |at: u8| if b"&<>\"'`=".contains(&at) { 6 } else { 1 };
        TAGS + self.title.len() + self.key.len() + self.text.bytes().map(escaped).sum::<usize>()
    }
}

/// A cell with a text.
pub(super) fn text(text: &str) -> Cell {
    Cell { text: inert(text), ..Cell::default() }
}

/// A cell with a path, a digest, or another text without blanks.
pub(super) fn path(path: &str) -> Cell {
    Cell { class: "path", ..text(path) }
}

/// A cell with a number.
pub(super) fn number(number: usize) -> Cell {
    Cell { class: "number", ..text(&number.to_string()) }
}

#[cfg(test)]
mod tests {
    use crate::audit::html::table::{LIMIT, Table, text};

    #[test]
    fn what_does_not_fit_is_counted() {
        let rows = |count: usize| (0..count).map(|_| vec![text(&"<".repeat(900))]);
        let table = Table::new("a", "A", &["X"], rows(1000), "");
        assert_eq!(table.count, 1000);
        assert_eq!(table.rows.len() + table.left_out, 1000);
        assert!(table.rows.len() * 900 * 6 <= LIMIT && table.rows.len() > 50);
        assert_eq!(Table::new("a", "A", &["X"], rows(3), "").left_out, 0);
    }
}
