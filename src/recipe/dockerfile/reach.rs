//! What a target needs: the stages that lead to it, the programs that run on the way, and where.

use std::collections::BTreeSet;

use super::lines::{self, Instruction};
use super::words::{Values, filled};
use super::{Args, Dockerfile, Stage};
use crate::error::{Failure, one_line};
use crate::names::Platform;

/// Whether a build has to run programs that this machine cannot run by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runs {
    /// It only copies, or what runs is the machine's own.
    No,
    /// This instruction does.
    Yes {
        /// Where it is.
        line: usize,
        /// Its words.
        instruction: String,
    },
    /// It cannot be told from here.
    Unknown {
        /// The clause that says why.
        why: String,
    },
}

/// A secret that some step mounts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret {
    /// What it is asked for by.
    pub id: String,
    /// The build fails without it.
    pub required: bool,
    /// Where it is mounted.
    pub line: usize,
}

/// An image from elsewhere that a build begins with or copies from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Its reference, with arguments filled in.
    pub image: String,
    /// Where it is named.
    pub line: usize,
}

/// What is to be built of a Dockerfile.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The stage to stop at; the last if none is named.
    pub target: Option<&'a str>,
    /// Build arguments.
    pub args: &'a Args,
    /// What the builder's own machine is.
    pub native: &'a Platform,
    /// What the image is for.
    pub wanted: &'a Platform,
}

/// Where a `FROM`, `COPY --from` or mount leads.
enum Source {
    Stage(usize),
    Image(String),
    Nothing,
}

/// Whether a `# syntax=` names the frontend that every builder has built in, from wherever.
pub(super) fn is_usual(syntax: &str) -> bool {
    let name = syntax.split('@').next().unwrap_or(syntax);
    let (folder, last) = name.rsplit_once('/').unwrap_or(("", name));
    let last = last.split(':').next().unwrap_or(last);
    let ours = folder == "docker" || folder.ends_with("/docker");
    ours && matches!(last, "dockerfile" | "dockerfile-upstream")
}

impl Dockerfile {
    /// The frontend that reads this file, if it is another than Docker's own.
    #[must_use]
    pub fn foreign<'a>(&'a self, args: &'a Args) -> Option<&'a str> {
        let chosen = args.get("BUILDKIT_SYNTAX").or(self.syntax.as_ref());
        chosen.map(String::as_str).filter(|syntax| !is_usual(syntax))
    }

    /// The stages that a target needs, in order.
    ///
    /// # Errors
    /// There is no such target.
    pub fn reachable(&self, wish: Wish<'_>) -> Result<Vec<&Stage>, Failure> {
        let reached = self.reached(wish.target, &self.values(wish))?;
        Ok(reached.into_iter().filter_map(|at| self.stages.get(at)).collect())
    }

    /// Whether building a target for a platform has to run programs that a machine of the native one
    /// cannot run by itself. Triggers in the configuration of a base image are not seen.
    #[must_use]
    pub fn runs_there(&self, wish: Wish<'_>) -> Runs {
        if let Some(syntax) = self.foreign(wish.args) {
            let why = format!("`{syntax}` reads this file, and only it knows what it runs");
            return Runs::Unknown { why };
        }
        let values = self.values(wish);
        let reached = match self.reached(wish.target, &values) {
            Ok(reached) => reached,
            Err(failure) => return Runs::Unknown { why: failure.what },
        };
        for at in reached {
            let steps = self.steps(at, &values);
            let Some(step) = steps.iter().find(|step| step.word == "RUN") else { continue };
            match self.platform(at, &values, wish.wanted) {
                Ok(platform) if runs_on(&platform, wish.native) => {}
                Ok(_) => {
                    let instruction = one_line(&format!("RUN {}", step.rest), 80);
                    return Runs::Yes { line: step.line, instruction };
                }
                Err(why) => return Runs::Unknown { why },
            }
        }
        Runs::No
    }

    /// The secrets that steps on the way to a target mount, each once.
    ///
    /// # Errors
    /// There is no such target.
    pub fn secrets(&self, wish: Wish<'_>) -> Result<Vec<Secret>, Failure> {
        let values = self.values(wish);
        let mut found: Vec<Secret> = Vec::new();
        for at in self.reached(wish.target, &values)? {
            for step in self.steps(at, &values) {
                for secret in mounts(&step).filter_map(|mount| secret(&mount, step.line)) {
                    match found.iter_mut().find(|known| known.id == secret.id) {
                        Some(known) => known.required |= secret.required,
                        None => found.push(secret),
                    }
                }
            }
        }
        Ok(found)
    }

    /// The agents for SSH that steps on the way to a target mount, one that is required before others.
    ///
    /// # Errors
    /// There is no such target.
    pub fn agent(&self, wish: Wish<'_>) -> Result<Option<Secret>, Failure> {
        let values = self.values(wish);
        let mut found: Vec<Secret> = Vec::new();
        for at in self.reached(wish.target, &values)? {
            for step in self.steps(at, &values) {
                let agents = mounts(&step).filter(|mount| is_of(mount, "ssh"));
                found.extend(agents.map(|mount| Secret {
                    id: value(&mount, &["id"]).unwrap_or("default").to_owned(),
                    required: is_required(&mount),
                    line: step.line,
                }));
            }
        }
        found.sort_by_key(|agent| !agent.required);
        Ok(found.into_iter().next())
    }

    /// The secrets that any step of any stage mounts, where all of their ids are known.
    #[must_use]
    pub fn mounted(&self, args: &Args) -> Option<BTreeSet<String>> {
        if self.foreign(args).is_some() {
            return None;
        }
        let mut ids = BTreeSet::new();
        for step in self.stages.iter().flat_map(|stage| &stage.steps) {
            if step.word == "ONBUILD" && step.rest.contains("--mount") {
                return None;
            }
            for mount in mounts(step).filter(|mount| is_of(mount, "secret")) {
                ids.insert(secret(&mount, step.line)?.id);
            }
        }
        Some(ids)
    }

    /// The first line on the way to a target that needs BuildKit: a mount, a heredoc or a flag that
    /// the builder before it does not know. Podman's may know heredocs.
    ///
    /// # Errors
    /// There is no such target.
    pub fn needs_buildkit(
        &self,
        wish: Wish<'_>,
        knows_heredocs: bool,
    ) -> Result<Option<usize>, Failure> {
        const OLD: &[&str] = &["--from=", "--chown=", "--platform="];
        let values = self.values(wish);
        for at in self.reached(wish.target, &values)? {
            for step in self.steps(at, &values) {
                let files = matches!(step.word.as_str(), "RUN" | "COPY" | "ADD");
                let new = |flag: &String| !OLD.iter().any(|old| flag.starts_with(old));
                let heredoc = !knows_heredocs && !step.heredocs.is_empty();
                if files && (heredoc || step.flags.iter().any(new)) {
                    return Ok(Some(step.line));
                }
            }
        }
        Ok(None)
    }

    /// The first line that opens a heredoc, in whatever stage: who does not know them reads on in its text.
    #[must_use]
    pub fn heredoc(&self) -> Option<usize> {
        let mut steps = self.stages.iter().flat_map(|stage| &stage.steps);
        steps.find(|step| !step.heredocs.is_empty()).map(|step| step.line)
    }

    /// The images from elsewhere that a target needs, each once.
    ///
    /// # Errors
    /// There is no such target.
    pub fn bases(&self, wish: Wish<'_>) -> Result<Vec<Base>, Failure> {
        let values = self.values(wish);
        let mut found: Vec<Base> = Vec::new();
        let mut add = |source, line| {
            if let Source::Image(image) = source
                && !found.iter().any(|known| known.image == image)
            {
                found.push(Base { image, line });
            }
        };
        for at in self.reached(wish.target, &values)? {
            add(self.base(at, &values), self.stages[at].line);
            for step in self.steps(at, &values) {
                self.sources(&step).into_iter().for_each(|source| add(source, step.line));
            }
        }
        Ok(found)
    }

    /// Every instruction on the way to a target.
    pub(super) fn steps_to(&self, wish: Wish<'_>) -> Result<Vec<Instruction>, Failure> {
        let values = self.values(wish);
        let reached = self.reached(wish.target, &values)?;
        Ok(reached.into_iter().flat_map(|at| self.steps(at, &values)).collect())
    }

    /// The places of the stages that a target needs.
    fn reached(&self, target: Option<&str>, values: &Values) -> Result<BTreeSet<usize>, Failure> {
        let mut left = vec![self.target(target)?];
        let mut reached = BTreeSet::new();
        while let Some(at) = left.pop() {
            if at >= self.stages.len() || !reached.insert(at) {
                continue;
            }
            let mut sources = vec![self.base(at, values)];
            sources.extend(self.steps(at, values).iter().flat_map(|step| self.sources(step)));
            left.extend(sources.into_iter().filter_map(|source| match source {
                Source::Stage(at) => Some(at),
                Source::Image(_) | Source::Nothing => None,
            }));
        }
        Ok(reached)
    }

    /// What a stage runs: first what the stage that it begins with left for it in `ONBUILD`.
    fn steps(&self, at: usize, values: &Values) -> Vec<Instruction> {
        let mut steps = Vec::new();
        if let Source::Stage(base) = self.base(at, values) {
            let left = self.stages[base].steps.iter().filter(|step| step.word == "ONBUILD");
            steps.extend(left.map(|step| lines::split(&step.rest, step.line, self.escape)));
        }
        steps.extend(self.stages[at].steps.iter().filter(|step| step.word != "ONBUILD").cloned());
        steps
    }

    /// What a stage begins with. One whose name cannot be filled in is an image as it is written.
    fn base(&self, at: usize, values: &Values) -> Source {
        let written = &self.stages[at].base;
        let name = filled(written, values, self.escape).unwrap_or_else(|_| written.clone());
        if name == "scratch" || name.is_empty() {
            return Source::Nothing;
        }
        let earlier = &self.stages[..at];
        let found = earlier.iter().rposition(|stage| stage.name.as_deref() == Some(&name));
        found.map_or(Source::Image(name), Source::Stage)
    }

    /// What a step copies or mounts from.
    fn sources(&self, step: &Instruction) -> Vec<Source> {
        let named = |name: &str| match name.parse::<usize>() {
            _ if name.is_empty() || name == "scratch" || name == "context" => Source::Nothing,
            Ok(at) => Source::Stage(at),
            Err(_) => {
                let lower = name.to_lowercase();
                let found = |stage: &Stage| stage.name.as_deref() == Some(&lower);
                let found = self.stages.iter().rposition(found);
                found.map_or_else(|| Source::Image(name.to_owned()), Source::Stage)
            }
        };
        match step.word.as_str() {
            "COPY" => {
                let flags = step.flags.iter().filter_map(|flag| flag.strip_prefix("--from="));
                flags.map(named).collect()
            }
            "RUN" => {
                let from = |mount: Vec<(String, String)>| {
                    let value = mount.into_iter().find(|(key, _)| key == "from");
                    value.map_or(Source::Nothing, |(_, name)| named(&name))
                };
                mounts(step).map(from).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What a stage's programs are made for.
    fn platform(&self, at: usize, values: &Values, wanted: &Platform) -> Result<Platform, String> {
        if let Source::Stage(base) = self.base(at, values) {
            return self.platform(base, values, wanted);
        }
        let stage = &self.stages[at];
        let Some(written) = &stage.platform else { return Ok(wanted.clone()) };
        let told =
            |clause: String| format!("line {}: `--platform={written}`: {clause}", stage.line);
        let text = filled(written, values, self.escape).map_err(told)?;
        let parts: Vec<_> = text.split('/').collect();
        match parts.as_slice() {
            [] | [""] => Err(told("it is empty".into())),
            ["linux"] => Ok(wanted.clone()),
            [arch] => Ok(Platform::new("linux", arch, None)),
            [os, arch] => Ok(Platform::new(os, arch, None)),
            [os, arch, variant, ..] => Ok(Platform::new(os, arch, Some(variant))),
        }
    }

    /// What the target itself is made for, and the line that says so, where a `--platform` does.
    #[must_use]
    pub fn made_for(&self, wish: Wish<'_>) -> Option<(usize, Platform)> {
        if self.foreign(wish.args).is_some() {
            return None;
        }
        let values = self.values(wish);
        let mut at = self.target(wish.target).ok()?;
        while let Source::Stage(base) = self.base(at, &values) {
            at = base;
        }
        let stage = self.stages.get(at)?;
        stage.platform.as_ref()?;
        Some((stage.line, self.platform(at, &values, wish.wanted).ok()?))
    }

    /// What variables stand for before the first stage: what the builder sets, then each `ARG`.
    fn values(&self, wish: Wish<'_>) -> Values {
        let args = wish.args;
        let mut values = Values::new();
        for (prefix, platform) in [("BUILD", wish.native), ("TARGET", wish.wanted)] {
            let variant = platform.variant.clone().unwrap_or_default();
            values.insert(format!("{prefix}PLATFORM"), platform.to_string());
            values.insert(format!("{prefix}OS"), platform.os.clone());
            values.insert(format!("{prefix}ARCH"), platform.architecture.clone());
            values.insert(format!("{prefix}VARIANT"), variant);
        }
        for (name, value) in values.iter_mut() {
            value.clone_from(args.get(name).unwrap_or(&value.clone()));
        }
        for word in self.globals.iter().flat_map(|step| lines::words(&step.rest)) {
            let (name, default) =
                word.split_once('=').map_or((word.as_str(), None), |(n, d)| (n, Some(d)));
            let value = match (args.get(name), default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => filled(default, &values, self.escape).ok(),
                (None, None) => None,
            };
            values.extend(value.map(|value| (name.to_owned(), value)));
        }
        values
    }
}

/// A machine runs what is made for it; one of amd64 also what is made for its ancestor.
fn runs_on(platform: &Platform, native: &Platform) -> bool {
    let ancestor = (platform.architecture.as_str(), native.architecture.as_str());
    platform.runs_on(native) || (platform.os == native.os && ancestor == ("386", "amd64"))
}

/// The mounts of a step, as keys and values.
pub(super) fn mounts(step: &Instruction) -> impl Iterator<Item = Vec<(String, String)>> {
    let all = step.flags.iter().filter(|_| step.word == "RUN");
    all.filter_map(|flag| flag.strip_prefix("--mount=")).map(|mount| {
        let fields = mount.split(',').map(|field| field.split_once('=').unwrap_or((field, "")));
        fields.map(|(key, value)| (key.trim().to_lowercase(), value.to_owned())).collect()
    })
}

fn is_of(mount: &[(String, String)], kind: &str) -> bool {
    mount.iter().any(|(key, value)| key == "type" && value == kind)
}

fn is_required(mount: &[(String, String)]) -> bool {
    mount.iter().any(|(key, value)| {
        key == "required" && matches!(value.to_lowercase().as_str(), "" | "true" | "1" | "t")
    })
}

/// What a field of one of these names says.
fn value<'a>(mount: &'a [(String, String)], names: &[&str]) -> Option<&'a str> {
    let found =
        mount.iter().find(|(key, value)| names.contains(&key.as_str()) && !value.is_empty());
    found.map(|(_, value)| value.as_str())
}

/// The secret that a mount asks for. One whose name is a variable is the builder's to find.
fn secret(mount: &[(String, String)], line: usize) -> Option<Secret> {
    if !is_of(mount, "secret") {
        return None;
    }
    let target = value(mount, &["target", "dst", "destination"]);
    let last = target.and_then(|target| target.rsplit('/').next());
    let id = value(mount, &["source", "src"]).or(value(mount, &["id"])).or(last)?;
    let required = is_required(mount);
    (!id.contains('$')).then(|| Secret { id: id.to_owned(), required, line })
}
