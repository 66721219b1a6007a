//! The stories: what is there, what is run, what is printed, how it ends, what is there afterwards.

mod announced;
mod cancel;
mod first;
mod races;
mod rollbacks;
mod rollouts;
mod guard;
mod platform;
mod refusals;
