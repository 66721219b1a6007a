//! The tars that engines write, each in its own way, and such as none should.

use serde_json::json;

use crate::names::Digest;

pub(super) enum Entry<'a> {
    File(String, &'a [u8]),
    Link(String, &'a str),
    /// It says that it is longer than it is.
    Claim(String, &'a [u8], u64),
}

pub(super) fn tar_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        match entry {
            Entry::File(path, bytes) => {
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, path, *bytes).unwrap();
            }
            Entry::Link(path, to) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, path, to).unwrap();
            }
            Entry::Claim(path, bytes, size) => {
                header.set_size(*size);
                tar.append_data(&mut header, path, *bytes).unwrap();
            }
        }
    }
    tar.into_inner().unwrap()
}

pub(super) fn blob(bytes: &[u8]) -> Entry<'_> {
    Entry::File(format!("blobs/sha256/{}", Digest::of(bytes).hex()), bytes)
}

/// As Docker writes it since 25.
pub(super) fn new_form(config: &[u8], layers: &[Vec<u8>]) -> Vec<u8> {
    let mut entries: Vec<_> = layers.iter().map(|layer| blob(layer)).collect();
    entries.push(blob(config));
    entries.push(Entry::File("manifest.json".into(), b"[]"));
    tar_of(&entries)
}

/// As Docker wrote it before: a link where a layer comes again, the config and `manifest.json` at the end.
pub(super) fn old_form(config: &[u8], layers: &[Vec<u8>]) -> Vec<u8> {
    let name = format!("{}.json", Digest::of(config).hex());
    let paths: Vec<_> = (0..layers.len()).map(|at| format!("{at:064}/layer.tar")).collect();
    let manifest = json!([{ "Config": name, "RepoTags": ["web:v1"], "Layers": paths }]).to_string();
    let links: Vec<_> = (0..layers.len())
        .map(|at| {
            let first = layers.iter().position(|layer| *layer == layers[at]).unwrap();
            (first != at).then(|| format!("../{}", paths[first]))
        })
        .collect();
    let mut entries = Vec::new();
    for (at, bytes) in layers.iter().enumerate() {
        entries.push(Entry::File(format!("{at:064}/VERSION"), b"1.0"));
        entries.push(match &links[at] {
            Some(to) => Entry::Link(paths[at].clone(), to),
            None => Entry::File(paths[at].clone(), bytes),
        });
    }
    entries.push(Entry::File(name, config));
    entries.push(Entry::File("manifest.json".into(), manifest.as_bytes()));
    tar_of(&entries)
}

/// As Podman writes it.
pub(super) fn podman_form(config: &[u8], layers: &[Vec<u8>]) -> Vec<u8> {
    let mut entries: Vec<_> = layers
        .iter()
        .map(|layer| Entry::File(format!("{}.tar", Digest::of(layer).hex()), layer.as_slice()))
        .collect();
    entries.push(Entry::File(format!("{}.json", Digest::of(config).hex()), config));
    tar_of(&entries)
}
