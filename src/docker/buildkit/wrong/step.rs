//! A step that failed: what it ran, what it wrote, and what that means.

use super::super::super::told::{self, MAKE_ROOM, between, last_lines};
use super::super::progress::Step;
use super::{Ended, Said};
use crate::error::{Code, Failure, one_line, quoted};

/// What stands in the brackets before a step's instruction.
struct Brackets<'a> {
    /// `2/3`.
    count: &'a str,
    /// If it has a name.
    stage: Option<&'a str>,
    /// If it is one of several.
    platform: Option<&'a str>,
}

impl<'a> Brackets<'a> {
    /// Of `[linux/arm64 build 2/3] RUN make`.
    fn of(name: &'a str) -> Option<Self> {
        let (inside, _) = name.strip_prefix('[')?.split_once(']')?;
        let words: Vec<_> = inside.split_whitespace().collect();
        let (count, before) = words.split_last()?;
        let numbers = count.split_once('/')?;
        if ![numbers.0, numbers.1].iter().all(|n| n.bytes().all(|b| b.is_ascii_digit())) {
            return None;
        }
        let platform = before.first().copied().filter(|word| word.contains('/'));
        let stage = before.last().copied().filter(|word| !word.contains('/'));
        // A stage without a name is called by its number.
        let stage = stage.filter(|stage| !stage.starts_with("stage-"));
        Some(Self { count, stage, platform })
    }
}

impl Ended<'_> {
    /// How a step is called in a sentence.
    pub(super) fn step_name(&self, step: &Step) -> String {
        let Some(at) = Brackets::of(&step.name) else {
            return format!("step `{}`", one_line(&step.name, 80));
        };
        let stage = at.stage.map(|stage| format!(" of stage `{stage}`")).unwrap_or_default();
        let platform = at.platform.map(|platform| format!(" for {platform}")).unwrap_or_default();
        format!("step {}{stage} of {}{platform}", at.count, self.file())
    }

    /// A step that lacks what it needs.
    pub(super) fn of_step(&self, said: &Said<'_>) -> Option<Failure> {
        let step = said.step?;
        if let Some((id, _)) =
            said.words.strip_prefix("secret ").and_then(|w| w.split_once(": not found"))
        {
            let id = id.trim_end_matches(" not found");
            return Some(self.no_secret(said, step, id));
        }
        if said.words.contains("failed to compute cache key")
            || said.words.contains("failed to calculate checksum")
        {
            let file = between(&said.words, "\"", "\"");
            return file.map(|file| self.no_file(said, step, file));
        }
        None
    }

    /// A step that ran and failed.
    pub(super) fn exited(&self, said: &Said<'_>, step: &Step, code: &str) -> Failure {
        let name = self.step_name(step);
        let wrote =
            |words: &str| step.last.iter().find(|line| line.to_ascii_lowercase().contains(words));
        if let Some(line) = wrote("exec format error") {
            return self.no_emulation(said, &name, line);
        }
        if wrote("no space left on device").is_some() {
            let failure =
                Failure::new(Code::BuildEngine, format!("{name} found the engine's disk full"));
            return self.with_lines(failure, said, step).next(MAKE_ROOM);
        }
        let what = match missing_program(step) {
            Some(program) => format!("{name} cannot start `{program}`: it is not in its image"),
            None => format!("{name} exits with code {code}"),
        };
        let mut failure = self.with_lines(Failure::new(Code::BuildStep, what), said, step);
        for id in self.missing {
            failure = failure.why(format!(
                "it may have looked for secret `{id}`, which is not in `build-secrets`"
            ));
        }
        let next = match (self.missing.first(), code) {
            (Some(id), _) => format!("give it to the step: `build-secrets: {id}=VARIABLE`"),
            (None, "137") => told::KILLED.into(),
            (None, _) => format!("correct {}, or what it runs", self.this_line(said)),
        };
        failure.next(next)
    }

    /// Where it stands, and what it wrote last.
    fn with_lines(&self, failure: Failure, said: &Said<'_>, step: &Step) -> Failure {
        last_lines(self.with_line(failure, said), &step.last)
    }

    fn no_emulation(&self, said: &Said<'_>, name: &str, line: &str) -> Failure {
        let platforms: Vec<_> = self.order.platforms.iter().map(ToString::to_string).collect();
        let what = format!("{name} runs a program that is not for this engine's machine");
        let failure = Failure::new(Code::PlatformEmulation, what);
        let failure = self.with_line(failure, said);
        let failure = failure.why(format!("its last line: {}", quoted(line)));
        let failure = if platforms.is_empty() {
            failure
        } else {
            failure.why(format!("the image is built for {}", platforms.join(", ")))
        };
        failure.next(
            "build it on a runner of that platform, then slipway index; or add docker/setup-qemu-action before this step",
        )
    }

    fn no_secret(&self, said: &Said<'_>, step: &Step, id: &str) -> Failure {
        let what = format!("{} needs secret `{id}`, which was not given", self.step_name(step));
        let failure = Failure::new(Code::BuildStep, what);
        let failure = self.with_line(failure, said);
        let given: Vec<_> = self.order.secrets.keys().map(|id| format!("`{id}`")).collect();
        let given = if given.is_empty() { "none".into() } else { given.join(", ") };
        failure
            .why(format!("given by `build-secrets`: {given}"))
            .next(format!("build-secrets: {id}=VARIABLE   where VARIABLE holds it"))
    }

    /// What is copied is not there: in the context, or in another image.
    fn no_file(&self, said: &Said<'_>, step: &Step, file: &str) -> Failure {
        let name = self.step_name(step);
        let text = step.name.split_once("] ").map_or("", |(_, text)| text);
        let Some(from) = from(text, file) else {
            return told::no_file(self.order, &name, text, file, said.place.as_ref());
        };
        let what = format!("{name} finds no `{file}` in `{from}`");
        self.with_line(Failure::new(Code::BuildStep, what), said)
            .next(format!("correct the path, or let `{from}` make it"))
    }
}

/// The stage or image that an instruction takes this file from: by `--from=`, or in the mount of it.
fn from<'a>(instruction: &'a str, file: &str) -> Option<&'a str> {
    let mut flags =
        instruction.split_whitespace().skip(1).take_while(|word| word.starts_with("--"));
    let is_it = |path: &str| path.trim_matches('/') == file.trim_matches('/');
    flags.find_map(|flag| match flag.strip_prefix("--mount=") {
        Some(mount) => field(mount, "from")
            .filter(|_| field(mount, "source").or(field(mount, "src")).is_some_and(is_it)),
        None => flag.strip_prefix("--from="),
    })
}

/// What a field of a mount says.
fn field<'a>(mount: &'a str, name: &str) -> Option<&'a str> {
    mount.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}

/// The program that was to be run, if that is what is missing.
fn missing_program(step: &Step) -> Option<&str> {
    let line = step.last.iter().rev().find(|line| {
        line.contains("no such file or directory") || line.contains("executable file not found")
    })?;
    between(line, "exec: \"", "\"")
}
