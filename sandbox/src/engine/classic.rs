//! The builder before BuildKit: a context as an archive, one step after the other, each an image.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::dockerfile;
use super::progress::Progress;
use super::recorded::{Behaviour, behaviour, unstarted};
use super::root::Root;
use super::serve::{body, lines};
use super::shelf::{One, Stored, familiar};
use super::solve::{changes, folder};
use super::stages::{Command, Does, Stage, Step, Variables, named, stages};
use super::tree::{Entry, Files, absolute, unpacked};
use super::wrong::Wrong;
use super::{Build, Ended, Guard, State, Version};
use crate::answer::{Answer, Broken, json as json_answer};
use crate::call::{Fields, fields};
use crate::image::digest;
use crate::world::hold;

/// Options of the query that change nothing here, or are played.
const KNOWN: [&str; 14] = [
    "t",
    "dockerfile",
    "buildargs",
    "labels",
    "target",
    "nocache",
    "platform",
    "version",
    "rm",
    "forcerm",
    "networkmode",
    "pull",
    "q",
    "shmsize",
];

pub(super) async fn answered(
    state: &Arc<State>,
    request: Request<Incoming>,
    query: &str,
) -> Result<Answer, Broken> {
    let given = fields(query);
    let unplayed = |what: &str| {
        let said = format!("this sandbox's engine does not play {what}");
        Ok(json_answer(501, &json!({ "message": said })))
    };
    if given.get("version").is_some_and(|version| version == "2") {
        return unplayed("BuildKit by /build: ask for it by /grpc");
    }
    let is_set = |value: &str| !["", "0", "{}", "[]", "null"].contains(&value);
    let unknown =
        |(name, value): &(&String, &String)| !KNOWN.contains(&name.as_str()) && is_set(value);
    if let Some((name, _)) = given.iter().find(unknown) {
        return unplayed(&format!("the option `{name}` of /build"));
    }
    let native = state.kind.native;
    let platform = given.get("platform").filter(|p| !p.is_empty() && *p != native);
    // 20.10 takes the word and builds for itself, and so does this.
    if platform.is_some() && state.kind.version == Version::V28 {
        return unplayed("another platform by the older builder of 28");
    }
    let Some(context) = unpacked(&body(request).await?) else {
        return Ok(json_answer(400, &json!({ "message": "archive/tar: invalid tar header" })));
    };
    Ok(built(state, &given, context).await)
}

/// Name and value pairs of a JSON object.
fn pairs(given: &Fields, name: &str) -> Variables {
    given.get(name).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

async fn built(state: &Arc<State>, given: &Fields, context: Files) -> Answer {
    let file = given.get("dockerfile").filter(|file| !file.is_empty());
    let file = file.map_or("Dockerfile", String::as_str);
    let args = pairs(given, "buildargs");
    let number = state.begun(Build {
        builder: "classic".into(),
        file: file.into(),
        attributes: given.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        args: args.clone(),
        labels: pairs(given, "labels"),
        platforms: given.get("platform").filter(|p| !p.is_empty()).cloned().into_iter().collect(),
        files: context.keys().cloned().collect(),
        ..Build::default()
    });
    let mut guard = Guard::new(state, number, Arc::new(Progress::default()));
    let read = read(&context, file, &args, given.get("target"), state.kind.version);
    let stages = match read {
        Ok(stages) => stages,
        Err((status, said)) => {
            guard.ended = Ended::Failed(said.clone());
            return json_answer(status, &json!({ "message": said }));
        }
    };
    let count = stages.iter().map(|stage| stage.steps.len() + 1).sum();
    let uses_cache = !given.get("nocache").is_some_and(|word| word == "1" || word == "true");
    let mut work = Work { state, context, args, number: 0, count, uses_cache, said: Vec::new() };
    match work.all(&stages, given).await {
        Ok(()) => guard.ended = Ended::Built,
        Err(detail) => {
            let message = detail["message"].as_str().unwrap_or_default().to_owned();
            work.said.push(json!({ "errorDetail": detail, "error": message }));
            guard.ended = Ended::Failed(message);
        }
    }
    lines(&work.said)
}

/// The stages up to the target, or the answer.
fn read(
    context: &Files,
    file: &str,
    args: &Variables,
    target: Option<&String>,
    version: Version,
) -> Result<Vec<Stage>, (u16, String)> {
    let Some(Entry::File { bytes, .. }) = context.get(file) else {
        let said = format!("Cannot locate specified Dockerfile: {file}");
        return Err((500, said));
    };
    let told = |wrong: Wrong| match wrong {
        Wrong::Empty => (400, format!("the Dockerfile ({file}) cannot be empty")),
        Wrong::Unplayed(_) => (501, wrong.of_step(version)),
        wrong => (400, wrong.of_step(version)),
    };
    let text = String::from_utf8_lossy(bytes);
    let lines = dockerfile::lines(&text).map_err(told)?;
    let mut stages = stages(&lines, args).map_err(told)?;
    if let Some(target) = target.filter(|target| !target.is_empty()) {
        let Some(at) = named(&stages, target) else {
            let said = match version {
                Version::V20 => format!("failed to reach build target {target} in Dockerfile"),
                Version::V28 => format!("target stage {target:?} could not be found"),
            };
            return Err((400, said));
        };
        stages.truncate(at + 1);
    }
    Ok(stages)
}

struct Work<'a> {
    state: &'a State,
    context: Files,
    args: Variables,
    number: usize,
    count: usize,
    uses_cache: bool,
    said: Vec<Value>,
}

/// What an error says: its message, and a code where a command had one.
type Detail = Value;

impl Work<'_> {
    fn say(&mut self, text: &str) {
        self.said.push(json!({ "stream": text }));
    }

    fn step(&mut self, text: &str) {
        self.number += 1;
        self.say(&format!("Step {}/{} : {text}", self.number, self.count));
        self.say("\n");
    }

    async fn all(&mut self, stages: &[Stage], given: &Fields) -> Result<(), Detail> {
        let native = self.state.kind.native;
        let mut roots: Vec<Root> = Vec::new();
        for (at, stage) in stages.iter().enumerate() {
            self.step(&stage.from.text());
            let mut root = self.base(stages, at, &roots).await?;
            for step in &stage.steps {
                self.step(&step.line.text());
                self.done(&mut root, step, stages, &roots).await?;
            }
            if !stage.steps.is_empty() {
                let id = digest(&One::of(&root, native).config);
                self.said.push(json!({ "aux": { "ID": id } }));
            }
            roots.push(root);
        }
        let Some(mut root) = roots.pop() else { return Ok(()) };
        for (name, value) in pairs(given, "labels") {
            root.label(&name, &value);
        }
        let image = Stored::new(vec![One::of(&root, native)], self.state.kind.store);
        let short = image.id.trim_start_matches("sha256:").get(..12).unwrap_or_default().to_owned();
        let names: Vec<_> = given.get("t").map(|name| familiar(name)).into_iter().collect();
        hold(&self.state.shelf).put(image, &names);
        self.say(&format!("Successfully built {short}\n"));
        for name in names {
            self.say(&format!("Successfully tagged {name}\n"));
        }
        Ok(())
    }

    async fn base(&mut self, stages: &[Stage], at: usize, roots: &[Root]) -> Result<Root, Detail> {
        let (base, native) = (&stages[at].base, self.state.kind.native);
        let begun = Variables::new();
        if base == "scratch" {
            self.say(" ---> \n");
            let mut root = Root::scratch(native).begun(begun);
            root.comment = "";
            return Ok(root);
        }
        let known = named(&stages[..at], base).map(|at| roots[at].clone());
        let known = known.or_else(|| {
            let shelf = hold(&self.state.shelf);
            let one = shelf.find(base)?.platforms.first()?;
            Some(Root::image(&one.configuration(), &one.layers, native))
        });
        if let Some(root) = known {
            self.commit(&root);
            return Ok(root.begun(begun));
        }
        let name = super::shelf::whole(base);
        let said = super::push::unreachable_base(&name, self.state.kind).await;
        let said = said.map_err(|wrong| json!({ "message": wrong.of_step(Version::V28) }))?;
        // It asks for the registry itself first.
        let host = name.split('/').next().unwrap_or_default();
        let why = said.rsplit_once("\": ").map_or(said.as_str(), |(_, why)| why);
        Err(json!({ "message": format!("Get \"http://{host}/v2/\": {why}") }))
    }

    fn commit(&mut self, root: &Root) {
        let id = digest(&One::of(root, self.state.kind.native).config);
        let short = id.trim_start_matches("sha256:").get(..12).unwrap_or_default();
        self.say(&format!(" ---> {short}\n"));
    }

    async fn done(
        &mut self,
        root: &mut Root,
        step: &Step,
        stages: &[Stage],
        roots: &[Root],
    ) -> Result<(), Detail> {
        if let Does::Run { mounts, .. } = &step.does
            && !mounts.is_empty()
        {
            let said = "the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled";
            return Err(json!({ "message": said }));
        }
        let container = digest(format!("{}{}", root.key, step.line.text()).as_bytes());
        let container = container.get(7..19).unwrap_or_default().to_owned();
        let key = format!("classic\0{}\0{}\0{}", root.key, step.line.text(), root.surroundings());
        let (mut key, mut copy) = (key, None);
        if let Does::Copy { from, sources, to } = &step.does {
            let from = match from {
                None => &self.context,
                Some(from) => {
                    let at = named(stages, from).and_then(|at| roots.get(at));
                    &at.ok_or_else(|| unplayed(&format!("`--from={from}`")))?.files
                }
            };
            let found = changes(root, from, sources, to, step).map_err(|wrong| absent(&wrong))?;
            key += &super::tree::content(&found);
            copy = Some(found);
        }
        let key = digest(key.as_bytes());
        let kept = hold(&self.state.shelf).kept.get(&key).cloned();
        let made = match kept.filter(|_| self.uses_cache) {
            Some(kept) => {
                self.say(" ---> Using cache\n");
                kept
            }
            None => {
                let made = match copy {
                    Some(copy) => copy,
                    None => self.in_container(root, step, &container).await?,
                };
                let kept = (made.clone(), Root::layer(&made), jiff::Timestamp::now().to_string());
                hold(&self.state.shelf).kept.insert(key.clone(), kept.clone());
                kept
            }
        };
        self.settle(root, step, made, key);
        self.commit(root);
        Ok(())
    }

    /// What a step that is no copy makes, in a container that is taken away afterwards.
    async fn in_container(
        &mut self,
        root: &mut Root,
        step: &Step,
        container: &str,
    ) -> Result<Files, Detail> {
        self.say(&format!(" ---> Running in {container}\n"));
        let made = match &step.does {
            Does::Run { command, .. } => self.run(root, command).await,
            Does::Workdir(path) => {
                Ok(folder(root, absolute(&root.workdir(), &root.expanded(path))))
            }
            _ => Ok(Files::new()),
        };
        let removed = match self.state.kind.version {
            Version::V20 => "Removing intermediate container",
            Version::V28 => " ---> Removed intermediate container",
        };
        self.say(&format!("{removed} {container}\n"));
        made
    }

    fn settle(
        &self,
        root: &mut Root,
        step: &Step,
        (changes, layer, created): (Files, super::root::Layer, String),
        key: String,
    ) {
        if step.does.makes_layer() {
            root.take(&changes, layer, &created, key);
        } else {
            (root.created, root.key) = (created, key);
        }
        match &step.does {
            Does::Run { command, .. } => root.note(root.words(command).join(" "), false),
            Does::Copy { .. } => {
                root.note(format!("/bin/sh -c #(nop) {}", step.line.text()), false)
            }
            does => root.set(does, &self.args, self.state.kind.version),
        }
    }

    async fn run(&mut self, root: &Root, command: &Command) -> Result<Files, Detail> {
        let words = root.words(command);
        let program = words.first().cloned().unwrap_or_default();
        if let Some(why) = unstarted(&root.files, &program) {
            let newer = match self.state.kind.version {
                Version::V20 => ("", ": unknown"),
                Version::V28 => ("failed to create task for container: ", ""),
            };
            return Err(json!({ "message": format!(
                "{}failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: {why}{}",
                newer.0, newer.1
            ) }));
        }
        match behaviour(&words, &HashMap::new().into_iter().collect()) {
            None => Err(unplayed(&format!("the command `{}`", words.join(" ")))),
            Some(Behaviour::Waits(_)) => std::future::pending().await,
            Some(Behaviour::Ends { lines, code, folders }) => {
                // Errors come first, in red, as they were recorded.
                for (_, line) in lines.iter().filter(|(stream, _)| *stream == 2) {
                    self.say(&format!("\u{1b}[91m{line}\n\u{1b}[0m"));
                }
                let out: String =
                    lines.iter().filter(|(s, _)| *s == 1).map(|(_, line)| line.as_str()).collect();
                if !out.is_empty() {
                    self.say(&out);
                }
                if code != 0 {
                    let command = words.join(" ");
                    let said = format!("The command '{command}' returned a non-zero code: {code}");
                    return Err(json!({ "code": code, "message": said }));
                }
                Ok(folders.into_iter().flat_map(|path| folder(root, path)).collect())
            }
        }
    }
}

fn unplayed(what: &str) -> Detail {
    json!({ "message": format!("this sandbox's engine does not play {what}") })
}

fn absent(wrong: &Wrong) -> Detail {
    let Wrong::NoSource { path, .. } = wrong else { return unplayed("this step") };
    let path = path.trim_start_matches('/');
    let said = format!(
        "COPY failed: file not found in build context or excluded by .dockerignore: stat {path}: file does not exist"
    );
    json!({ "message": said })
}
