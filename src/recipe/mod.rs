//! What an image is made from: a Dockerfile and the folder that it may take files from.
//!
//! Read here, never changed, and never copied. Leans on `names` and `error` alone.

mod ignore;
mod tree;

pub use tree::{Entry, Kind, Pick, Tree};
