//! A container whose program was never run: wrong format, missing, not allowed, or not put
//! together.

use super::super::kinds::{self, Config, Start};
use super::super::{Evidence, pods};
use super::facts::{between, said, said_last};
use crate::error::{Code, Failure};

pub(super) fn diagnose(e: &Evidence, reason: &str, message: &str) -> Failure {
    let kind = kinds::start(reason, message);
    let about_program = matches!(kind, Start::Format | Start::Denied | Start::Missing);
    if about_program && e.is_other_platform() {
        return platform(e, message);
    }
    match kind {
        Start::Format => format(e, message),
        Start::Missing => missing(e, message),
        Start::Denied => denied(e, message),
        Start::Nothing => nothing(e, message),
        Start::Hook => hook(e, message),
        Start::Other => other(e, reason, message),
    }
}

/// The image was built for another platform than its node.
pub(super) fn platform(e: &Evidence, words: &str) -> Failure {
    let node = e.node_platform.as_ref().map(ToString::to_string).unwrap_or_default();
    let name = pods::short_node(e.node());
    Failure::new(Code::StartPlatform, format!("{} cannot start on these nodes", e.container()))
        .why(format!(
            "{} on {name} ({node}); the image is {}",
            said_last(program(words)),
            e.platforms()
        ))
        .next(format!("build it for {node} too, or leave out `platform`: the nodes decide"))
}

/// The kernel does not know the program's format, and the platform is not the reason, or not known.
pub(super) fn format(e: &Evidence, words: &str) -> Failure {
    if e.is_other_platform() {
        return platform(e, words);
    }
    let what = format!("the program of {} cannot be executed", e.container());
    let failure = Failure::new(Code::StartFormat, what).why(said_last(program(words)));
    match &e.node_platform {
        Some(node) if !e.image_platforms.is_empty() => failure
            .why(format!("image and node both say {node}"))
            .next("if it is a script, begin it with a line like `#!/bin/sh`; if it is a binary, it was")
            .next(format!("built for another platform than the image says: build it for {node}")),
        _ => failure
            .why("the platforms of image and node were not both seen")
            .next("if it is a script, begin it with a line like `#!/bin/sh`; if not, compare")
            .next("docker buildx imagetools inspect IMAGE   with   kubectl get nodes -L kubernetes.io/arch"),
    }
}

/// No such program; or there is one, and what it needs to run is not there.
pub(super) fn missing(e: &Evidence, words: &str) -> Failure {
    let loader = !words.contains("executable file not found") && !words.contains("stat ");
    let why = said_last(program(words));
    match program_name(words) {
        Some(name) if loader => {
            Failure::new(Code::StartCommand, format!("{} cannot run `{name}`", e.container()))
                .why(why)
                .next(format!(
                    "if `{name}` is in the image, its interpreter or loader is not: check the `#!`"
                ))
                .next("line and its line ends, or link the program statically")
        }
        Some(name) => {
            Failure::new(Code::StartCommand, format!("{} has no program `{name}`", e.container()))
                .why(why)
                .next("check ENTRYPOINT and COPY in the Dockerfile, `command` in the workload")
        }
        None => Failure::new(
            Code::StartCommand,
            format!("the command of {} was not found", e.container()),
        )
        .why(why)
        .next("check ENTRYPOINT and COPY in the Dockerfile, `command` in the workload"),
    }
}

/// It may not be executed.
pub(super) fn denied(e: &Evidence, words: &str) -> Failure {
    let name = program_name(words).map(|name| format!(" `{name}`")).unwrap_or_default();
    Failure::new(Code::StartDenied, format!("{} may not execute its program{name}", e.container()))
        .why(said_last(program(words)))
        .next("make it executable in the Dockerfile: COPY --chmod=755")
}

fn nothing(e: &Evidence, words: &str) -> Failure {
    Failure::new(Code::StartCommand, format!("{} has no command", e.container()))
        .why(format!("{}: {}", e.kubelet(), said_last(words)))
        .next("set ENTRYPOINT or CMD in the Dockerfile")
}

fn hook(e: &Evidence, words: &str) -> Failure {
    // Which container of which pod it was is said already.
    let words = match (words.split_once(" for Container "), words.split_once(" failed - error: ")) {
        (Some((hook, _)), Some((_, error))) => &format!("{hook} failed: {error}"),
        _ => words,
    };
    Failure::new(Code::StartHook, format!("the postStart hook of {} fails", e.container()))
        .why(format!("{}: {}", e.kubelet(), said(words)))
        .next("correct `lifecycle.postStart` in the workload, or what it calls")
}

fn other(e: &Evidence, reason: &str, words: &str) -> Failure {
    Failure::new(Code::StartOther, format!("its node could not start {}", e.container()))
        .why(format!("{}: {reason}: {}", e.kubelet(), said_last(words)))
        .next(format!(
            "often it passes: ship again; if it stays, kubectl describe node {}",
            e.node()
        ))
}

/// What the kubelet lacks to put the container together.
pub(super) fn config(e: &Evidence, message: &str) -> Failure {
    let why = format!("{}: {}", e.kubelet(), said(message));
    match kinds::config(message) {
        Config::Root => root(e, message).why(why),
        Config::Missing => missing_object(e, message).why(why),
        Config::Lag | Config::Other => {
            let what = format!("{} could not be put together", e.container());
            Failure::new(Code::StartConfig, what).why(why).next(format!(
                "kubectl -n {} get events --field-selector reason=Failed",
                e.namespace
            ))
        }
    }
}

fn root(e: &Evidence, message: &str) -> Failure {
    let container = e.container();
    let what = if message.contains("non-numeric") {
        format!("the user of {container} is a name, and its pod wants proof that it is not root")
    } else {
        format!("{container} would run as root, which its pod forbids")
    };
    Failure::new(Code::StartRoot, what)
        .next("write USER with a number in the Dockerfile: USER 10001")
}

fn missing_object(e: &Evidence, message: &str) -> Failure {
    let space = &e.namespace;
    if let Some(key) = between(message, "couldn't find key ", " in ") {
        let object = message.rsplit_once(" in ").map_or("", |(_, object)| object);
        let (kind, path) = object.split_once(' ').unwrap_or(("Secret", object));
        let name = path.rsplit('/').next().unwrap_or(path);
        return Failure::new(
            Code::StartConfig,
            format!("{kind} `{name}` in `{space}` lacks key `{key}`"),
        )
        .next(format!("add key `{key}` to {kind} `{name}`, then ship again"));
    }
    let (kind, name) = match between(message, "secret \"", "\"") {
        Some(name) => ("Secret", name),
        None => ("ConfigMap", between(message, "configmap \"", "\"").unwrap_or("NAME")),
    };
    Failure::new(Code::StartConfig, format!("{kind} `{name}` does not exist in `{space}`")).next(
        format!(
            "create {kind} `{name}` in `{space}`, or take it out of the workload, then ship again"
        ),
    )
}

/// runc's own words, without those of everybody who passed them on.
fn program(words: &str) -> &str {
    words.find("exec: ").or_else(|| words.find("exec /")).map_or(words, |at| &words[at..])
}

/// The program that they are about.
fn program_name(words: &str) -> Option<&str> {
    between(words, "exec: \"", "\"").or_else(|| between(words, "exec ", ": "))
}
