//! Files that a name gives away, with what has to be in them so that it counts.

use super::named::{is_real, is_secret_name};

/// What a file's name makes of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named {
    /// It is one whatever is in it.
    Whole(&'static str),
    /// It is one if this finds a line in it.
    Holding(fn(&str) -> bool, &'static str),
    /// Nothing special.
    Not,
}

/// Judges a path by its last parts.
pub(super) fn named(path: &str) -> Named {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let lower = name.to_ascii_lowercase();
    let inside = |wanted: &str| folder == wanted || folder.ends_with(&format!("/{wanted}"));
    if lower.ends_with(".p12") || lower.ends_with(".pfx") {
        return Named::Whole("a key store");
    }
    if lower.ends_with(".tfstate") || lower.ends_with(".tfstate.backup") {
        return Named::Holding(
            |line| line.contains("\"terraform_version\""),
            "the state of Terraform, with every secret that it manages",
        );
    }
    match lower.as_str() {
        ".env" => Named::Holding(is_set, "values of an environment"),
        ".npmrc" => Named::Holding(is_npm, "a login of npm"),
        ".pypirc" => Named::Holding(|line| is_assigned(line, "password"), "a login of PyPI"),
        ".netrc" | "_netrc" => Named::Holding(is_netrc, "a login"),
        ".git-credentials" => Named::Holding(|line| line.contains("://"), "a login of Git"),
        "config.json" if inside(".docker") => Named::Holding(is_docker, "a login of a registry"),
        ".dockercfg" => Named::Holding(is_docker, "a login of a registry"),
        "kubeconfig" => Named::Holding(is_cluster, "a login of a cluster"),
        "config" if inside(".kube") => Named::Holding(is_cluster, "a login of a cluster"),
        lower if lower.ends_with(".kubeconfig") => {
            Named::Holding(is_cluster, "a login of a cluster")
        }
        lower if is_env(lower) => Named::Holding(is_secret_set, "secrets of an environment"),
        _ => Named::Not,
    }
}

/// `.env.production`, `prod.env`, but none that shows what to write.
fn is_env(name: &str) -> bool {
    const SHOWS: &[&str] = &["example", "sample", "template", "dist", "defaults", "schema", "tpl"];
    let env = name.starts_with(".env.") || name.ends_with(".env");
    env && !name.split('.').any(|part| SHOWS.contains(&part))
}

/// `NAME=value`.
fn assigned(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
    let (name, value) = (name.trim(), value.trim().trim_matches(['"', '\'']));
    let word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (word && !value.is_empty()).then_some((name, value))
}

fn is_set(line: &str) -> bool {
    assigned(line).is_some()
}

fn is_secret_set(line: &str) -> bool {
    assigned(line).is_some_and(|(name, value)| is_secret_name(name) && is_real(value))
}

fn is_assigned(line: &str, name: &str) -> bool {
    let Some((found, value)) = line.split_once(['=', ':']) else { return false };
    found.trim().eq_ignore_ascii_case(name) && is_literal(value)
}

/// A value that is not taken from the environment.
fn is_literal(value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'', ',']);
    !value.is_empty() && !value.contains(['$', '<', '{'])
}

fn is_npm(line: &str) -> bool {
    let Some((name, value)) = line.split_once('=') else { return false };
    let name = name.trim().rsplit(':').next().unwrap_or_default();
    matches!(name, "_authToken" | "_auth" | "_password") && is_literal(value)
}

fn is_netrc(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.any(|word| word == "password") && words.next().is_some_and(is_literal)
}

fn is_docker(line: &str) -> bool {
    // Several may be on one line, as a program writes them.
    let mut parts = line.split('"');
    while let Some(part) = parts.next() {
        if matches!(part, "auth" | "identitytoken" | "registrytoken" | "password")
            && parts.next().is_some_and(|colon| colon.trim() == ":")
            && parts.next().is_some_and(is_literal)
        {
            return true;
        }
    }
    false
}

fn is_cluster(line: &str) -> bool {
    let line = line.trim().trim_start_matches("- ");
    let Some((name, value)) = line.split_once(':') else { return false };
    let name = name.trim().trim_matches('"');
    matches!(name, "client-key-data" | "token" | "password") && is_literal(value)
}

/// A path in a repository's own folder, and the folder; only what makes it whole or gives a login.
pub(super) fn repository(path: &str) -> Option<&str> {
    let at = if path.starts_with(".git/") { 0 } else { path.find("/.git/")? + 1 };
    let (folder, inside) = path.split_at(at + 4);
    (inside == "/config" || inside.starts_with("/objects/")).then_some(folder)
}

/// Packages of others, whose published tests are full of keys that are no secrets.
pub(super) fn is_of_others(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "node_modules" | "site-packages"))
}

/// Files that hold no text, by the end of their name.
pub(super) fn is_no_text(path: &str) -> bool {
    const ENDS: &[&str] = &[
        "png", "jpg", "jpeg", "gif", "webp", "ico", "bmp", "pdf", "zip", "gz", "tgz", "bz2", "xz",
        "zst", "7z", "jar", "war", "class", "so", "o", "a", "dylib", "dll", "exe", "wasm", "pyc",
        "woff", "woff2", "ttf", "otf", "eot", "mp3", "mp4", "mov", "webm", "ogg", "wav", "avif",
        "rlib", "rmeta", "node", "parquet", "sqlite",
    ];
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some((_, end)) = name.rsplit_once('.') else { return false };
    ENDS.iter().any(|known| known.eq_ignore_ascii_case(end))
}
