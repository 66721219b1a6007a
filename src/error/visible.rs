//! What can be seen of others' words: no colours, no titles, nothing that reorders or hides the text around it.
//!
//! Knows nothing of lines, runners or terminals.

/// The characters of a text that can be seen, on one line: escape sequences are skipped as a whole.
pub fn visible(text: &str) -> impl Iterator<Item = char> + '_ {
    Visible { rest: text.chars(), unended: false }
}

struct Visible<'a> {
    rest: std::str::Chars<'a>,
    /// No string ends any more: looking again at each introducer would take the square of the time.
    unended: bool,
}

impl Iterator for Visible<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            match self.rest.next()? {
                '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => return Some(' '),
                '\u{1b}' => self.skip_escape(),
                '\u{9b}' => self.skip_control_sequence(),
                c if c.is_control() || invisible(c) => {}
                c => return Some(c),
            }
        }
    }
}

impl Visible<'_> {
    /// Skips what follows an escape character: a control sequence, a string, or one character.
    fn skip_escape(&mut self) {
        let after = self.rest.clone().next();
        match after {
            Some('[') => {
                self.rest.next();
                self.skip_control_sequence();
            }
            Some(']' | 'P' | 'X' | '^' | '_') => {
                self.rest.next();
                self.skip_string();
            }
            Some(' '..='/') => {
                self.rest.next();
                self.rest.next();
            }
            Some('0'..='~') => {
                self.rest.next();
            }
            _ => {}
        }
    }

    /// Skips parameters up to the final byte; anything that cannot be part of one ends it.
    fn skip_control_sequence(&mut self) {
        loop {
            match self.rest.clone().next() {
                Some(' '..='?') => {
                    self.rest.next();
                }
                Some('@'..='~') => {
                    self.rest.next();
                    return;
                }
                _ => return,
            }
        }
    }

    /// Skips a title, a link or the like up to its terminator. Without one only the introducer
    /// goes: the rest of the line may be what the reader needs.
    fn skip_string(&mut self) {
        if self.unended {
            return;
        }
        let mut ahead = self.rest.clone();
        while let Some(c) = ahead.next() {
            match c {
                '\u{7}' | '\u{9c}' => {
                    self.rest = ahead;
                    return;
                }
                '\u{1b}' if ahead.clone().next() == Some('\\') => {
                    ahead.next();
                    self.rest = ahead;
                    return;
                }
                _ => {}
            }
        }
        self.unended = true;
    }
}

/// Characters without a shape of their own that reorder or hide text around them.
fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
