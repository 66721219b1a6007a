//! The gather.
