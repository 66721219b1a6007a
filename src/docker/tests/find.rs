//! Where an engine is looked for, and what is said of the one that is there.

use std::path::{Path, PathBuf};

use super::{Reply, Server, at, known, told};
use crate::docker::{Builder, Engine, Place, Store, Whereabouts};
use crate::names::Digest;

/// An empty home, and what looks in it.
fn home() -> (tempfile::TempDir, Whereabouts) {
    let folder = tempfile::tempdir().unwrap();
    let whereabouts = Whereabouts {
        home: Some(folder.path().into()),
        runtime_dir: Some(folder.path().join("run")),
        ..Whereabouts::default()
    };
    (folder, whereabouts)
}

fn write(path: PathBuf, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn context(home: &Path, name: &str, endpoint: &str) {
    let id = Digest::of(name.as_bytes());
    let file = home.join(".docker/contexts/meta").join(id.hex()).join("meta.json");
    let meta =
        format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{endpoint}}}}}"#);
    write(file, &meta);
}

fn shown(whereabouts: &Whereabouts) -> (String, String) {
    let located = whereabouts.locate().unwrap();
    (located.shown, located.because)
}

#[test]
fn docker_host_is_a_socket_or_a_port_of_this_machine() {
    for (said, meant) in [
        ("unix:///run/x.sock", "unix:///run/x.sock"),
        ("tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375"),
        ("tcp://localhost", "tcp://localhost:2375"),
        ("localhost:99/", "tcp://localhost:99"),
        ("tcp://[::1]:2375", "tcp://[::1]:2375"),
    ] {
        assert_eq!(shown(&at(said)), (meant.into(), "`DOCKER_HOST` names it".into()));
    }
}

#[test]
fn a_context_is_found_by_name_and_docker_host_comes_before_it() {
    let (folder, mut here) = home();
    let here_is = folder.path().display().to_string();
    context(folder.path(), "one", r#"{"Host":"unix:///run/one.sock"}"#);
    context(folder.path(), "two", r#"{"Host":"unix:///run/two.sock","SkipTLSVerify":false}"#);
    write(folder.path().join(".docker/config.json"), r#"{"currentContext":"one"}"#);
    let (place, because) = shown(&here);
    assert_eq!(place, "unix:///run/one.sock");
    assert_eq!(
        because.replace(&here_is, "~"),
        "`~/.docker/config.json` has `currentContext` \"one\""
    );
    here.context = Some("two".into());
    assert_eq!(shown(&here).0, "unix:///run/two.sock");
    // As Docker does: empty is not said, and a host is nearer than a context.
    here.host = Some(String::new());
    assert_eq!(shown(&here).0, "unix:///run/two.sock");
    here.host = Some("unix:///run/x.sock".into());
    assert_eq!(shown(&here).0, "unix:///run/x.sock");
    here = Whereabouts { host: None, context: Some("gone".into()), ..here };
    let text = told(here.locate().unwrap_err(), &here_is);
    insta::assert_snapshot!(text.replace(Digest::of(b"gone").hex(), "@@ID@@"), @"
    SW-BUILD-ENGINE
    Docker's context `gone` cannot be used
    `DOCKER_CONTEXT` names context `gone`
    `@@HERE@@/.docker/contexts/meta/@@ID@@/meta.json`: No such file or directory (os error 2)
    docker context use default, or DOCKER_HOST=unix:///var/run/docker.sock
    ");
    context(folder.path(), "lax", r#"{"Host":"tcp://build:2376","SkipTLSVerify":true}"#);
    here.context = Some("lax".into());
    insta::assert_snapshot!(told(here.locate().unwrap_err(), &here_is), @"
    SW-BUILD-ENGINE
    Docker's context `lax` cannot be used
    `DOCKER_CONTEXT` names context `lax`
    it does without TLS verification, which slipway does not
    docker context use default, or DOCKER_HOST=unix:///var/run/docker.sock
    ");
}

#[test]
fn without_a_word_the_usual_sockets_are_looked_for() {
    let (folder, here) = home();
    if Path::new("/var/run/docker.sock").exists() {
        assert_eq!(shown(&here).0, "unix:///var/run/docker.sock");
        return;
    }
    insta::assert_snapshot!(told(here.locate().unwrap_err(), &folder.path().display().to_string()), @"
    SW-BUILD-ENGINE
    there is no Docker Engine here
    neither `DOCKER_HOST` nor a context names one
    `/var/run/docker.sock` is not there
    `@@HERE@@/run/docker.sock` is not there
    `@@HERE@@/.docker/run/docker.sock` is not there
    build in a step before and give `image`: an OCI layout, or a file of `docker save`;
    or name a remote engine: DOCKER_HOST=tcp://HOST:2376 with DOCKER_TLS_VERIFY=1;
    or run it where a Docker Engine is, such as the runner `ubuntu-24.04`
    ");
    write(folder.path().join(".docker/run/docker.sock"), "");
    assert!(shown(&here).0.ends_with("/.docker/run/docker.sock"));
    write(folder.path().join("run/docker.sock"), "");
    assert!(shown(&here).0.ends_with("/run/docker.sock"));
    assert!(!shown(&here).0.contains(".docker/"));
    let here = Whereabouts { context: Some("default".into()), ..here };
    assert!(shown(&here).0.ends_with("/run/docker.sock"));
}

#[test]
fn what_is_not_spoken_is_refused_with_a_sentence() {
    let refused = |host: &str| told(at(host).locate().unwrap_err(), "@");
    insta::assert_snapshot!(refused("ssh://me@build"), @"
    SW-BUILD-ENGINE
    the engine is behind ssh, which slipway does not speak
    `DOCKER_HOST` names it: an `ssh://` address
    build in a step before and give `image`: an OCI layout, or a file of `docker save`;
    or name a remote engine: DOCKER_HOST=tcp://HOST:2376 with DOCKER_TLS_VERIFY=1;
    or run it where a Docker Engine is, such as the runner `ubuntu-24.04`
    ");
    insta::assert_snapshot!(refused("npipe:////./pipe/docker_engine"), @"
    SW-BUILD-ENGINE
    the engine is a pipe of Windows, which slipway does not speak
    `DOCKER_HOST` names it: an `npipe://` address
    build in a step before and give `image`: an OCI layout, or a file of `docker save`;
    or name a remote engine: DOCKER_HOST=tcp://HOST:2376 with DOCKER_TLS_VERIFY=1;
    or run it where a Docker Engine is, such as the runner `ubuntu-24.04`
    ");
    insta::assert_snapshot!(refused("tcp://build:2375"), @"
    SW-INPUT-ENDPOINT
    the engine at `tcp://build:2375` would be reached in plaintext
    `DOCKER_HOST` names it
    who reads or changes what is said to an engine is root where it runs
    set `DOCKER_TLS_VERIFY=1` and `DOCKER_CERT_PATH`, and the port of its TLS
    ");
    let nonsense = refused("fd://");
    insta::assert_snapshot!(nonsense, @"
    SW-INPUT-INVALID
    the engine's address is none that slipway knows
    `DOCKER_HOST` names it
    write it as `unix:///PATH` or `tcp://HOST:PORT`
    ");
    for host in ["tcp://", "unix://run/x", "tcp://me:word@127.0.0.1:1", "tcp://h:99999", "a b"] {
        assert_eq!(refused(host), nonsense, "{host}");
    }
}

#[test]
fn tls_needs_its_files_and_shows_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let here = Whereabouts {
        tls_verify: Some("1".into()),
        cert_path: Some(folder.path().into()),
        ..at("tcp://build.example")
    };
    let told =
        |here: &Whereabouts| told(here.locate().unwrap_err(), &folder.path().display().to_string());
    insta::assert_snapshot!(told(&here), @"
    SW-BUILD-ENGINE
    no TLS to the engine at `tcp://build.example:2376`
    `@@HERE@@/ca.pem`: I/O error: No such file or directory (os error 2)
    let `DOCKER_CERT_PATH` name a folder with `ca.pem`, `cert.pem` and `key.pem`
    ");
    let made = rcgen::generate_simple_self_signed(vec!["build.example".into()]).unwrap();
    write(folder.path().join("ca.pem"), &made.cert.pem());
    write(folder.path().join("cert.pem"), &made.cert.pem());
    write(folder.path().join("key.pem"), "-----BEGIN PRIVATE KEY-----\nword\n");
    insta::assert_snapshot!(told(&here), @"
    SW-BUILD-ENGINE
    no TLS to the engine at `tcp://build.example:2376`
    `@@HERE@@/key.pem`: no private key in it
    let `DOCKER_CERT_PATH` name a folder with `ca.pem`, `cert.pem` and `key.pem`
    ");
    let key = made.signing_key.serialize_pem();
    write(folder.path().join("key.pem"), &key);
    let located = here.locate().unwrap();
    assert_eq!(format!("{:?}", located.place), "tcp://build.example:2376 with TLS");
    assert!(matches!(located.place, Place::Tcp { tls: Some(_), port: 2376, .. }));
}

#[tokio::test]
async fn an_engine_says_who_it_is() {
    let server = Server::start(|asked| known(asked).unwrap()).await;
    let engine = Engine::find(&at(&server.address)).await.unwrap();
    assert_eq!(engine.shown, server.address);
    assert_eq!(engine.facts.product, "Docker Engine 28.5.2");
    assert_eq!((engine.facts.api, engine.facts.store), ((1, 51), Store::Containerd));
    assert_eq!(engine.facts.builder, Builder::BuildKit);
    assert_eq!(engine.facts.native.to_string(), "linux/amd64");
}

#[tokio::test]
async fn podman_and_engines_that_hide_buildkit_are_known() {
    for (header, version, builder, product) in [
        (
            "1",
            r#""Version":"20.10.24","ApiVersion":"1.41""#,
            Builder::BuildKit,
            "Docker Engine 20.10.24",
        ),
        (
            "1",
            r#""Version":"28.5.2","ApiVersion":"1.51""#,
            Builder::Classic,
            "Docker Engine 28.5.2",
        ),
        (
            "",
            r#""Version":"17.09.1","ApiVersion":"1.32""#,
            Builder::Classic,
            "Docker Engine 17.09.1",
        ),
        (
            "2",
            r#""Version":"4.3.1","ApiVersion":"1.41","Components":[{"Name":"Podman Engine"}]"#,
            Builder::Classic,
            "Podman 4.3.1",
        ),
    ] {
        let server = Server::start(move |asked| match asked.line.as_str() {
            "GET /_ping" => Reply {
                headers: vec![("Builder-Version", header.into())],
                ..Reply::json(200, "OK")
            },
            "GET /version" => {
                Reply::json(200, &format!(r#"{{{version},"Os":"linux","Arch":"arm64"}}"#))
            }
            _ => Reply::json(200, r#"{"DriverStatus":null}"#),
        })
        .await;
        let facts = Engine::find(&at(&server.address)).await.unwrap().facts;
        assert_eq!((facts.product.as_str(), facts.builder), (product, builder));
        assert_eq!((facts.store, facts.native.to_string()), (Store::Classic, "linux/arm64".into()));
    }
}

#[tokio::test]
async fn what_is_no_engine_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display().to_string();
    let gone = Engine::find(&at(&format!("unix://{here}/docker.sock"))).await.unwrap_err();
    insta::assert_snapshot!(told(gone, &here), @"
    SW-BUILD-ENGINE
    no engine answers at `unix://@@HERE@@/docker.sock`
    No such file or directory (os error 2)
    `DOCKER_HOST` names it
    build in a step before and give `image`: an OCI layout, or a file of `docker save`;
    or name a remote engine: DOCKER_HOST=tcp://HOST:2376 with DOCKER_TLS_VERIFY=1;
    or run it where a Docker Engine is, such as the runner `ubuntu-24.04`
    ");
    let server = Server::start(|_| Reply::json(404, "<h1>no such page</h1>")).await;
    let failure = Engine::find(&at(&server.address)).await.unwrap_err();
    insta::assert_snapshot!(told(failure, &server.address), @r#"
    SW-BUILD-ENGINE
    what answers at `@@HERE@@` is no Docker Engine
    /_ping answered 404: "<h1>no such page</h1>"
    `DOCKER_HOST` names it
    build in a step before and give `image`: an OCI layout, or a file of `docker save`;
    or name a remote engine: DOCKER_HOST=tcp://HOST:2376 with DOCKER_TLS_VERIFY=1;
    or run it where a Docker Engine is, such as the runner `ubuntu-24.04`
    "#);
    let server = Server::start(|_| Reply::json(200, "welcome")).await;
    let failure = Engine::find(&at(&server.address)).await.unwrap_err();
    assert_eq!(failure.why[0], "/version answered \"welcome\"");
}

#[tokio::test]
async fn who_reads_heredocs_is_known_by_the_release() {
    let server = Server::start(|asked| known(asked).unwrap()).await;
    let facts = super::engine(&server).await.facts;
    let lacks = |product: &str, version: &str, builder, has_syntax| {
        let (product, version) = (format!("{product} {version}"), version.to_owned());
        let facts = crate::docker::Facts { product, version, builder, ..facts.clone() };
        facts.lacks_heredocs(has_syntax).unwrap_or("nothing")
    };
    let docker =
        |version, builder, has_syntax| lacks("Docker Engine", version, builder, has_syntax);
    let podman = |version| lacks("Podman", version, Builder::Classic, true);
    assert_eq!(docker("20.10.24+dfsg1", Builder::BuildKit, false), "Docker Engine 23");
    assert_eq!(docker("20.10.24+dfsg1", Builder::BuildKit, true), "nothing");
    assert_eq!(docker("20.10.24", Builder::Classic, true), "Docker Engine 23");
    assert_eq!(docker("23.0.0-rc.1", Builder::BuildKit, false), "nothing");
    assert_eq!(docker("28.5.2", Builder::BuildKit, false), "nothing");
    assert_eq!(docker("master", Builder::BuildKit, false), "nothing");
    assert_eq!(podman("4.3.1"), "Podman 4.8");
    assert_eq!(podman("4.8.0"), "nothing");
    assert_eq!(podman("5.2.0"), "nothing");
}
