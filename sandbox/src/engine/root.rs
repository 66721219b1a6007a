//! What a stage has come to: its files, layers, configuration and history.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::image::digest;

use super::Version;
use super::stages::{Command, Does, Variables, expanded};
use super::tree::{Files, absolute, packed, unpacked};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A layer.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) tar: Bytes,
    pub(crate) diff_id: String,
}

/// A layer that was made once, and when.
pub(crate) type Kept = BTreeMap<String, (Files, Layer, String)>;

/// What a stage has come to.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub(crate) files: Files,
    pub(crate) layers: Vec<Layer>,
    config: BTreeMap<&'static str, Value>,
    env: Vec<(String, String)>,
    history: Vec<Value>,
    shell: Vec<String>,
    args: Variables,
    /// Which builder notes its history.
    pub(crate) comment: &'static str,
    /// When its last layer was made.
    pub(crate) created: String,
    /// What the builder's cache knows it by.
    pub(crate) key: String,
}

impl Root {
    /// Nothing, for a platform.
    pub(crate) fn scratch(platform: &str) -> Self {
        Self {
            files: Files::new(),
            layers: Vec::new(),
            config: BTreeMap::from([("WorkingDir", json!("/"))]),
            env: PATH.split_once('=').map(|(n, v)| (n.into(), v.into())).into_iter().collect(),
            history: Vec::new(),
            shell: vec!["/bin/sh".into(), "-c".into()],
            args: Variables::new(),
            comment: "buildkit.dockerfile.v0",
            created: String::new(),
            key: platform.to_owned(),
        }
    }

    /// An image as it is.
    pub(crate) fn image(config: &Value, layers: &[Layer], platform: &str) -> Self {
        let mut root = Self::scratch(platform);
        for layer in layers {
            root.files.extend(unpacked(&layer.tar).unwrap_or_default());
        }
        root.layers = layers.to_vec();
        root.history = config["history"].as_array().cloned().unwrap_or_default();
        root.created = config["created"].as_str().unwrap_or_default().to_owned();
        root.key = digest(config.to_string().as_bytes());
        for name in ["User", "ExposedPorts", "Entrypoint", "Cmd", "WorkingDir", "Labels"] {
            if !config["config"][name].is_null() {
                root.config.insert(name, config["config"][name].clone());
            }
        }
        let env =
            config["config"]["Env"].as_array().into_iter().flatten().filter_map(Value::as_str);
        root.env =
            env.filter_map(|e| e.split_once('=')).map(|(n, v)| (n.into(), v.into())).collect();
        root
    }

    /// Arguments that another stage declared are not this one's.
    pub(crate) fn begun(mut self, platform: Variables) -> Self {
        self.args = platform;
        self
    }

    /// The text with this stage's variables.
    pub(crate) fn expanded(&self, text: &str) -> String {
        let mut all = self.args.clone();
        all.extend(self.env.iter().cloned());
        expanded(text, &all)
    }

    pub(crate) fn workdir(&self) -> String {
        self.config["WorkingDir"].as_str().unwrap_or_default().trim_matches('/').to_owned()
    }

    /// The words that are run.
    pub(crate) fn words(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Words(words) => words.clone(),
            Command::Shell(line) => [self.shell.as_slice(), std::slice::from_ref(line)].concat(),
        }
    }

    /// What the cache knows of a step besides its text: what it is run with.
    pub(crate) fn surroundings(&self) -> String {
        format!("{:?}{:?}{:?}", self.env, self.args, self.config["WorkingDir"])
    }

    /// Takes a layer.
    pub(crate) fn take(&mut self, changes: &Files, layer: Layer, created: &str, key: String) {
        self.files.extend(changes.clone());
        self.layers.push(layer);
        created.clone_into(&mut self.created);
        self.key = key;
    }

    /// A layer of these changes.
    pub(crate) fn layer(changes: &Files) -> Layer {
        let tar = packed(changes);
        Layer { diff_id: digest(&tar), tar }
    }

    /// What an instruction changes beside files; `args` are the caller's.
    pub(crate) fn set(&mut self, does: &Does, args: &Variables, version: Version) {
        match does {
            Does::Workdir(path) => {
                let path = absolute(&self.workdir(), &self.expanded(path));
                self.config.insert("WorkingDir", json!(format!("/{path}")));
                self.note(format!("WORKDIR /{path}"), false);
            }
            Does::Env(pairs) => {
                for (name, value) in pairs {
                    let value = self.expanded(value);
                    self.note(format!("ENV {name}={value}"), true);
                    self.env.retain(|(known, _)| known != name);
                    self.env.push((name.clone(), value));
                }
            }
            Does::Label(pairs) => {
                for (name, value) in pairs {
                    self.note(format!("LABEL {name}={value}"), true);
                    let value = self.expanded(value);
                    self.label(name, &value);
                }
            }
            Does::Arg(name, default) => {
                let given = args.get(name).cloned();
                let default = default.as_ref().map(|value| self.expanded(value));
                let value = given.or(default);
                let told = value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
                self.note(format!("ARG {name}{told}"), true);
                self.args.extend(value.map(|value| (name.clone(), value)));
            }
            Does::Entrypoint(command) | Does::Cmd(command) => {
                let name = if matches!(does, Does::Cmd(_)) { "Cmd" } else { "Entrypoint" };
                let words = self.words(command);
                let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
                self.note(format!("{} [{}]", name.to_uppercase(), quoted.join(" ")), true);
                self.config.insert(name, json!(words));
            }
            Does::Expose(ports) => self.expose(ports, version),
            Does::User(user) => {
                let user = self.expanded(user);
                self.note(format!("USER {user}"), true);
                self.config.insert("User", json!(user));
            }
            Does::Shell(words) => {
                self.note(format!("SHELL [{}]", words.join(" ")), true);
                self.shell.clone_from(words);
            }
            Does::Copy { .. } | Does::Run { .. } => {}
        }
    }

    fn expose(&mut self, ports: &[String], version: Version) {
        let whole = |port: &String| {
            if port.contains('/') { port.clone() } else { format!("{port}/tcp") }
        };
        let ports: Vec<_> = ports.iter().map(whole).collect();
        let told: Vec<_> = ports.iter().map(|port| format!("{port}:{{}}")).collect();
        self.note(
            match version {
                Version::V20 => format!("EXPOSE map[{}]", told.join(" ")),
                Version::V28 => format!("EXPOSE [{}]", ports.join(" ")),
            },
            true,
        );
        let ports: Map<_, _> = ports.into_iter().map(|port| (port, json!({}))).collect();
        self.config.insert("ExposedPorts", Value::Object(ports));
    }

    /// Sets a label.
    pub(crate) fn label(&mut self, name: &str, value: &str) {
        let labels = self.config.entry("Labels").or_insert_with(|| json!({}));
        labels[name] = json!(value);
    }

    /// A line of the history.
    pub(crate) fn note(&mut self, by: String, is_empty: bool) {
        let mut line = json!({ "created": self.created, "created_by": by });
        if !self.comment.is_empty() {
            line["comment"] = json!(self.comment);
        }
        if is_empty {
            line["empty_layer"] = json!(true);
        }
        self.history.push(line);
    }

    /// The image's configuration.
    pub(crate) fn configuration(&self, platform: &str) -> Value {
        let mut parts = platform.split('/');
        let (os, architecture) = (parts.next(), parts.next());
        let mut config = Map::new();
        let env: Vec<_> = self.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        for name in ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "WorkingDir", "Labels"] {
            let value =
                if name == "Env" { Some(json!(env)) } else { self.config.get(name).cloned() };
            config.extend(value.map(|value| (name.to_owned(), value)));
        }
        let diff_ids: Vec<_> = self.layers.iter().map(|layer| &layer.diff_id).collect();
        let mut whole = json!({ "architecture": architecture, "config": config });
        if let Some(variant) = parts.next() {
            whole["variant"] = json!(variant);
        }
        if !self.created.is_empty() {
            whole["created"] = json!(self.created);
        }
        whole["history"] = json!(self.history);
        whole["os"] = json!(os);
        whole["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
        whole
    }
}
