//! What an engine says of itself.

use hyper::Method;
use serde_json::{Value, json};

use super::serve::is_head;
use super::{Builder, Kind, State, Store, Version};
use crate::answer::{Answer, answer, set};
use crate::world::hold;

impl Kind {
    fn number(self) -> &'static str {
        match self.version {
            Version::V20 => "20.10.24+dfsg1",
            Version::V28 => "28.5.2+dfsg4",
        }
    }

    /// What it was built with.
    fn go(self) -> &'static str {
        match self.version {
            Version::V20 => "go1.19.8",
            Version::V28 => "go1.27.1",
        }
    }

    /// The oldest and the newest minor version of the API.
    fn api(self) -> (u32, u32) {
        match self.version {
            Version::V20 => (12, 41),
            Version::V28 => (24, 51),
        }
    }
}

/// The path without its version, if the engine speaks that.
pub(super) fn unversioned(kind: Kind, path: &str) -> Result<String, String> {
    let (oldest, newest) = kind.api();
    let Some((minor, rest)) = path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/'))
    else {
        return Ok(path.to_owned());
    };
    let Ok(asked) = minor.parse::<u32>() else { return Ok(path.to_owned()) };
    if asked > newest {
        return Err(format!(
            "client version 1.{asked} is too new. Maximum supported API version is 1.{newest}"
        ));
    }
    if asked < oldest {
        return Err(format!(
            "client version 1.{asked} is too old. Minimum supported API version is 1.{oldest}, please upgrade your client to a newer version"
        ));
    }
    Ok(format!("/{rest}"))
}

/// What every answer says of the engine.
pub(super) fn signed(kind: Kind, answer: &mut Answer) {
    set(answer, "Api-Version", &format!("1.{}", kind.api().1));
    set(answer, "Docker-Experimental", "false");
    set(answer, "Ostype", "linux");
    set(answer, "Server", &format!("Docker/{} (linux)", kind.number()));
    // 20.10 has BuildKit and does not offer it.
    if kind.version == Version::V28 {
        let builder = if kind.builder == Builder::BuildKit { "2" } else { "1" };
        set(answer, "Builder-Version", builder);
        set(answer, "Swarm", "inactive");
    }
}

pub(super) fn ping(method: &Method) -> Answer {
    let body = if is_head(method) { "" } else { "OK" };
    let mut answer = answer(200, "text/plain; charset=utf-8", body);
    set(&mut answer, "Cache-Control", "no-cache, no-store, must-revalidate");
    set(&mut answer, "Pragma", "no-cache");
    answer
}

pub(super) fn version(kind: Kind) -> Value {
    let (oldest, newest) = kind.api();
    let (os, arch) = kind.native.split_once('/').unwrap_or_default();
    let (api, least) = (format!("1.{newest}"), format!("1.{oldest}"));
    let details = json!({ "ApiVersion": api, "Arch": arch, "MinAPIVersion": least, "Os": os, "Experimental": "false" });
    json!({
        "Platform": { "Name": "" },
        "Components": [{ "Name": "Engine", "Version": kind.number(), "Details": details }],
        "Version": kind.number(), "ApiVersion": api, "MinAPIVersion": least,
        "GitCommit": "sandbox", "GoVersion": kind.go(), "Os": os, "Arch": arch, "KernelVersion": "sandbox",
    })
}

pub(super) fn info(state: &State) -> Value {
    let kind = state.kind;
    let status = match kind.store {
        Store::Classic => json!([["Backing Filesystem", "extfs"], ["Supports d_type", "true"]]),
        Store::Containerd => json!([["driver-type", "io.containerd.snapshotter.v1"]]),
    };
    let driver = if kind.store == Store::Classic { "overlay2" } else { "overlayfs" };
    let (_, arch) = kind.native.split_once('/').unwrap_or_default();
    let architecture = if arch == "amd64" { "x86_64" } else { "aarch64" };
    json!({
        "ID": "sandbox", "Name": "sandbox", "Containers": 0, "ContainersRunning": 0, "ContainersPaused": 0,
        "ContainersStopped": 0, "Images": hold(&state.shelf).images.len(), "Driver": driver,
        "DriverStatus": status, "OSType": "linux", "Architecture": architecture, "NCPU": 2, "MemTotal": 0,
        "ServerVersion": kind.number(), "OperatingSystem": "slipway's sandbox", "KernelVersion": "sandbox",
        "DockerRootDir": "/var/lib/docker", "CgroupDriver": "none", "CgroupVersion": "2",
        "Plugins": { "Volume": [], "Network": [], "Authorization": null, "Log": [] },
        "RegistryConfig": { "InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {}, "Mirrors": null },
        "Runtimes": {}, "DefaultRuntime": "none", "SecurityOptions": [], "Warnings": null,
        "Swarm": { "NodeID": "", "LocalNodeState": "inactive" }, "LiveRestoreEnabled": false,
    })
}
