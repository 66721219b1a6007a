//! `slipway.yml`: the same names as everywhere, each fault with its file, line and column.
//!
//! Leans on serde_yaml for the language. It gives no position for a key of a mapping, so a key's
//! position is read from the text: keys of the top level stand at the beginning of a line.

use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::raw::{Fault, Place, takes_lines};
use super::table::{INPUTS, Ways, find};
use crate::error::one_line;
use crate::names::nearest;

/// What the file is called where nothing else is said.
pub const DEFAULT: &str = "slipway.yml";

/// An input's name, its value and its place.
pub type Entry = (&'static str, String, Place);

/// What a file gives.
#[derive(Default)]
pub struct Read {
    /// The file, from where slipway was started; none where there is none.
    pub file: Option<String>,
    /// What can be used.
    pub entries: Vec<Entry>,
    /// What cannot.
    pub faults: Vec<Fault>,
    /// Nothing of it could be taken: what it would have given is not known to be missing.
    pub is_lost: bool,
}

/// Reads the file, if there is one. One that is named must exist; any other is looked for upward.
pub fn read(folder: &Path, named: Option<&str>) -> Read {
    let Some(file) = named.map(str::to_owned).or_else(|| above(folder)) else {
        return Read::default();
    };
    let (entries, faults, is_lost) = match std::fs::read_to_string(folder.join(&file)) {
        Ok(text) => match parse(&file, &text) {
            Ok((entries, faults)) => (entries, faults, false),
            Err(fault) => (Vec::new(), vec![fault], true),
        },
        Err(error) => {
            let said = format!("`config` is \"{file}\", which cannot be read: {}", reason(&error));
            (Vec::new(), vec![Fault::new(said)], true)
        }
    };
    Read { file: Some(file), entries, faults, is_lost }
}

/// The nearest file from here up to the root of the repository. Outside of a repository only the
/// file that is here counts: what lies above it may be anybody's.
fn above(folder: &Path) -> Option<String> {
    let here = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let depth = here.ancestors().position(|folder| folder.join(".git").exists()).unwrap_or(0);
    let up = here.ancestors().take(depth + 1).position(|folder| folder.join(DEFAULT).exists())?;
    let way: PathBuf = std::iter::repeat_n("..", up).chain([DEFAULT]).collect();
    Some(way.display().to_string())
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8 text".into(),
        _ => one_line(&error.to_string().to_lowercase(), 120),
    }
}

/// Takes the text apart: every entry that can be used, and every fault.
///
/// # Errors
/// The one fault of a text that is no mapping, so that nothing can be taken from it.
pub fn parse(file: &str, text: &str) -> Result<(Vec<Entry>, Vec<Fault>), Fault> {
    let at = |line, column| Place { file: file.into(), line, column };
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok((Vec::new(), Vec::new()));
    }
    let root: Value = match serde_yaml::from_str(text) {
        Ok(root) => root,
        Err(error) => {
            let place = error.location().map_or_else(|| at(1, 1), |l| at(l.line(), l.column()));
            let said = without_position(&error.to_string());
            return Err(placed(place, &format!("this is not YAML: {said}")));
        }
    };
    let Value::Mapping(root) = root else {
        let said = "the file has to be a mapping of inputs, such as `cluster: prod`";
        return Err(placed(at(1, 1), said));
    };
    let mut entries = Vec::new();
    let mut faults = Vec::new();
    for (key, value) in &root {
        let key = scalar(key).unwrap_or_default();
        let (line, column) = position(text, &key);
        match entry(&key, value) {
            Ok((name, value)) => entries.push((name, value, at(line, column))),
            Err(said) => faults.push(placed(at(line, column), &said)),
        }
    }
    Ok((entries, faults))
}

fn placed(place: Place, said: &str) -> Fault {
    Fault { said: format!("{place}: {said}"), place: Some(place) }
}

fn entry(key: &str, value: &Value) -> Result<(&'static str, String), String> {
    let Some(input) = find(key) else {
        let allowed = INPUTS.iter().filter(|i| i.ways == Ways::All).map(|i| i.name);
        let meant = match nearest(key, allowed.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("allowed are {}", allowed.collect::<Vec<_>>().join(", ")),
        };
        return Err(format!("`{}` is no input: {meant}", one_line(key, 60)));
    };
    match input.ways {
        Ways::All | Ways::Switch => {}
        Ways::Secret => {
            return Err(format!(
                "`{key}` is a secret, which no file may hold: set {}",
                match input.environment {
                    [] => input.own_variable(),
                    known => known.join(" or "),
                }
            ));
        }
        Ways::NotFile | Ways::Action => {
            return Err(format!(
                "`{key}` belongs to one run, not into a file: use a flag or the step's `with:`"
            ));
        }
    }
    let lines = match takes_lines(input.name) {
        true => lines(key, value)?,
        false => None,
    };
    let value = lines
        .or_else(|| scalar(value))
        .ok_or_else(|| format!("`{key}` has to be one value, not a list or mapping"))?;
    Ok((input.name, value.trim().to_owned()))
}

/// A list, or a mapping of names to values, as the lines that it would be typed as. YAML reads `1.10` as 1.1, so
/// that nothing but text is taken.
fn lines(key: &str, value: &Value) -> Result<Option<String>, String> {
    let text = |name: &str, value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        _ => Err(format!("`{key}`: write the value of `{}` in quotes", one_line(name, 40))),
    };
    let lines: Result<Vec<_>, _> = match value {
        Value::Sequence(all) => all.iter().map(|one| text("a line", one)).collect(),
        Value::Mapping(all) => all
            .iter()
            .map(|(name, value)| {
                let name = scalar(name).unwrap_or_default();
                Ok(format!("{name}={}", text(&name, value)?))
            })
            .collect(),
        _ => return Ok(None),
    };
    Ok(Some(lines?.join("\n")))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => None,
    }
}

/// Where a key of the top level stands: line and column, from 1.
fn position(text: &str, key: &str) -> (usize, usize) {
    let starts = |line: &str| {
        let bare = line.trim_start_matches(['"', '\'', '{', ' ']);
        bare.strip_prefix(key)
            .is_some_and(|rest| rest.trim_start_matches(['"', '\'', ' ']).starts_with(':'))
    };
    let line = text.lines().position(starts).unwrap_or(0);
    let column = text.lines().nth(line).and_then(|l| l.find(key)).unwrap_or(0);
    (line + 1, column + 1)
}

/// serde_yaml ends its sentences with the position, which is told in front.
fn without_position(said: &str) -> String {
    one_line(said.split(" at line ").next().unwrap_or(said), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let faults = parse("slipway.yml", text).map_or_else(|fault| vec![fault], |(_, all)| all);
        faults.into_iter().map(|fault| fault.said).collect()
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let text = "cluster: prod\nclustr: prod\nnamespace: [a, b]\naws-secret-access-key: x\nto: 3f2a91c\nkubeconfig: x\n";
        let told = faults(text).join("\n");
        insta::assert_snapshot!(told, @"
        slipway.yml:2:1: `clustr` is no input: did you mean `cluster`?
        slipway.yml:3:1: `namespace` has to be one value, not a list or mapping
        slipway.yml:4:1: `aws-secret-access-key` is a secret, which no file may hold: set AWS_SECRET_ACCESS_KEY
        slipway.yml:5:1: `to` belongs to one run, not into a file: use a flag or the step's `with:`
        slipway.yml:6:1: `kubeconfig` is no input: allowed are role-to-assume, aws-region, expect-account, repository, context, platform, file, target, build-args, build-secrets, labels, cache-from, cache-to, cluster, namespace, workload, container, reference, timeout, bake, on-cancel
        ");
    }

    #[test]
    fn broken_yaml_names_line_and_column() {
        insta::assert_snapshot!(faults("cluster: prod\nnamespace: \"shop\n").join("\n"), @"slipway.yml:3:1: this is not YAML: found unexpected end of stream");
        insta::assert_snapshot!(faults("cluster: prod\ncluster: dev\n").join("\n"), @r#"slipway.yml:1:1: this is not YAML: duplicate entry with key "cluster""#);
        insta::assert_snapshot!(faults("- cluster\n").join("\n"), @"slipway.yml:1:1: the file has to be a mapping of inputs, such as `cluster: prod`");
    }

    #[test]
    fn values_of_a_mapping_are_taken_as_they_are_written_or_not_at_all() {
        let (entries, faults) =
            parse("slipway.yml", "build-args:\n  VERSION: \"1.10\"\n  NAME: web\n").unwrap();
        assert_eq!((entries[0].1.as_str(), faults.len()), ("VERSION=1.10\nNAME=web", 0));
        insta::assert_snapshot!(super::tests::faults("build-args: { VERSION: 1.10 }\n").join("\n"), @"slipway.yml:1:1: `build-args`: write the value of `VERSION` in quotes");
        insta::assert_snapshot!(super::tests::faults("labels: [1]\n").join("\n"), @"slipway.yml:1:1: `labels`: write the value of `a line` in quotes");
        insta::assert_snapshot!(super::tests::faults("base-logins: x\n").join("\n"), @"slipway.yml:1:1: `base-logins` is a secret, which no file may hold: set SLIPWAY_BASE_LOGINS");
    }

    #[test]
    fn scalars_of_any_kind_and_comments_are_taken() {
        let (entries, faults) = parse(
            "slipway.yml",
            "# where\ncluster: prod\nexpect-account: 123456789012\ncreate-repository: true\nbake: \n",
        )
        .unwrap();
        let values: Vec<_> = entries
            .iter()
            .map(|(name, value, place)| (*name, value.as_str(), place.line))
            .collect();
        assert_eq!(
            values,
            [
                ("cluster", "prod", 2),
                ("expect-account", "123456789012", 3),
                ("create-repository", "true", 4),
                ("bake", "", 5)
            ]
        );
        assert!(faults.is_empty());
        assert_eq!(parse("slipway.yml", "# nothing\n\n").unwrap().0.len(), 0);
    }

    #[test]
    fn the_file_is_looked_for_up_to_the_root_of_the_repository_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let (root, deep) = (dir.path().join("repository"), dir.path().join("repository/a/b"));
        std::fs::create_dir_all(&deep).unwrap();
        let holds =
            |folder: &Path| std::fs::write(folder.join(DEFAULT), "cluster: prod\n").unwrap();
        holds(dir.path());
        assert_eq!(above(&deep), None, "no repository");
        std::fs::write(root.join(".git"), "gitdir: elsewhere\n").unwrap();
        assert_eq!(above(&deep), None, "above the repository");
        holds(&root);
        assert_eq!(above(&deep).as_deref(), Some("../../slipway.yml"));
        assert_eq!(above(&root).as_deref(), Some("slipway.yml"));
        holds(&root.join("a"));
        assert_eq!(above(&deep).as_deref(), Some("../slipway.yml"), "the nearest");
    }
}
