//! Declarations on neighbouring lines, set in columns: `input` and `target`, the names, the types.
//!
//! Works on the text that is already set, a line for each declaration, so it moves nothing but spaces within a line. Lines that
//! do not follow one another, or that would become too long, stay as they are.

use std::ops::Range;

/// Lines of declarations that follow one another, as ranges of the output.
#[derive(Debug, Default)]
pub(super) struct Columns {
    lines: Vec<Range<usize>>,
}

impl Columns {
    /// Takes the line that was just set; ends the columns before it unless it follows them.
    pub fn push(&mut self, line: Range<usize>, output: &mut String, width: usize) {
        let follows = self.lines.last().is_some_and(|last| last.end + 1 == line.start);
        if follows {
            self.lines.push(line);
            return;
        }
        // Columns before it grow, and with them everything behind.
        let grown = self.set(output, width);
        self.lines.push(line.start + grown..line.end + grown);
    }

    /// Sets the lines taken so far in columns and forgets them; gives by how much the output grew.
    pub fn set(&mut self, output: &mut String, width: usize) -> usize {
        let lines = std::mem::take(&mut self.lines);
        let parts: Option<Vec<_>> = lines.iter().map(|line| parts(&output[line.clone()])).collect();
        let (Some(parts), Some(first), Some(last)) = (parts, lines.first(), lines.last()) else { return 0 };
        let widest = |of: &dyn Fn(&(&str, &str, &str)) -> usize| parts.iter().map(of).max().unwrap_or(0);
        let keyword = widest(&|(keyword, _, _)| keyword.chars().count());
        let name = widest(&|(_, name, _)| name.chars().count());
        let set = parts.iter().map(|(k, n, ty)| format!("{k:keyword$} {n:name$} {ty}")).collect::<Vec<_>>();
        let is_narrow = set.iter().all(|line| line.chars().count() <= width);
        if lines.len() < 2 || !is_narrow {
            return 0;
        }
        let (before, set) = (output.len(), set.join("\n"));
        output.replace_range(first.start..last.end, &set);
        output.len() - before
    }
}

/// `input `, `name:` and the rest of a declaration on one line.
fn parts(line: &str) -> Option<(&str, &str, &str)> {
    if line.contains('\n') {
        return None;
    }
    let indent = line.len() - line.trim_start().len();
    let space = indent + line[indent..].find(' ')?;
    let colon = space + 1 + line[space + 1..].find(": ")?;
    Some((&line[..space], &line[space + 1..colon + 1], &line[colon + 2..]))
}
