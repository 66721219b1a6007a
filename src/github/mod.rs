//! GitHub: the runner's door, the facts of the run, and the few API calls that slipway makes.
//!
//! All text that others wrote leaves through [`door`], escaped and fenced. Nothing here reads the
//! process's environment: variables come in as a function, so tests hand in a map.

pub mod api;
pub mod context;
pub mod door;
mod files;
pub mod foreign;
