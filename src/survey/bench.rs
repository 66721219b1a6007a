//! What an image would be built with: the engine that is there, the Dockerfile, what would leave.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::docker::{Builder, Engine};
use crate::error::{Code, Failure};
use crate::inputs::Inputs;
use crate::names::Platform;
use crate::recipe::{self, Dockerfile, Kind, Leak, Pick, Recipe, Tree, Wish};

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
    let (engine, mut materials) = tokio::join!(workshop(inputs), materials(inputs));
    if let (Ok(shop), Ok(found)) = (&engine, &mut materials)
        && let Err(failure) = look_over(inputs, shop, found).await
    {
        materials = Err(failure);
    }
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

/// Reads the Dockerfile.
///
/// # Errors
/// There is none, or it cannot be read.
pub async fn materials(inputs: &Inputs) -> Result<Materials, Failure> {
    let (file, shown) = file(inputs);
    let context = inputs.context.clone();
    let (target, args) = (inputs.build.target.clone(), inputs.build.args.clone());
    let labels = inputs.build.labels.clone();
    let beside = inputs.build.file_in_context.clone();
    let secrets: Vec<_> = inputs.build.secrets.keys().cloned().collect();
    apart(move || {
        // What is wrong with the folder is told before what it has for a Dockerfile.
        Tree::open(&context)?;
        let dockerfile =
            Dockerfile::read(&file).map_err(|failure| in_context(failure, beside.as_ref()))?;
        let place = place_in_checkout(&context);
        let ids = secrets.iter().map(String::as_str);
        let recipe = Recipe::new(&dockerfile, target.as_deref(), &args, &labels, ids, &place);
        Ok(Materials { dockerfile, file, shown, recipe, leaks: Vec::new() })
    })
    .await
}

/// Compose looks for `file` in the context: if it is there, that is told.
fn in_context(failure: Failure, beside: Option<&(PathBuf, String)>) -> Failure {
    match beside {
        Some((path, written)) if path.is_file() => Failure { next: Vec::new(), ..failure }
            .why(format!("`{}` is there; `file` does not begin in `context`", shown(path)))
            .next(format!("did you mean `file: {written}`?")),
        _ => failure,
    }
}

/// Those of the files, named from the root of the checkout, that the image is built from. What cannot be read here is
/// refused by the plan.
pub async fn built_in(inputs: &Inputs, files: Vec<String>) -> Vec<String> {
    let Ok(materials) = materials(inputs).await else { return Vec::new() };
    // What is copied is the same on every machine, but for stages that name its platform.
    let follow: Option<BTreeSet<_>> = Platform::usual()
        .iter()
        .map(|native| copied(inputs, native, &materials.dockerfile))
        .collect::<Option<Vec<_>>>()
        .map(|all| all.into_iter().flatten().collect());
    let context = inputs.context.clone();
    let found = apart(move || {
        let place = PathBuf::from(place_in_checkout(&context));
        let new: HashSet<_> = files.into_iter().map(PathBuf::from).collect();
        // Of a folder that is new as a whole, such as another repository, that is told.
        let among = |file: &Path| file.ancestors().find(|path| new.contains(*path)).map(shown);
        let mut found = BTreeSet::new();
        // What is built, and what decides what is sent for it.
        let rules = [Some(materials.file.clone()), Pick::file(&context, &materials.file)];
        let rules = rules.iter().flatten().filter_map(|file| in_checkout(&context, file));
        found.extend(rules.filter_map(|file| among(&file)));
        let pick = Pick::of(&context, &materials.file)?;
        let follow = match follow {
            Some(none) if none.is_empty() => return Ok(found),
            follow => follow.unwrap_or_default().into_iter().collect(),
        };
        Tree::open(&context)?.walk(&Pick { follow, ..pick }, &mut |entry| {
            if entry.kind != Kind::Folder {
                found.extend(among(&place.join(&entry.path)));
            }
            true
        })?;
        Ok(found)
    })
    .await;
    found.unwrap_or_default().into_iter().collect()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Looks at everything that would be sent. BuildKit asks only for what is copied; its predecessor gets it all.
async fn look_over(
    inputs: &Inputs,
    shop: &Workshop,
    materials: &mut Materials,
) -> Result<(), Failure> {
    let (context, file) = (inputs.context.clone(), materials.file.clone());
    let dockerfile = materials.dockerfile.clone();
    let args = recipe::leaks_in_args(&inputs.build.args);
    let copied = match shop.engine.facts.builder {
        Builder::BuildKit => copied(inputs, &shop.engine.facts.native, &dockerfile),
        Builder::Classic => None,
    };
    materials.leaks = apart(move || {
        let pick = Pick::of(&context, &file)?;
        let tree = Tree::open(&context)?;
        match copied {
            Some(none) if none.is_empty() => Ok(Vec::new()),
            Some(follow) => recipe::leaks(&tree, &Pick { follow, ..pick }, &dockerfile),
            None => recipe::leaks(&tree, &pick, &dockerfile),
        }
    })
    .await?;
    materials.leaks.extend(args);
    Ok(())
}

/// What the builds would copy, for each platform that may be built: the nodes tell later which are.
fn copied(inputs: &Inputs, native: &Platform, dockerfile: &Dockerfile) -> Option<Vec<String>> {
    let target = inputs.build.target.as_deref();
    let usual = Platform::usual();
    let mut all = BTreeSet::new();
    let all_of_them = if inputs.platforms.is_empty() { &usual[..] } else { &inputs.platforms };
    for wanted in all_of_them {
        let wish = Wish { target, args: &inputs.build.args, native, wanted };
        all.extend(dockerfile.copied(wish)?);
    }
    Some(all.into_iter().collect())
}

/// A large tree takes its time: on a thread of its own, so that a cancel is heard.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let read = tokio::task::spawn_blocking(work).await;
    read.unwrap_or_else(|_| Err(Failure::new(Code::RunBug, "the context's reader ended")))
}

/// The context from the root of its checkout.
fn place_in_checkout(context: &Path) -> String {
    in_checkout(context, context).as_deref().map(shown).unwrap_or_default()
}

/// A file or folder from the root of the context's checkout.
fn in_checkout(context: &Path, file: &Path) -> Option<PathBuf> {
    let root = crate::checkout::root(context)?.canonicalize().ok()?;
    Some(file.canonicalize().ok()?.strip_prefix(root).ok()?.to_owned())
}

/// The Dockerfile, and its name in messages.
fn file(inputs: &Inputs) -> (PathBuf, String) {
    let file = inputs.build.file.clone().unwrap_or_else(|| inputs.context.join("Dockerfile"));
    let bare = file.strip_prefix(".").unwrap_or(&file).display().to_string();
    let shown = if file.is_absolute() { bare } else { format!("./{bare}") };
    (file, shown)
}
