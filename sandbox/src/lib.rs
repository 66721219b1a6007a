//! What slipway talks to, on loopback: real wire formats, state held in memory, rollouts recorded from a real cluster.
//! It shares no code with the product, because a shared parser would share its mistakes.

pub mod kube;
