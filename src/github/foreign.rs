//! Makes others' words harmless: control characters, ANSI, direction marks and workflow commands.
//!
//! Pure functions. They lose what cannot be shown and never what can: a reader sees that a line
//! was cut. Leans on the runner's parser as it is: `::` at a line's start, `##[` anywhere in it.

use crate::error::visible;

/// How many foreign lines are shown at most.
pub const MOST_LINES: usize = 50;

/// How many characters of a foreign line are shown at most.
const MOST_CHARS: usize = 1000;

/// Foreign lines ready to be shown, and how many earlier ones were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The last lines, clean.
    pub lines: Vec<String>,
    /// How many lines before them are not shown.
    pub left_out: usize,
}

impl Shown {
    /// The sentence about what is missing, if something is.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        match self.left_out {
            0 => None,
            1 => Some("(1 earlier line left out)".into()),
            n => Some(format!("({n} earlier lines left out)")),
        }
    }
}

/// The last lines of foreign text, clean. A line break inside an entry is a line break.
#[must_use]
pub fn last_lines<S: AsRef<str>>(lines: &[S]) -> Shown {
    let all = || lines.iter().flat_map(|text| split(text.as_ref()));
    let left_out = all().count().saturating_sub(MOST_LINES);
    Shown { lines: all().skip(left_out).map(line).collect(), left_out }
}

/// One line of foreign text, clean and cut with `...`. Its leading spaces stay.
#[must_use]
pub fn line(text: &str) -> String {
    let mut clean = String::new();
    for (count, c) in visible(text).enumerate() {
        if count == MOST_CHARS {
            clean.push_str("...");
            break;
        }
        clean.push(c);
    }
    defused(clean.trim_end())
}

/// Text without the runner's older command marker, which it obeys anywhere in a line.
fn defused(text: &str) -> String {
    text.replace("##[", "## [")
}

/// Splits at every kind of line break there is, so that none is left to forge a line's start.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    let ended = text.strip_suffix('\n').unwrap_or(text);
    ended.split('\n').flat_map(|part| {
        part.strip_suffix('\r')
            .unwrap_or(part)
            .split(['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_what_can_be_seen() {
        let table = [
            ("  indented\ttext  ", "  indented text"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}[38;5;196mx\u{1b}[K", "x"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("\u{1b}]never ended", "never ended"),
            ("\u{1b}(Bplain", "plain"),
            ("\u{1b}cplain", "plain"),
            ("\u{9b}31mred", "red"),
            ("\u{1b}[31", ""),
            ("\u{1b}", ""),
            ("a\u{202e}b\u{2066}c\u{200b}d\u{feff}", "abcd"),
            ("##[error]no", "## [error]no"),
            ("#\u{200b}#[error]no", "## [error]no"),
            ("\u{c548}\u{b155} ok", "\u{c548}\u{b155} ok"),
        ];
        for (text, shown) in table {
            assert_eq!(line(text), shown, "{}", text.escape_debug());
        }
    }

    #[test]
    fn a_long_line_is_cut_where_characters_end() {
        let shown = line(&"\u{c548}".repeat(5000));
        assert_eq!(shown.chars().count(), MOST_CHARS + 3);
        assert!(shown.ends_with("\u{c548}..."));
        assert_eq!(line(&"x".repeat(MOST_CHARS)).len(), MOST_CHARS);
    }

    #[test]
    fn every_line_break_begins_a_line() {
        let shown = last_lines(&["one\r\ntwo\n", "10%\r20%", "a\u{2028}b", ""]);
        assert_eq!(shown.lines, ["one", "two", "10%", "20%", "a", "b", ""]);
        assert_eq!(shown.missing(), None);
    }

    #[test]
    fn the_last_lines_stay_and_the_others_are_counted() {
        let lines: Vec<_> = (0..=MOST_LINES).map(|n| n.to_string()).collect();
        let shown = last_lines(&lines);
        assert_eq!((shown.lines.len(), shown.lines[0].as_str()), (MOST_LINES, "1"));
        assert_eq!(shown.missing().as_deref(), Some("(1 earlier line left out)"));
    }

    #[test]
    fn unended_escapes_take_no_square_of_the_time() {
        let text = "\u{1b}]".repeat(500_000);
        let before = std::time::Instant::now();
        assert_eq!(line(&text), "");
        assert!(before.elapsed().as_secs() < 5);
    }
}
