//! The plan of a build: what of, by which engine, for which platforms, and everything that speaks
//! against it before a byte has left. Pure.

use serde::Serialize;

use crate::docker::{Builder, Cache, Store};
use crate::error::{Code, Failure, quoted};
use crate::inputs::Inputs;
use crate::names::{Commit, Platform};
use crate::recipe::{REVISION, Runs, Wish};
use crate::survey::Facts;
use crate::survey::bench::{Bench, Materials, Workshop};
use crate::survey::platforms::{Needs, list};

use super::{Draft, leaks};

/// An image that will be built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Building {
    /// The Dockerfile, as messages name it.
    pub file: String,
    /// The stage to stop at.
    pub target: Option<String>,
    /// What it is built for.
    pub platforms: Vec<Platform>,
    /// By whom: `Docker Engine 28.5.2`.
    pub engine: String,
    /// What it is made from, as its label will say.
    pub recipe: String,
}

/// Plans a build, or says why there can be none.
pub fn building(
    inputs: &Inputs,
    facts: &Facts,
    commit: &Commit,
    needs: Option<&Needs>,
    draft: &mut Draft,
) -> Result<Building, Box<Failure>> {
    let Some(bench) = &facts.bench else {
        return Err(Box::new(Failure::new(Code::RunBug, "nobody looked for an engine")));
    };
    let Bench { engine, materials } = bench;
    let shop = engine.as_ref().map_err(|missing| no_engine(facts, commit, missing))?;
    let materials = materials.as_ref().map_err(|failure| Box::new(failure.clone()))?;
    let platforms = platforms(inputs, needs)?;
    // Another frontend's stages are not ours to know.
    if materials.dockerfile.foreign(&inputs.build.args).is_none() {
        materials.dockerfile.target(inputs.build.target.as_deref())?;
    }
    let against = [
        cannot(inputs, shop, materials, &platforms),
        no_secret(inputs, shop, materials, &platforms),
        other_platform(inputs, shop, materials, &platforms),
        emulation(inputs, shop, materials, &platforms),
    ];
    draft.refusals.extend(against.into_iter().flatten());
    no_agent(inputs, shop, materials, (&platforms, draft));
    unread(inputs, materials, draft);
    unmounted(inputs, materials, draft);
    revision(inputs, commit, draft);
    leaks::context(inputs, &materials.leaks, draft);
    Ok(Building {
        file: materials.shown.clone(),
        target: inputs.build.target.clone(),
        platforms,
        engine: shop.engine.facts.product.clone(),
        recipe: materials.recipe.label(),
    })
}

/// What the nodes need; where nothing is rolled out, what the input says.
fn platforms(inputs: &Inputs, needs: Option<&Needs>) -> Result<Vec<Platform>, Box<Failure>> {
    match needs {
        Some(needs) => Ok(needs.platforms.clone()),
        // Why nothing is known of the workload's platforms is told by who looked at it.
        None if inputs.target.is_some() => Ok(Vec::new()),
        None if inputs.platforms.is_empty() => Err(Box::new(
            Failure::new(
                Code::PlatformUnknown,
                "nothing tells what platform the image has to be for",
            )
            .why("with `until: push` no node is asked, and `platform` is empty")
            .next("give `platform: linux/amd64`, `linux/arm64` or both"),
        )),
        None => Ok(inputs.platforms.clone()),
    }
}

/// Neither an image nor an engine: what was looked for, and the ways on.
fn no_engine(facts: &Facts, commit: &Commit, missing: &Failure) -> Box<Failure> {
    let name = facts.repository.as_ref().map(|(name, _)| name.to_string()).unwrap_or_default();
    let short = commit.short();
    let mut failure = missing.clone();
    failure.what = format!("there is no image of {short}, and {}", missing.what);
    let why = if commit.dirty {
        format!(
            "the tree differs from {}, and an image of a changed tree is never reused",
            commit.sha.short()
        )
    } else {
        format!("ECR `{name}` has no tag {short}, and `image` is empty")
    };
    failure.why.insert(0, why);
    Box::new(failure)
}

/// What this engine cannot do, refused before the build and never left out in silence.
fn cannot(
    inputs: &Inputs,
    shop: &Workshop,
    materials: &Materials,
    platforms: &[Platform],
) -> Option<Failure> {
    let engine = format!("{}, at {}", shop.engine.facts.product, shop.engine.shown);
    let early =
        no_epoch(inputs, shop, &engine).or_else(|| no_heredoc(inputs, shop, materials, &engine));
    early.or_else(|| match shop.engine.facts.builder {
        Builder::Classic => without_buildkit(inputs, shop, materials, platforms, &engine),
        Builder::BuildKit => caches(inputs, shop.engine.facts.store, &engine),
    })
}

fn lacks(what: impl Into<String>) -> Failure {
    Failure::new(Code::BuildFeature, what)
}

/// What only BuildKit does.
fn without_buildkit(
    inputs: &Inputs,
    shop: &Workshop,
    materials: &Materials,
    platforms: &[Platform],
    engine: &str,
) -> Option<Failure> {
    let (build, native) = (&inputs.build, &shop.engine.facts.native);
    let line = platforms.first().and_then(|wanted| {
        // A Podman that does not know them was refused before.
        let knows_heredocs = shop.engine.facts.is_podman();
        let wish = wish(inputs, native, wanted);
        materials.dockerfile.needs_buildkit(wish, knows_heredocs).ok().flatten()
    });
    let wanted = [
        (!build.secrets.is_empty()).then(|| "`build-secrets`".to_owned()),
        (!build.cache_to.is_empty()).then(|| "`cache-to`".to_owned()),
        (!build.cache_from.is_empty()).then(|| "`cache-from`".to_owned()),
        line.map(|line| format!("line {line} of `{}`", materials.shown)),
        is_dated(inputs).then(|| "SOURCE_DATE_EPOCH".to_owned()),
    ];
    if let Some(what) = wanted.into_iter().flatten().next() {
        let failure = lacks(format!("{what} needs BuildKit, which is not there"));
        return Some(if build.classic {
            failure
                .why(format!("{engine}; DOCKER_BUILDKIT is 0"))
                .next("leave DOCKER_BUILDKIT out of the environment")
        } else {
            failure
                .why(engine)
                .next(format!("use a Docker Engine of 2020 or later, or leave out {what}"))
        });
    }
    // The older builder may build for another platform than it was asked for, and say nothing.
    let other = platforms.iter().find(|platform| !native.runs_on(platform))?;
    Some(
        lacks(format!("{other} needs BuildKit, which is not there"))
            .why(format!("{engine}, builds for {native}"))
            .next("use a Docker Engine with BuildKit, or a runner of that platform"),
    )
}

/// Builders before BuildKit 0.11 write the time of the build, and say nothing.
fn no_epoch(inputs: &Inputs, shop: &Workshop, engine: &str) -> Option<Failure> {
    const FIRST: u32 = 24;
    let major = shop.engine.facts.version.split('.').next()?.parse::<u32>().ok()?;
    (is_dated(inputs) && major < FIRST).then(|| {
        lacks(format!("SOURCE_DATE_EPOCH needs Docker Engine {FIRST}, which is not there"))
            .why(engine)
            .next(format!("use Docker Engine {FIRST} or later, or leave it out"))
    })
}

/// Who does not know heredocs takes their text for instructions, or runs nothing and says nothing.
fn no_heredoc(
    inputs: &Inputs,
    shop: &Workshop,
    materials: &Materials,
    engine: &str,
) -> Option<Failure> {
    let line = materials.dockerfile.heredoc()?;
    let has_syntax =
        materials.dockerfile.has_syntax() || inputs.build.args.contains_key("BUILDKIT_SYNTAX");
    let first = shop.engine.facts.lacks_heredocs(has_syntax)?;
    let shown = &materials.shown;
    let failure =
        lacks(format!("line {line} of `{shown}` opens a heredoc, which this engine cannot read"))
            .why(format!("{engine}; {first} is the first that reads them by itself"));
    let syntax = format!("begin `{shown}` with the line `# syntax=docker/dockerfile:1`");
    let is_turned_off = inputs.build.classic && !shop.engine.facts.is_podman();
    Some(failure.next(match shop.engine.facts.builder {
        Builder::BuildKit => format!("{syntax}, or use {first} or later"),
        Builder::Classic if is_turned_off && has_syntax => {
            "leave DOCKER_BUILDKIT out of the environment".into()
        }
        Builder::Classic if is_turned_off => {
            format!("leave DOCKER_BUILDKIT out of the environment, and {syntax}")
        }
        Builder::Classic => format!("use {first} or later, or write it without heredocs"),
    }))
}

/// From the environment, or as the argument that builders know it by.
fn is_dated(inputs: &Inputs) -> bool {
    inputs.build.epoch.is_some() || inputs.build.args.contains_key("SOURCE_DATE_EPOCH")
}

/// Caches that nobody here speaks to, or that this store cannot write.
fn caches(inputs: &Inputs, store: Store, engine: &str) -> Option<Failure> {
    let build = &inputs.build;
    let known = |cache: &&Cache| matches!(cache.kind.as_str(), "registry" | "inline");
    let mut all = build.cache_from.iter().chain(&build.cache_to);
    if let Some(Cache { kind, .. }) = all.find(|cache| !known(cache)) {
        return Some(
            lacks(format!("a cache of type `{kind}` is nothing that slipway speaks to"))
                .why("it keeps caches in a registry: `registry` and `inline`")
                .next(format!(
                    "write a reference in a registry, or build with buildx and give its `outputs: type=oci,dest=image.tar` as `image`; that keeps `type={kind}`"
                )),
        );
    }
    let exports = build.cache_to.iter().any(|cache| cache.kind != "inline");
    (store == Store::Classic && exports).then(|| {
        lacks("`cache-to` needs an engine with the containerd image store")
            .why(format!("{engine}: its classic store keeps a cache in the image alone"))
            .next("write `cache-to: inline`, or switch the engine's containerd-snapshotter on")
    })
}

/// A step that cannot do without a secret that nobody gave.
fn no_secret(
    inputs: &Inputs,
    shop: &Workshop,
    materials: &Materials,
    platforms: &[Platform],
) -> Option<Failure> {
    let wish = wish(inputs, &shop.engine.facts.native, platforms.first()?);
    let secrets = materials.dockerfile.secrets(wish).ok()?;
    let given = |id: &String| inputs.build.secrets.contains_key(id);
    if let Some(id) = inputs.build.unset.first() {
        let what = format!("the secret `{id}` has no value");
        return Some(
            Failure::new(Code::BuildStep, what)
                .why("what `build-secrets` names for it is no variable of this step that has a value")
                .next(format!("`build-secrets: {id}=VARIABLE`, and VARIABLE in the step's `env:`")),
        );
    }
    let missing = secrets.into_iter().find(|secret| secret.required && !given(&secret.id))?;
    let what = format!("a step needs the secret `{}`, which is not given", missing.id);
    Some(
        Failure::new(Code::BuildStep, what)
            .why(format!("`{}` line {} mounts it as required", materials.shown, missing.line))
            .next(format!("give `build-secrets: {}=VARIABLE`, and set that variable", missing.id)),
    )
}

/// An agent for SSH is not handed in: a step that may do without it runs as if nobody had one.
fn no_agent(
    inputs: &Inputs,
    shop: &Workshop,
    materials: &Materials,
    (platforms, draft): (&[Platform], &mut Draft),
) {
    let wished = platforms.first().map(|first| wish(inputs, &shop.engine.facts.native, first));
    let Some(agent) = wished.and_then(|wish| materials.dockerfile.agent(wish).ok().flatten())
    else {
        return;
    };
    let failure = lacks("a step mounts an agent for SSH, and slipway hands none in")
        .why(format!("`{}` line {}: `--mount=type=ssh`", materials.shown, agent.line))
        .next("give it the key, or a token for HTTPS, by `build-secrets`");
    if agent.required {
        draft.refusals.push(failure.next("or build with buildx, and give its archive as `image`"));
    } else {
        draft.warnings.push((failure, false));
    }
}

/// A last stage that says itself what it is for: BuildKit would label it as what was asked for all the same.
fn other_platform(
    inputs: &Inputs,
    shop: &Workshop,
    materials: &Materials,
    platforms: &[Platform],
) -> Option<Failure> {
    platforms.iter().find_map(|wanted| {
        let wish = wish(inputs, &shop.engine.facts.native, wanted);
        let (line, made_for) = materials.dockerfile.made_for(wish)?;
        if made_for.runs_on(wanted) {
            return None;
        }
        let what = format!("the image would be for {made_for}, whatever it says: {wanted} is needed");
        Some(
            Failure::new(Code::BuildPlatform, what)
                .why(format!("`{}` line {line}: its `--platform` decides", materials.shown))
                .next("leave `--platform` out of the last stage's FROM; stages that only compile may keep it"),
        )
    })
}

/// Arguments that the Dockerfile does not ask for are a slip more often than not.
fn unread(inputs: &Inputs, materials: &Materials, draft: &mut Draft) {
    let unread = materials.dockerfile.unread(&inputs.build.args);
    let names: Vec<_> = unread.iter().map(|name| format!("`{name}`")).collect();
    let what = match &names[..] {
        [] => return,
        [one] => format!("build argument {one} is read by no `ARG` of `{}`", materials.shown),
        many => format!(
            "build arguments {} are read by no `ARG` of `{}`",
            many.join(", "),
            materials.shown
        ),
    };
    let failure = Failure::new(Code::BuildFile, what);
    draft.warnings.push((failure.next("declare them, or leave them out of `build-args`"), true));
}

/// Secrets that no step asks for are one, too: BuildKit mounts nothing, and the step sees no file.
fn unmounted(inputs: &Inputs, materials: &Materials, draft: &mut Draft) {
    // BuildKit takes these itself, for sources in Git; a host may follow.
    const ITS_OWN: [&str; 2] = ["GIT_AUTH_TOKEN", "GIT_AUTH_HEADER"];
    let Some(mounted) = materials.dockerfile.mounted(&inputs.build.args) else { return };
    let is_its_own = |id: &str| ITS_OWN.contains(&id.split('.').next().unwrap_or(id));
    let unknown = |id: &&String| !mounted.contains(*id) && !is_its_own(id);
    for id in inputs.build.secrets.keys().filter(unknown) {
        let what = format!("secret `{id}` is mounted by no step of `{}`", materials.shown);
        let failure = Failure::new(Code::BuildFile, what);
        let next = format!("`RUN --mount=type=secret,id={id}`, or leave it out of `build-secrets`");
        draft.warnings.push((failure.next(next), true));
    }
}

/// A label of another commit than the one that is built. It is no reason to build nothing: tools that make labels
/// know the event's commit alone.
fn revision(inputs: &Inputs, commit: &Commit, draft: &mut Draft) {
    let given = inputs.build.labels.get(REVISION);
    let Some(given) = given.filter(|given| !given.eq_ignore_ascii_case(commit.sha.as_str())) else {
        return;
    };
    let failure =
        Failure::new(Code::InputInvalid, format!("label `{REVISION}` is not set as `labels` says"));
    let failure = failure
        .why(format!("`labels` says {}, and {} is built", quoted(given), commit.sha.short()))
        .why("later runs take an image for the commit that this label names")
        .next(format!("leave `{REVISION}` out of `labels`: slipway sets it"));
    draft.warnings.push((failure, false));
}

/// What is to be built, for one platform.
fn wish<'a>(inputs: &'a Inputs, native: &'a Platform, wanted: &'a Platform) -> Wish<'a> {
    let target = inputs.build.target.as_deref();
    Wish { target, args: &inputs.build.args, native, wanted }
}

/// A step that has to run a program of another platform, on an engine that cannot.
fn emulation(
    inputs: &Inputs,
    shop: &Workshop,
    materials: &Materials,
    platforms: &[Platform],
) -> Option<Failure> {
    let native = &shop.engine.facts.native;
    platforms.iter().find_map(|wanted| {
        if shop.runs.iter().any(|runs| runs.runs_on(wanted)) {
            return None;
        }
        let runs = materials.dockerfile.runs_there(wish(inputs, native, wanted));
        let Runs::Yes { line, instruction } = runs else { return None };
        let failure = Failure::new(
            Code::PlatformEmulation,
            format!("{wanted} cannot be built here: a step has to run its programs"),
        );
        Some(
            failure
                .why(format!(
                    "`{}` line {line}: {}; {} runs {}",
                    materials.shown,
                    crate::error::quoted(&instruction),
                    shop.engine.facts.product,
                    list(&shop.runs)
                ))
                .next(format!(
                    "a native runner: `until: push` with `platform: {wanted}` there, then `command: index`"
                ))
                .next("or emulation, which is slow: docker/setup-qemu-action before this step"),
        )
    })
}
