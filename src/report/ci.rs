//! The log's view: a line per change, no colour, no wrapping, folds for others' words.
//!
//! Also what a pipe or a file gets; the door leaves the commands out where no runner listens.

use super::text::Piece;
use crate::github::door::Door;

/// Puts a piece of talk into the log.
pub(super) fn put(door: &mut Door, piece: &Piece) {
    match piece {
        Piece::Line(line) | Piece::Progress(line) | Piece::Passing(line) | Piece::Data(line) => {
            door.line(line);
        }
        Piece::Open(title) => door.group(title),
        Piece::Foreign(shown) => door.foreign(shown),
        Piece::Close => door.end_group(),
    }
}
