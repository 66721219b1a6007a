//! The terminal's view: a line per service that is redrawn, then the same text as in a log.
//!
//! Live lines are cut to the width, since a wrapped one could not be redrawn. Colour marks words
//! that say the same without it.

use super::ci;
use super::text::Piece;
use crate::github::door::{Door, own_line};

/// Wider than this is not read.
const MOST_COLUMNS: usize = 100;

/// What is drawn at the moment.
#[derive(Debug)]
pub(super) struct Terminal {
    columns: usize,
    colour: bool,
    /// The live lines, top to bottom.
    live: Vec<Live>,
}

/// A line that is redrawn.
#[derive(Debug)]
struct Live {
    service: String,
    text: String,
    /// What it says last is kept.
    stays: bool,
}

impl Terminal {
    /// A terminal of this width.
    pub(super) fn new(columns: usize, colour: bool) -> Self {
        Self { columns: columns.clamp(20, MOST_COLUMNS), colour, live: Vec::new() }
    }

    /// Puts a piece of talk on the screen.
    pub(super) fn put(&mut self, door: &mut Door, service: Option<&str>, piece: &Piece) {
        let service = service.unwrap_or_default();
        let erase = "\u{1b}[1A\u{1b}[2K".repeat(self.live.len());
        door.raw(&erase);
        match piece {
            Piece::Progress(text) => self.draw(service, text, true),
            Piece::Passing(text) => self.draw(service, text, false),
            Piece::Line(line) | Piece::Data(line) => {
                self.settle(door, service);
                door.raw(&format!("{}\n", painted(&own_line(line), self.colour)));
            }
            Piece::Open(_) => {
                self.settle(door, service);
                ci::put(door, piece);
            }
            // What goes on stays below them.
            Piece::Foreign(_) | Piece::Close => ci::put(door, piece),
        }
        for live in &self.live {
            door.raw(&format!("{}\n", self.fitting(&live.text)));
        }
    }

    fn draw(&mut self, service: &str, text: &str, stays: bool) {
        let now = Live { service: service.into(), text: text.into(), stays };
        match self.live.iter_mut().find(|live| live.service == service) {
            Some(live) => *live = now,
            None => self.live.push(now),
        }
    }

    /// What a service's live line said last stays, above what comes now.
    fn settle(&mut self, door: &mut Door, service: &str) {
        if let Some(at) = self.live.iter().position(|live| live.service == service) {
            let live = self.live.remove(at);
            if live.stays {
                door.line(&live.text);
            }
        }
    }

    fn fitting(&self, text: &str) -> String {
        // One column less: some terminals wrap when the last one is filled.
        let most = self.columns - 1;
        let line = own_line(text);
        if line.chars().count() <= most {
            return line;
        }
        let kept: String = line.chars().take(most - 3).collect();
        format!("{kept}...")
    }
}

/// The line with its first word coloured, where that is a verdict.
pub(super) fn painted(line: &str, colour: bool) -> String {
    const WORDS: [(&str, &str); 6] = [
        ("error", "31"),
        ("fail", "31"),
        ("warning", "33"),
        ("warn", "33"),
        ("ok", "32"),
        ("shipped", "32"),
    ];
    let end = line.find([' ', '[']).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    match WORDS.iter().find(|(known, _)| *known == word) {
        Some((_, shade)) if colour => format!("\u{1b}[{shade}m{word}\u{1b}[0m{rest}"),
        _ => line.into(),
    }
}
