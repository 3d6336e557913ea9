//! Tables of text: columns aligned, texts to the left and numbers to the right.

/// Lines of cells under a header.
#[derive(Debug)]
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: Vec<String>) -> Self {
        Self { header, rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The table, its first `n_left` columns aligned to the left.
    pub(crate) fn to_text(&self, n_left: usize) -> String {
        let lines = || std::iter::once(&self.header).chain(&self.rows);
        let width =
            |at: usize| lines().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let mut text = String::new();
        for row in lines() {
            let cells = row.iter().zip(&widths).enumerate().filter(|(_, (_, width))| **width > 0);
            let cells = cells.map(|(at, (cell, width))| match at < n_left {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            });
            let line: Vec<String> = cells.collect();
            text += line.join("  ").trim_end();
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["", "name", "train"].map(str::to_string).to_vec());
        table.push(["loss", "a", "10.5"].map(str::to_string).to_vec());
        table.push(["metric", "accuracy", "0.25"].map(str::to_string).to_vec());
        let expected = "        name      train\nloss    a          10.5\nmetric  accuracy   0.25\n";
        assert_eq!(table.to_text(2), expected);
    }
}
