//! A build as BuildKit does it: the file is asked for, then what to leave out, then what is needed;
//! stage by stage, step by step, each told as it goes on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::Vertex;
use tonic::Status;

use crate::image::digest;
use crate::world::hold;

use super::dockerfile;
use super::progress::{Progress, vertex};
use super::recorded::{Behaviour, behaviour, unstarted};
use super::root::Root;
use super::session::Session;
use super::shelf::{One, Stored, familiar, whole};
use super::stages::{Command, Does, Mount, Stage, Step, Variables, named, needed, stages};
use super::tree::{Entry, Files, absolute, content, copied, matching, with_parents};
use super::wrong::Wrong;
use super::{State, Store, Version};

/// What a caller asked for.
#[derive(Clone, Default)]
pub(crate) struct Asked {
    /// Options of the Dockerfile frontend.
    pub(crate) attributes: HashMap<String, String>,
    /// Where the image goes: the kind of exporter, and its options.
    pub(crate) exporter: (String, HashMap<String, String>),
    /// Its record's number.
    pub(crate) number: usize,
}

/// A build that goes on.
pub(crate) struct Work<'a> {
    pub(crate) engine: &'a State,
    pub(crate) session: Session,
    pub(crate) progress: Arc<Progress>,
    pub(crate) asked: Asked,
    args: Variables,
    pub(super) stages: Vec<Stage>,
    pub(super) context: Files,
    /// The platform that is built for now, and whether its steps say so.
    platform: String,
    is_one_of_several: bool,
}

impl<'a> Work<'a> {
    pub(crate) fn new(
        engine: &'a State,
        session: Session,
        progress: Arc<Progress>,
        asked: Asked,
    ) -> Self {
        let args = part(&asked.attributes, "build-arg:");
        let (stages, context) = (Vec::new(), Files::new());
        let (platform, is_one_of_several) = (String::new(), false);
        Self {
            engine,
            session,
            progress,
            asked,
            args,
            stages,
            context,
            platform,
            is_one_of_several,
        }
    }

    /// Builds and exports; what the exporter answers.
    pub(crate) async fn done(mut self) -> Result<HashMap<String, String>, Status> {
        let file = self.attribute("filename").unwrap_or("Dockerfile").to_owned();
        let mut text = String::new();
        let made = self.made(&file, &mut text).await;
        made.map_err(|wrong| wrong.status(self.version(), &file, &text))
    }

    fn version(&self) -> Version {
        self.engine.kind.version
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.asked.attributes.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    async fn made(
        &mut self,
        file: &str,
        text: &mut String,
    ) -> Result<HashMap<String, String>, Wrong> {
        self.plays()?;
        let found = self.dockerfile(file).await?;
        *text = found.0;
        let lines = dockerfile::lines(text)?;
        self.stages = stages(&lines, &self.args)?;
        let target = match self.attribute("target") {
            None => self.stages.len() - 1,
            Some(name) => {
                named(&self.stages, name).ok_or_else(|| Wrong::NoTarget(name.to_owned()))?
            }
        };
        let native = self.engine.kind.native.to_owned();
        let platforms = self.attribute("platform").map_or(native, str::to_owned);
        let platforms: Vec<_> = platforms.split(',').map(str::to_owned).collect();
        self.is_one_of_several = platforms.len() > 1;
        self.bases(target).await?;
        self.context(file, &found.1, target).await?;
        let mut images = Vec::new();
        for platform in platforms {
            self.platform = platform;
            let mut built = BTreeMap::new();
            for at in needed(&self.stages, target) {
                let root = self.stage(at, &built).await?;
                built.insert(at, root);
            }
            let Some(mut root) = built.remove(&target) else { continue };
            for (name, value) in part(&self.asked.attributes, "label:") {
                root.label(&name, &value);
            }
            images.push(One::of(&root, &self.platform));
        }
        self.exported(images)
    }

    /// One stage, on what others came to.
    async fn stage(&self, at: usize, built: &BTreeMap<usize, Root>) -> Result<Root, Wrong> {
        let stage = &self.stages[at];
        let platform = stage.platform.as_deref().unwrap_or(&self.platform);
        let root = match named(&self.stages[..at], &stage.base).and_then(|at| built.get(&at)) {
            Some(root) => root.clone(),
            None if stage.base == "scratch" => Root::scratch(platform),
            None => {
                let shelf = hold(&self.engine.shelf);
                let image = shelf.find(&stage.base);
                let one = image.and_then(|image| image.platforms.first());
                let one = one.ok_or_else(|| Wrong::Session("the base image went away".into()))?;
                Root::image(&one.configuration(), &one.layers, platform)
            }
        };
        let mut root = root.begun(self.platform_args(platform));
        let count = stage.steps.iter().filter(|step| step.does.makes_layer()).count();
        let mut number = 0;
        for step in &stage.steps {
            if !step.does.makes_layer() {
                root.set(&step.does, &self.args, self.version());
                continue;
            }
            number += 1;
            let place = format!("[{}{number}/{count}]", self.prefix(at));
            self.layer(&mut root, step, &place, built).await?;
        }
        Ok(root)
    }

    fn platform_args(&self, platform: &str) -> Variables {
        let mut words = platform.split('/');
        let (os, arch) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let pairs = [
            ("TARGETPLATFORM", platform),
            ("TARGETOS", os),
            ("TARGETARCH", arch),
            ("BUILDPLATFORM", self.engine.kind.native),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// What stands before a step's number.
    fn prefix(&self, at: usize) -> String {
        let platform =
            if self.is_one_of_several { format!("{} ", self.platform) } else { String::new() };
        let mounts =
            |step: &Step| matches!(&step.does, Does::Run { mounts, .. } if !mounts.is_empty());
        let is_new = self.version() == Version::V28;
        let has_mounts = is_new && self.stages.iter().any(|stage| stage.steps.iter().any(mounts));
        if self.stages.len() == 1 && !has_mounts {
            return platform;
        }
        let name = self.stages[at].name.clone().unwrap_or_else(|| format!("stage-{at}"));
        format!("{platform}{name} ")
    }

    async fn layer(
        &self,
        root: &mut Root,
        step: &Step,
        place: &str,
        built: &BTreeMap<usize, Root>,
    ) -> Result<(), Wrong> {
        let text = root.expanded(&step.line.text());
        let mut key = format!("{}\0{text}\0{}", root.key, root.surroundings());
        let told = vertex(&format!("{place} {text}"), &key, &[]);
        self.progress.announce(vec![told.clone()]);
        let mut copy = None;
        if let Does::Copy { from, sources, to } = &step.does {
            let from = match from {
                None => &self.context,
                Some(from) => named(&self.stages, from)
                    .and_then(|at| built.get(&at))
                    .map(|root| &root.files)
                    .ok_or_else(|| {
                        Wrong::Unplayed(format!("`--from={from}`, which is no stage"))
                    })?,
            };
            let found = changes(root, from, sources, to, step).inspect_err(|wrong| {
                let told = self.progress.begin(told.clone());
                self.progress.ended(told, &wrong.of_step(self.version()));
            })?;
            key += &content(&found);
            copy = Some(found);
        }
        let key = digest(key.as_bytes());
        let kept = hold(&self.engine.shelf).kept.get(&key).cloned();
        let uses_cache = !self.asked.attributes.contains_key("no-cache");
        let (changes, layer, created) = match kept.filter(|_| uses_cache) {
            Some(kept) => {
                self.progress.cached(told);
                kept
            }
            None => {
                let begun = self.progress.begin(told);
                let changes = match (&step.does, copy) {
                    (Does::Run { command, mounts }, _) => {
                        self.run(root, &begun, step, command, mounts).await?
                    }
                    (Does::Workdir(path), _) => {
                        let path = absolute(&root.workdir(), &root.expanded(path));
                        folder(root, path)
                    }
                    (_, copy) => copy.unwrap_or_default(),
                };
                self.progress.ended(begun, "");
                let kept = (changes.clone(), Root::layer(&changes), self.now());
                hold(&self.engine.shelf).kept.insert(key.clone(), kept.clone());
                kept
            }
        };
        root.take(&changes, layer, &created, key);
        self.noted(root, step, &text);
        Ok(())
    }

    /// The step in the image's history.
    fn noted(&self, root: &mut Root, step: &Step, text: &str) {
        match &step.does {
            Does::Workdir(_) => root.set(&step.does, &self.args, self.version()),
            Does::Run { command, .. } => {
                root.note(format!("RUN {} # buildkit", root.words(command).join(" ")), false);
            }
            _ => root.note(format!("{text} # buildkit"), false),
        }
    }

    fn now(&self) -> String {
        let epoch = self.args.get("SOURCE_DATE_EPOCH").and_then(|epoch| epoch.parse().ok());
        let epoch = epoch.and_then(|epoch| jiff::Timestamp::from_second(epoch).ok());
        epoch.unwrap_or_else(jiff::Timestamp::now).to_string()
    }

    async fn run(
        &self,
        root: &Root,
        begun: &Vertex,
        step: &Step,
        command: &Command,
        mounts: &[Mount],
    ) -> Result<Files, Wrong> {
        let words = root.words(command);
        let fails = |wrong: Wrong| {
            self.progress.ended(begun.clone(), &wrong.of_step(self.version()));
            wrong
        };
        let exit = |code| Wrong::Exit { command: words.clone(), code, lines: step.line.lines };
        let mut secrets = BTreeMap::new();
        for mount in mounts {
            let found = self.session.secret(&mount.id).await?;
            let (id, has_come) = (mount.id.clone(), found.is_some());
            self.engine.noted(self.asked.number, |build| _ = build.secrets.insert(id, has_come));
            if found.is_none() && mount.is_required {
                return Err(fails(Wrong::NoSecret {
                    id: mount.id.clone(),
                    lines: step.line.lines,
                }));
            }
            secrets.insert(mount.id.clone(), found);
        }
        let program = words.first().cloned().unwrap_or_default();
        if let Some(why) = unstarted(&root.files, &program) {
            let line = format!("runc run failed: unable to start container process: {why}\n");
            self.progress.line(begun, 2, &line);
            return Err(fails(exit(1)));
        }
        if !self.engine.kind.runs(&self.platform) {
            self.progress.line(begun, 2, &format!("exec {program}: exec format error\n"));
            return Err(fails(exit(1)));
        }
        match behaviour(&words, &secrets) {
            None => Err(fails(Wrong::Unplayed(format!("the command of `{}`", step.line.text())))),
            Some(Behaviour::Waits(line)) => {
                self.progress.line(begun, 1, &line);
                self.progress.would_say(exit(137).of_step(self.version()));
                self.engine.noted(self.asked.number, |build| build.waits = true);
                std::future::pending().await
            }
            Some(Behaviour::Ends { lines, code, folders }) => {
                for (stream, line) in lines {
                    self.progress.line(begun, stream, &line);
                }
                if code != 0 {
                    return Err(fails(exit(code)));
                }
                let made = folders.into_iter().map(|path| folder(root, path));
                Ok(made.flatten().collect())
            }
        }
    }

    /// Where the image goes, told as a step.
    fn exported(&self, images: Vec<One>) -> Result<HashMap<String, String>, Wrong> {
        let (kind, options) = &self.asked.exporter;
        let mut answer = HashMap::new();
        match kind.as_str() {
            "" => return Ok(answer),
            "moby" | "image" => {}
            other => return Err(Wrong::Unplayed(format!("the exporter `{other}`"))),
        }
        let store = self.engine.kind.store;
        let step = self.progress.begin(vertex(
            "exporting to image",
            &format!("{:?}", images.first().map(|one| &one.config)),
            &[],
        ));
        if images.len() > 1 && store == Store::Classic {
            let wrong = Wrong::SeveralPlatforms;
            self.progress.ended(step, &wrong.of_step(self.version()));
            return Err(wrong);
        }
        self.progress.status(&step, "exporting layers", 0);
        let image = Stored::new(images, store);
        let names: Vec<_> =
            options.get("name").into_iter().flat_map(|all| all.split(',')).collect();
        let names: Vec<_> =
            names.into_iter().filter(|name| !name.is_empty()).map(familiar).collect();
        let config = image.platforms.first().map(|one| digest(&one.config)).unwrap_or_default();
        match store {
            Store::Classic => {
                self.progress.status(&step, &format!("writing image {}", image.id), 0)
            }
            Store::Containerd => {
                self.progress.status(&step, &format!("exporting manifest {}", image.id), 0);
                let mut descriptor = image.descriptor();
                if let [one] = &image.platforms[..] {
                    descriptor["platform"] = one.platform();
                }
                use base64::Engine as _;
                let text = base64::prelude::BASE64_STANDARD.encode(descriptor.to_string());
                answer.insert("containerimage.descriptor".into(), text);
            }
        }
        for name in &names {
            self.progress.status(&step, &format!("naming to {}", whole(name)), 0);
        }
        answer.insert("containerimage.digest".into(), image.id.clone());
        if self.version() == Version::V28 && image.list.is_none() {
            answer.insert("containerimage.config.digest".into(), config);
        }
        if self.version() == Version::V28 && !names.is_empty() {
            let all: Vec<_> = names.iter().map(|name| whole(name)).collect();
            answer.insert("image.name".into(), all.join(","));
        }
        hold(&self.engine.shelf).put(image, &names);
        self.progress.ended(step, "");
        Ok(answer)
    }
}

/// The options of a family: `label:NAME` by NAME.
pub(crate) fn part(attributes: &HashMap<String, String>, family: &str) -> Variables {
    let pairs = attributes.iter();
    pairs.filter_map(|(k, v)| Some((k.strip_prefix(family)?.to_owned(), v.clone()))).collect()
}

/// What a `COPY` adds.
pub(crate) fn changes(
    root: &Root,
    from: &Files,
    sources: &[String],
    to: &str,
    step: &Step,
) -> Result<Files, Wrong> {
    let to = root.expanded(to);
    let bare = absolute(&root.workdir(), &to);
    let into = sources.len() > 1 || to.ends_with('/') || to == ".";
    let mut changes = Files::new();
    for source in sources {
        let source = root.expanded(source);
        let found = matching(from, &source);
        if found.is_empty() {
            let path = format!("/{}", absolute("", &source));
            return Err(Wrong::NoSource { path, lines: step.line.lines });
        }
        let into = into || found.len() > 1;
        for path in found {
            changes.extend(copied(from, &path, &root.files, &bare, into));
        }
    }
    changes.remove("");
    Ok(with_parents(changes, &root.files, jiff::Timestamp::now().as_second()))
}

/// A folder, with those above it.
pub(crate) fn folder(root: &Root, path: String) -> Files {
    let time = jiff::Timestamp::now().as_second();
    if path.is_empty() || root.files.contains_key(&path) {
        return Files::new();
    }
    let made = Files::from([(path, Entry::Folder { mode: 0o755, time })]);
    with_parents(made, &root.files, time)
}
