//! A container that runs and is not let in, or is ended, by a probe or a readiness gate.

use k8s_openapi::api::core::v1::Probe;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::Evidence;
use super::facts::said;
use crate::error::{Code, Failure};

pub(super) fn killed(e: &Evidence, probe: &str, message: &str, times: u32) -> Failure {
    let container = e.container();
    let spec = e.spec_of_container();
    let (failure, probe) = if probe == "startup" {
        let what = format!("{container} does not start in the time of its startup probe");
        (Failure::new(Code::ProbeStartup, what), spec.and_then(|c| c.startup_probe.as_ref()))
    } else {
        let what = format!("{container} is ended by its liveness probe");
        (Failure::new(Code::ProbeLive, what), spec.and_then(|c| c.liveness_probe.as_ref()))
    };
    let ends = if times == 1 { "once".into() } else { format!("{times} times") };
    failure.why(format!("{}: {}; {}, {ends}", e.kubelet(), said(message), e.share())).next(
        match probe {
            Some(probe) => format!(
                "give it longer than {} now, or make {} answer sooner",
                time(probe),
                place(probe)
            ),
            None => "give it longer, or make it answer sooner".into(),
        },
    )
}

pub(super) fn not_ready(e: &Evidence, message: Option<&str>, gate: Option<&str>) -> Failure {
    if let Some(gate) = gate {
        return closed_gate(e, gate, message);
    }
    let spec = e.spec_of_container();
    let startup = message.is_some_and(|message| message.starts_with("Startup probe"));
    let (code, name, probe) = if startup {
        (Code::ProbeStartup, "startup", spec.and_then(|c| c.startup_probe.as_ref()))
    } else {
        (Code::ProbeReady, "readiness", spec.and_then(|c| c.readiness_probe.as_ref()))
    };
    let Some(message) = message else {
        return Failure::new(code, format!("{} runs, but is not ready", e.container()))
            .why(format!("{}; what its probe says was not seen", e.share()))
            .next(format!("check the {name} probe of {}", e.container()));
    };
    Failure::new(code, format!("{} runs, but its {name} probe does not pass", e.container()))
        .why(format!("{}: {}; {}", e.kubelet(), said(message), e.share()))
        .next(advice(message, probe))
}

fn closed_gate(e: &Evidence, gate: &str, message: Option<&str>) -> Failure {
    let failure =
        Failure::new(Code::ProbeGate, format!("readiness gate `{gate}` of its pods stays closed"));
    let said = message.map_or_else(|| "it says nothing".into(), said);
    let failure = failure.why(format!("its containers are ready; the gate: {said}; {}", e.share()));
    if gate.contains("elbv2.k8s.aws") {
        return failure.next(
            "check the target group: its health-check path, and the security group to the pods",
        );
    }
    failure.next(format!("look at what sets `{gate}`"))
}

/// What the probe's words hint at.
fn advice(message: &str, probe: Option<&Probe>) -> String {
    let place = probe.map_or_else(|| "the probe's port".into(), place);
    if message.contains("connection refused") {
        return format!("let it listen on all addresses for {place}, or correct the probe");
    }
    if let Some((_, code)) = message.split_once("statuscode: ") {
        return format!("make {place} answer 200 once it is ready, now it answers {code}");
    }
    if message.contains("deadline exceeded")
        || message.contains("timed out")
        || message.contains("timeout")
    {
        return format!("make {place} answer sooner, or raise `timeoutSeconds`");
    }
    format!("make {place} pass once it is ready, or correct the probe")
}

/// "GET / on 8080".
fn place(probe: &Probe) -> String {
    let port = |port: &IntOrString| match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => format!("`{name}`"),
    };
    if let Some(get) = &probe.http_get {
        return format!("GET {} on {}", get.path.as_deref().unwrap_or("/"), port(&get.port));
    }
    if let Some(tcp) = &probe.tcp_socket {
        return format!("port {}", port(&tcp.port));
    }
    if let Some(grpc) = &probe.grpc {
        return format!("gRPC on {}", grpc.port);
    }
    "the probe's command".into()
}

/// How long the probe lets it try: "30s (3 x 10s)".
fn time(probe: &Probe) -> String {
    let (period, tries) =
        (probe.period_seconds.unwrap_or(10), probe.failure_threshold.unwrap_or(3));
    let delay = probe.initial_delay_seconds.unwrap_or(0);
    let first = if delay > 0 { format!("{delay}s + ") } else { String::new() };
    format!("{}s ({first}{tries} x {period}s)", delay + period * tries)
}
