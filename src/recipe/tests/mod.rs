//! What is handed out of real folders, and what is said of those that cannot be used.

pub(super) mod ground;
mod trees;
