//! The stories: what is there, what is run, what is printed, how it ends, what is there afterwards.

mod again;
mod announced;
mod cancel;
mod dirty;
mod faults;
mod first;
mod guard;
mod identity;
mod image;
mod index;
mod inputs;
mod leaves;
mod output;
mod outward;
mod plan;
mod platform;
mod races;
mod refusals;
mod review;
mod rights;
mod rollbacks;
mod rollouts;
mod silence;
mod tree;
mod unjoined;
mod written;
