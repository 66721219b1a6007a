//! What an image is made from: a Dockerfile and the folder that it may take files from.
//!
//! Read here, never changed, and never copied. Leans on `names` and `error` alone.

mod absent;
mod dockerfile;
mod follow;
mod ignore;
mod label;
mod leaks;
mod pick;
mod stream;
mod tree;
mod wrong;

#[cfg(test)]
mod tests;

pub use absent::{Absence, absence};
pub use dockerfile::{
    Args, Base, By, Dockerfile, Naming, Runs, Secret, Stage, Wish, Written, written,
};
pub use label::{CREATED, EVENT, OURS, RECIPE, REVISION, Recipe};
pub use leaks::{Leak, is_secret, leaks, leaks_in_args, leaks_in_config, refusal};
pub use pick::Pick;
pub use stream::{Sending, sending};
pub use tree::{Entry, Kind, Tree};
