//! The stories that are told twice: against the sandbox by `cargo test`, against the real parts by
//! `testbed/run`. The snapshots are the same ones.

mod admission;
mod building;
mod diagnoses;
mod guards;
mod identity;
mod joining;
mod platforms;
mod promoting;
mod races;
mod rights;
mod rollbacks;
mod shipping;
mod stale;
mod tokens;
