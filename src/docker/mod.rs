//! The Docker Engine: where it is, who it is, its builders, its images, and its own push.
//!
//! [`Engine::find`] looks where Docker's own client does. Nothing here knows of registries or archives beyond
//! what the engine is told and says. Leans on bollard, and for BuildKit on its own protocol.

mod build;
mod buildkit;
mod classic;
mod dial;
mod engine;
mod images;
mod order;
mod place;
mod push;
mod stages;
mod told;

pub use dial::Place;
pub use engine::{Builder, Engine, Facts, Store};
pub use images::{EngineImage, Made};
pub use order::{Built, Cache, Heard, Listener, Login, Order, StepState};
pub use place::Whereabouts;
pub use push::{ByEngine, Pushing};

#[cfg(test)]
mod building;
#[cfg(test)]
mod tests;
