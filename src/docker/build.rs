//! A build by whichever builder the engine has.

use super::engine::{Builder, Engine, Store};
use super::order::{Built, Listener, Order};
use super::{buildkit, classic};
use crate::error::Failure;
use crate::names::Platform;
use crate::recipe::{self, Dockerfile, Pick, Tree};

impl Engine {
    /// From now on the builder before BuildKit is asked.
    pub fn prefer_classic(&mut self) {
        self.facts.builder = Builder::Classic;
    }

    /// What it can run: its own platform, then those that it emulates.
    ///
    /// # Errors
    /// It does not say.
    pub async fn platforms(&self) -> Result<Vec<Platform>, Failure> {
        match self.facts.builder {
            Builder::BuildKit => buildkit::platforms(&self.place).await,
            Builder::Classic => Ok(vec![self.facts.native.clone()]),
        }
    }

    /// Builds. Dropping the future ends the build in the engine.
    ///
    /// # Errors
    /// Whatever stops a build, by its code.
    pub async fn build(&self, order: &Order, hear: Listener<'_>) -> Result<Built, Failure> {
        match self.facts.builder {
            Builder::BuildKit => {
                let is_containerd = self.facts.store == Store::Containerd;
                buildkit::build(&self.place, is_containerd, order, hear).await
            }
            Builder::Classic => {
                let tree = Tree::open(&order.context)?;
                let pick = Pick::of(&order.context, &order.file)?;
                let tar = recipe::sending(&tree, &pick, &Dockerfile::read(&order.file)?)?;
                let file = tar.dockerfile.clone();
                classic::build(self, order, &file, tar, hear).await
            }
        }
    }
}
