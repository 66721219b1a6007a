//! The sandbox's services over loopback, by a client and a signer that are not its own.

#![expect(clippy::unwrap_used, reason = "what is unwrapped here is what the test is about")]

mod aws;
mod client;
mod engine;
mod faults;
mod registry;
