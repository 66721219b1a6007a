//! A program that ran and ended.

use k8s_openapi::api::core::v1::Container;

use super::super::{Evidence, pods};
use super::facts::said;
use super::{line, start};
use crate::error::{Code, Failure};

pub(super) fn diagnose(
    e: &Evidence,
    code: i32,
    signal: Option<i32>,
    reason: &str,
    times: u32,
) -> Failure {
    if let Some(failure) = by_log(e, code) {
        return failure;
    }
    let failure = match (code, signal) {
        _ if reason == "OOMKilled" => memory(e),
        (0, _) => done(e),
        (_, Some(signal)) => ended_by(e, signal),
        _ => exit(e, code),
    };
    why(e, failure, reason, times)
}

/// Some ends are starts that failed: the log says so, the exit code depends on the runtime's
/// version.
fn by_log(e: &Evidence, code: i32) -> Option<Failure> {
    let words = last_words(e);
    let text = words.as_deref().unwrap_or_default();
    if text.contains("exec format error") {
        return Some(start::format(e, text));
    }
    if text.contains("syntax error: unexpected") && matches!(code, 2 | 126) && e.is_other_platform()
    {
        return Some(start::platform(e, text));
    }
    match code {
        126 => Some(start::denied(e, text)),
        127 => Some(start::missing(e, text)),
        _ if text.starts_with("exec /") && text.ends_with("no such file or directory") => {
            Some(start::missing(e, text))
        }
        _ => None,
    }
    .filter(|_| !text.is_empty())
}

/// The last line of its log, or what it left in its termination message.
fn last_words(e: &Evidence) -> Option<String> {
    if let Some(line) = e.logs.as_ref().and_then(line::telling) {
        return Some(line.to_owned());
    }
    let pod = e.pod.as_ref()?;
    let seats = pods::seats(pod);
    let seat = seats.iter().find(|seat| Some(&seat.status.name) == e.cause.container.as_ref())?;
    let message = seat.last_exit()?.message.clone()?;
    let last = message.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(last.trim().to_owned())
}

fn why(e: &Evidence, failure: Failure, reason: &str, times: u32) -> Failure {
    let exits = if times == 1 { "1 exit".into() } else { format!("{times} exits") };
    let after = if e.cause.was_ready { ", after it was ready" } else { "" };
    let share = format!("{}, {exits}{after}", e.share());
    let said = match (last_words(e), &e.logs) {
        (Some(words), _) => format!("its last line: {}", said(&words)),
        (None, Some(_)) => "it logged nothing".into(),
        (None, None) => "its log was not seen".into(),
    };
    match reason {
        "OOMKilled" => failure.why(format!("OOMKilled; {share}; {said}")),
        _ => failure.why(format!("{said}; {share}")),
    }
}

fn memory(e: &Evidence) -> Failure {
    let limit = e.spec_of_container().and_then(|c| {
        c.resources.as_ref()?.limits.as_ref()?.get("memory").map(|limit| limit.0.clone())
    });
    let container = e.container();
    match limit {
        Some(limit) => Failure::new(
            Code::CrashMemory,
            format!("{container} uses more memory than its limit of {limit}"),
        )
        .next(format!(
            "raise `resources.limits.memory` of {container}, or let the program use less"
        )),
        None if e.pod.is_some() => {
            Failure::new(Code::CrashMemory, format!("{container} ran out of its node's memory"))
                .why("it has no memory limit of its own")
                .next(format!("set `resources.requests.memory` of {container} to what it needs"))
        }
        None => Failure::new(Code::CrashMemory, format!("{container} ran out of memory")).next(
            format!("raise `resources.limits.memory` of {container}, or let the program use less"),
        ),
    }
}

fn done(e: &Evidence) -> Failure {
    Failure::new(Code::CrashDone, format!("{} ends by itself, with code 0", e.container()))
        .next("run the program in the foreground; what is meant to end belongs in a Job")
}

fn ended_by(e: &Evidence, signal: i32) -> Failure {
    let name = match signal {
        6 => "SIGABRT",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => "",
    };
    let name = if name.is_empty() { format!("signal {signal}") } else { name.into() };
    let next = match signal {
        6 => "it gave up by itself: read its last lines, push a fix",
        9 | 15 => "find what ends it: a probe, its own supervisor, or the node",
        11 => "check its native libraries: built for this libc and this platform",
        _ => "read its last lines, push a fix",
    };
    Failure::new(Code::CrashSignal, format!("{} is ended by {name}", e.container())).next(next)
}

fn exit(e: &Evidence, code: i32) -> Failure {
    let failure =
        Failure::new(Code::CrashExit, format!("{} exits with code {code}", e.container()));
    let sources = e.spec_of_container().map(environment).unwrap_or_default();
    match sources.as_slice() {
        [] => failure.next("push a fix"),
        sources => {
            let names = sources.join(", ");
            failure.next(format!(
                "check {names} (its environment, not restored by a rollback), push a fix"
            ))
        }
    }
}

/// The Secrets and ConfigMaps that fill a container's environment: Secret `web-env`.
fn environment(container: &Container) -> Vec<String> {
    let mut names = Vec::new();
    for source in container.env_from.iter().flatten() {
        names.extend(source.secret_ref.iter().map(|s| format!("Secret `{}`", s.name)));
        names.extend(source.config_map_ref.iter().map(|c| format!("ConfigMap `{}`", c.name)));
    }
    for value in container.env.iter().flatten().filter_map(|v| v.value_from.as_ref()) {
        names.extend(value.secret_key_ref.iter().map(|s| format!("Secret `{}`", s.name)));
        names.extend(value.config_map_key_ref.iter().map(|c| format!("ConfigMap `{}`", c.name)));
    }
    names.sort();
    names.dedup();
    names
}
