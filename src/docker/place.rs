//! Where the engine is, by the rules of Docker's own client: `DOCKER_HOST`, a context, its usual sockets.
//!
//! Reads Docker's configuration and connects to nothing. Plaintext stays on this machine: who speaks to an
//! engine is root where it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;

use super::dial::Place;
use crate::error::{Code, Failure, one_line, quoted};
use crate::names::Digest;

/// Where Docker's own client looks if nothing is said.
const USUAL: &str = "/var/run/docker.sock";

/// What says where the engine is: the environment, as a value. Empty is absent.
#[derive(Clone, Debug, Default)]
pub struct Whereabouts {
    /// `DOCKER_HOST`.
    pub host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub context: Option<String>,
    /// `DOCKER_TLS_VERIFY`: any word turns it on.
    pub tls_verify: Option<String>,
    /// `DOCKER_CERT_PATH`: the folder of `ca.pem`, `cert.pem` and `key.pem`.
    pub cert_path: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the folder of `config.json`; `~/.docker` where it is not said.
    pub config: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
}

/// A place, and what is said of it.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) place: Place,
    /// `unix:///var/run/docker.sock`.
    pub(super) shown: String,
    /// Who named it: "`DOCKER_HOST` names it".
    pub(super) because: String,
}

impl Whereabouts {
    /// The place that is meant; nothing is sent there.
    pub(super) fn locate(&self) -> Result<Located, Failure> {
        if let Some(host) = said(self.host.as_deref()) {
            let tls = said(self.tls_verify.as_deref()).map(|_| self.certificates());
            return located(host, "`DOCKER_HOST` names it".into(), tls.as_deref());
        }
        match self.context()? {
            Some((name, because)) => self.of_context(&name, because),
            None => self.usual(),
        }
    }

    fn folder(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| Some(self.home.as_ref()?.join(".docker")))
    }

    /// Docker looks for its certificates beside its configuration, unless it is told.
    fn certificates(&self) -> PathBuf {
        self.cert_path.clone().or_else(|| self.folder()).unwrap_or_default()
    }

    /// The context that is meant and who says so; `default` is Docker's word for none.
    fn context(&self) -> Result<Option<(String, String)>, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Config {
            #[serde(default)]
            current_context: Option<String>,
        }
        if let Some(name) = said(self.context.as_deref()) {
            let because = format!("`DOCKER_CONTEXT` names context `{name}`");
            return Ok(Some((name.to_owned(), because)).filter(|(name, _)| name != "default"));
        }
        let Some(file) = self.folder().map(|folder| folder.join("config.json")) else {
            return Ok(None);
        };
        // No file is the usual case; one that cannot be read is Docker's default too, with a warning of its own.
        let Ok(text) = std::fs::read(&file) else { return Ok(None) };
        let config: Config = serde_json::from_slice(&text).map_err(|error| {
            Failure::new(Code::BuildEngine, format!("`{}` cannot be read", file.display()))
                .why(format!("it is no configuration of Docker's client: {error}"))
                .next(format!("correct it, or name the engine: DOCKER_HOST=unix://{USUAL}"))
        })?;
        let because =
            |name: &str| format!("`{}` has `currentContext` {}", file.display(), quoted(name));
        let named = config.current_context.filter(|name| !name.is_empty() && name != "default");
        Ok(named.map(|name| (name.clone(), because(&name))))
    }

    fn of_context(&self, name: &str, because: String) -> Result<Located, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Meta {
            endpoints: Endpoints,
        }
        #[derive(Deserialize)]
        struct Endpoints {
            docker: Option<Endpoint>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Endpoint {
            #[serde(default)]
            host: String,
            #[serde(default, rename = "SkipTLSVerify")]
            skip_tls_verify: bool,
        }
        let shown = one_line(name, 60);
        let refused = |why: String| {
            Failure::new(Code::BuildEngine, format!("Docker's context `{shown}` cannot be used"))
                .why(because.clone())
                .why(why)
                .next(format!("docker context use default, or DOCKER_HOST=unix://{USUAL}"))
        };
        let contexts = self.folder().unwrap_or_default().join("contexts");
        // The folder is a digest, so that no name leads anywhere else.
        let id = Digest::of(name.as_bytes());
        let file = contexts.join("meta").join(id.hex()).join("meta.json");
        let text = std::fs::read(&file)
            .map_err(|error| refused(format!("`{}`: {error}", file.display())))?;
        let meta: Meta = serde_json::from_slice(&text)
            .map_err(|error| refused(format!("`{}`: {error}", file.display())))?;
        let Some(endpoint) = meta.endpoints.docker.filter(|endpoint| !endpoint.host.is_empty())
        else {
            return Err(refused(format!("`{}` names no engine", file.display())));
        };
        if endpoint.skip_tls_verify {
            return Err(refused("it does without TLS verification, which slipway does not".into()));
        }
        let tls = Some(contexts.join("tls").join(id.hex()).join("docker"));
        let tls = tls.filter(|folder| folder.join("ca.pem").exists());
        located(&endpoint.host, because, tls.as_deref())
    }

    /// Docker's own socket, or those of an engine without root.
    fn usual(&self) -> Result<Located, Failure> {
        let rootless = self.runtime_dir.as_ref().map(|folder| folder.join("docker.sock"));
        let desktop = self.home.as_ref().map(|home| home.join(".docker/run/docker.sock"));
        let looked: Vec<_> =
            [Some(PathBuf::from(USUAL)), rootless, desktop].into_iter().flatten().collect();
        if let Some(path) = looked.iter().find(|path| path.exists()) {
            let because = "neither `DOCKER_HOST` nor a context says otherwise".into();
            return Ok(unix(path, because));
        }
        let mut failure = none("there is no Docker Engine here")
            .why("neither `DOCKER_HOST` nor a context names one");
        for path in looked {
            failure = failure.why(format!("`{}` is not there", path.display()));
        }
        Err(ways_on(failure))
    }
}

/// A place by its address: `unix://…`, `tcp://…`, or as Docker takes it too, without the scheme.
fn located(address: &str, because: String, tls: Option<&Path>) -> Result<Located, Failure> {
    let (scheme, rest) = address.split_once("://").unwrap_or(("tcp", address));
    match scheme {
        "unix" if rest.starts_with('/') => Ok(unix(Path::new(rest), because)),
        "tcp" => tcp(rest, because, tls),
        "ssh" => Err(ways_on(
            none("the engine is behind ssh, which slipway does not speak")
                .why(format!("{because}: an `ssh://` address")),
        )),
        "npipe" => Err(ways_on(
            none("the engine is a pipe of Windows, which slipway does not speak")
                .why(format!("{because}: an `npipe://` address")),
        )),
        _ => Err(nonsense(&because)),
    }
}

fn unix(path: &Path, because: String) -> Located {
    let shown = format!("unix://{}", path.display());
    Located { place: Place::Unix(path.into()), shown, because }
}

fn tcp(rest: &str, because: String, tls: Option<&Path>) -> Result<Located, Failure> {
    let usual = if tls.is_some() { 2376 } else { 2375 };
    let url: url::Url =
        format!("tcp://{}", rest.trim_end_matches('/')).parse().map_err(|_| nonsense(&because))?;
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let (true, "" | "/", Some(host)) = (bare, url.path(), url.host_str()) else {
        return Err(nonsense(&because));
    };
    // An IPv6 address is dialled without its brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port().unwrap_or(usual);
    let shown = match host.contains(':') {
        true => format!("tcp://[{host}]:{port}"),
        false => format!("tcp://{host}:{port}"),
    };
    if tls.is_none() && !is_loopback(&host) {
        let what = format!("the engine at `{shown}` would be reached in plaintext");
        return Err(Failure::new(Code::InputEndpoint, what)
            .why(because)
            .why("who reads or changes what is said to an engine is root where it runs")
            .next("set `DOCKER_TLS_VERIFY=1` and `DOCKER_CERT_PATH`, and the port of its TLS"));
    }
    let tls = tls.map(|folder| trusted(folder, &shown)).transpose()?;
    Ok(Located { place: Place::Tcp { host, port, tls }, shown, because })
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// TLS as Docker's client does it: the engine's CA, and a certificate of our own where there is one.
fn trusted(folder: &Path, shown: &str) -> Result<Arc<rustls::ClientConfig>, Failure> {
    let refused = |file: &str, said: String| {
        Failure::new(Code::BuildEngine, format!("no TLS to the engine at `{shown}`"))
            .why(format!("`{}`: {said}", folder.join(file).display()))
            .next("let `DOCKER_CERT_PATH` name a folder with `ca.pem`, `cert.pem` and `key.pem`")
    };
    let certificates = |file: &str| -> Result<Vec<CertificateDer<'static>>, Failure> {
        let read = CertificateDer::pem_file_iter(folder.join(file))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match read {
            Ok(found) if found.is_empty() => Err(refused(file, "no certificate in it".into())),
            Ok(found) => Ok(found),
            Err(error) => Err(refused(file, error.to_string())),
        }
    };
    let mut roots = rustls::RootCertStore::empty();
    for root in certificates("ca.pem")? {
        roots.add(root).map_err(|error| refused("ca.pem", error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused("ca.pem", error.to_string()))?
        .with_root_certificates(roots);
    let own = ["cert.pem", "key.pem"].iter().any(|file| folder.join(file).exists());
    let config = if own {
        // What is wrong with a key is said without a byte of it.
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))
            .map_err(|_| refused("key.pem", "no private key in it".into()))?;
        builder
            .with_client_auth_cert(certificates("cert.pem")?, key)
            .map_err(|error| refused("cert.pem", error.to_string()))?
    } else {
        builder.with_no_client_auth()
    };
    Ok(Arc::new(config))
}

fn said(value: Option<&str>) -> Option<&str> {
    value.map(str::trim).filter(|value| !value.is_empty())
}

/// Not quoted: an address may carry a password.
fn nonsense(because: &str) -> Failure {
    Failure::new(Code::InputInvalid, "the engine's address is none that slipway knows")
        .why(because)
        .next("write it as `unix:///PATH` or `tcp://HOST:PORT`")
}

pub(super) fn none(what: impl Into<String>) -> Failure {
    Failure::new(Code::BuildEngine, what)
}

/// What can be done where no engine can be used.
pub(super) fn ways_on(failure: Failure) -> Failure {
    failure
        .next("build in a step before and give `image`: an OCI layout, or a file of `docker save`;")
        .next("or name a remote engine: DOCKER_HOST=tcp://HOST:2376 with DOCKER_TLS_VERIFY=1;")
        .next("or run it where a Docker Engine is, such as the runner `ubuntu-24.04`")
}
