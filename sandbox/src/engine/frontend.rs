//! What the Dockerfile frontend asks a caller for before a step is done: the file itself, what to leave
//! out, the files that steps need, and the logins of base images.

use bollard_buildkit_proto::moby::buildkit::v1::Vertex;

use super::progress::vertex;
use super::shelf::whole;
use super::solve::Work;
use super::stages::{Does, named, needed};
use super::tree::{Entry, Files, absolute};
use super::wrong::Wrong;
use crate::world::hold;

impl Work<'_> {
    /// Options that this sandbox does not play are refused, not passed over.
    pub(super) fn plays(&self) -> Result<(), Wrong> {
        const KNOWN: [&str; 6] = [
            "filename",
            "target",
            "platform",
            "no-cache",
            "image-resolve-mode",
            "force-network-mode",
        ];
        let is_known = |name: &str| {
            let families = ["build-arg:", "label:"];
            KNOWN.contains(&name) || families.iter().any(|family| name.starts_with(family))
        };
        let unknown =
            self.asked.attributes.iter().find(|(name, value)| !is_known(name) && !value.is_empty());
        match unknown {
            Some((name, value)) => {
                Err(Wrong::Unplayed(format!("the frontend's option `{name}={value}`")))
            }
            None => Ok(()),
        }
    }

    /// The Dockerfile, and the rules beside it if there are any.
    pub(super) async fn dockerfile(&self, file: &str) -> Result<(String, Option<String>), Wrong> {
        let step = self.progress.internal(&format!("[internal] load build definition from {file}"));
        let mut follow = vec![file.to_owned(), format!("{file}.dockerignore")];
        if file.rsplit('/').next() == Some("Dockerfile") {
            follow.push(file.replace("Dockerfile", "dockerfile"));
        }
        let files = self.fetched(&step, "dockerfile", &follow, &[]).await?;
        let text = |name: &str| match files.get(name) {
            Some(Entry::File { bytes, .. }) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        };
        let found = text(file).ok_or_else(|| Wrong::NoFile(file.to_owned()))?;
        Ok((found, text(&format!("{file}.dockerignore"))))
    }

    async fn fetched(
        &self,
        step: &Vertex,
        name: &str,
        follow: &[String],
        exclude: &[String],
    ) -> Result<Files, Wrong> {
        let files = self.session.files(name, follow, exclude).await?;
        let size = |entry: &Entry| match entry {
            Entry::File { bytes, .. } => bytes.len(),
            _ => 0,
        };
        let bytes: usize = files.values().map(size).sum();
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.progress.status(step, &format!("transferring {name}:"), bytes);
        self.progress.ended(step.clone(), "");
        Ok(files)
    }

    /// The files that steps need, without those that the rules leave out.
    pub(super) async fn context(
        &mut self,
        file: &str,
        rules: &Option<String>,
        target: usize,
    ) -> Result<(), Wrong> {
        let step = self.progress.internal("[internal] load .dockerignore");
        let rules = match rules {
            Some(rules) => {
                self.progress.ended(step, "");
                rules.clone()
            }
            None => {
                let name = ".dockerignore";
                let files = self.fetched(&step, "context", &[name.to_owned()], &[]).await?;
                match files.get(name) {
                    Some(Entry::File { bytes, .. }) => String::from_utf8_lossy(bytes).into_owned(),
                    _ => String::new(),
                }
            }
        };
        let exclude = patterns(&rules);
        self.engine.noted(self.asked.number, |build| file.clone_into(&mut build.file));
        let Some(follow) = self.sources(target) else { return Ok(()) };
        let step = self.progress.internal("[internal] load build context");
        self.context = self.fetched(&step, "context", &follow, &exclude).await?;
        let came = self.context.keys().cloned().collect();
        self.engine.noted(self.asked.number, |build| build.files = came);
        Ok(())
    }

    /// What the needed stages copy from the context: nothing, some of it, or (empty) all.
    fn sources(&self, target: usize) -> Option<Vec<String>> {
        let mut all = Vec::new();
        for at in needed(&self.stages, target) {
            for step in &self.stages[at].steps {
                if let Does::Copy { from: None, sources, .. } = &step.does {
                    all.extend(sources.iter().map(|source| absolute("", source)));
                }
            }
        }
        let is_any = !all.is_empty();
        all.sort();
        all.dedup();
        if all.iter().any(String::is_empty) {
            all.clear();
        }
        is_any.then_some(all)
    }

    /// Bases that are neither nothing nor a stage are the registry's, or in the engine.
    pub(super) async fn bases(&self, target: usize) -> Result<(), Wrong> {
        for at in needed(&self.stages, target) {
            let stage = &self.stages[at];
            let base = &stage.base;
            if base == "scratch" || named(&self.stages[..at], base).is_some() {
                continue;
            }
            let name = whole(base);
            let shown = name.trim_end_matches(":latest");
            let step = self.progress.begin(vertex(
                &format!("[internal] load metadata for {name}"),
                "",
                &[],
            ));
            if hold(&self.engine.shelf).find(base).is_some() {
                self.progress.ended(step, "");
                continue;
            }
            let host = name.split('/').next().unwrap_or_default().to_owned();
            let (user, _) = self.session.login(&host).await?;
            self.engine.noted(self.asked.number, |build| {
                build.logins.insert(host, user);
            });
            let said = super::push::unreachable_base(&name, self.engine.kind).await?;
            self.progress.ended(step, &said);
            let line = stage.from.lines.0;
            let name = if base.contains(':') { base.clone() } else { shown.to_owned() };
            return Err(Wrong::NoBase { name, said, line });
        }
        Ok(())
    }
}

/// The rules of a `.dockerignore` as the frontend passes them on.
fn patterns(text: &str) -> Vec<String> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let told = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    told.map(|line| {
        let (not, path) = line.strip_prefix('!').map_or(("", line), |path| ("!", path.trim()));
        format!("{not}{}", absolute("", path))
    })
    .collect()
}
