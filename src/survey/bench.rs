//! What an image would be built with: the engine that is there, the Dockerfile, what would leave.

use std::path::{Path, PathBuf};

use crate::docker::Engine;
use crate::error::{Code, Failure};
use crate::inputs::Inputs;
use crate::names::Platform;
use crate::recipe::{self, Dockerfile, Leak, Pick, Recipe, Tree};

/// Everything for a build. What is missing is told by the plan.
pub struct Bench {
    /// The engine, and what it can run.
    pub engine: Result<Workshop, Failure>,
    /// What would be built.
    pub materials: Result<Materials, Failure>,
}

/// An engine and its platforms.
pub struct Workshop {
    /// The engine.
    pub engine: Engine,
    /// Its own platform, then those that it emulates.
    pub runs: Vec<Platform>,
}

/// What would be built.
pub struct Materials {
    /// The Dockerfile.
    pub dockerfile: Dockerfile,
    /// Where it is.
    pub file: PathBuf,
    /// As the plan names it: `./Dockerfile`.
    pub shown: String,
    /// The recipe, as a label.
    pub recipe: Recipe,
    /// What seems to be a secret and would leave.
    pub leaks: Vec<Leak>,
}

/// Looks for an engine and reads what it would build, side by side.
pub async fn look(inputs: &Inputs) -> Bench {
    let (engine, materials) = tokio::join!(workshop(inputs), materials(inputs, true));
    Bench { engine, materials }
}

async fn workshop(inputs: &Inputs) -> Result<Workshop, Failure> {
    let mut engine = Engine::find(&inputs.build.whereabouts).await?;
    if inputs.build.classic {
        engine.prefer_classic();
    }
    let runs = engine.platforms().await?;
    Ok(Workshop { engine, runs })
}

/// Reads the Dockerfile, and where `leaks` says so all that would be sent with it.
///
/// # Errors
/// No Dockerfile, or a context that cannot be read.
pub async fn materials(inputs: &Inputs, leaks: bool) -> Result<Materials, Failure> {
    let (file, shown) = file(inputs);
    let (context, root) = (inputs.context.clone(), crate::checkout::root(&inputs.context));
    let (target, args) = (inputs.build.target.clone(), inputs.build.args.clone());
    let secrets: Vec<_> = inputs.build.secrets.keys().cloned().collect();
    // A large tree takes its time: on a thread of its own, so that a cancel is heard.
    let read = tokio::task::spawn_blocking(move || {
        let dockerfile = Dockerfile::read(&file)?;
        let place = |path: &Path| recipe::place_in(root.as_deref(), path);
        let recipe = Recipe::new(&dockerfile, target.as_deref(), &args, &secrets, place(&context));
        let leaks = match leaks {
            true => {
                let pick = Pick::of(&context, &file)?;
                recipe::leaks(&Tree::open(&context)?, &pick, &dockerfile)?
            }
            false => Vec::new(),
        };
        Ok(Materials { dockerfile, file, shown, recipe, leaks })
    });
    read.await.unwrap_or_else(|_| Err(Failure::new(Code::RunBug, "the Dockerfile's reader ended")))
}

/// The Dockerfile, and its name in messages.
fn file(inputs: &Inputs) -> (PathBuf, String) {
    let file = inputs.build.file.clone().unwrap_or_else(|| inputs.context.join("Dockerfile"));
    let bare = file.strip_prefix(".").unwrap_or(&file).display().to_string();
    let shown = if file.is_absolute() { bare } else { format!("./{bare}") };
    (file, shown)
}
