//! The compress.
