//! The github room.
