//! One binary for every story: the shipped program against the sandbox, read as a user reads it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod contract;
mod scene;
mod shared;
mod stage;
mod stories;
