//! `slipway.yml`: the same names as everywhere, each fault with its file, line and column.
//!
//! Leans on serde_yaml for the language; `places` finds where an entry stands, `lines` takes lists and mappings.

mod lines;
mod places;

use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::raw::{Fault, Place, takes_lines};
use super::table::{INPUTS, Input, Ways, find, meant};
use crate::error::one_line;

/// What the file is called where nothing else is said.
pub const DEFAULT: &str = "slipway.yml";

/// An input that the file gives.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Its value, as it would be typed.
    pub value: String,
    /// Where it stands.
    pub place: Place,
    /// Where each line of the value stands, if it is a list or a mapping.
    pub lines: Vec<Place>,
}

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
            let told = error.location().map(|place| (place.line(), place.column()));
            // Of a key that is there twice, it tells where the mapping begins.
            let (line, column) = places::again(text).or(told).unwrap_or((1, 1));
            let place = at(line, column);
            let said = without_position(&error.to_string());
            return Err(Fault::at(place, &format!("this is not YAML: {said}")));
        }
    };
    let Value::Mapping(root) = root else {
        let said = "the file has to be a mapping of inputs, such as `cluster: prod`";
        return Err(Fault::at(at(1, 1), said));
    };
    let mut entries = Vec::new();
    let mut faults = Vec::new();
    for (nth, (key, value)) in root.iter().enumerate() {
        let place = |inner: Option<usize>| {
            let steps: Vec<_> = [nth].into_iter().chain(inner).collect();
            let (line, column) = places::of(text, &steps).unwrap_or((1, 1));
            at(line, column)
        };
        match known(&scalar(key).unwrap_or_default()) {
            Ok(input) => entries.extend(entry(input, value, &place, &mut faults)),
            Err(said) => faults.push(Fault::at(place(None), &said)),
        }
    }
    Ok((entries, faults))
}

/// The value of an input, with the place of each of its entries if it has some.
fn entry(
    input: &Input,
    value: &Value,
    place: &impl Fn(Option<usize>) -> Place,
    faults: &mut Vec<Fault>,
) -> Option<Entry> {
    let name = input.name;
    let entry = |value, lines| Entry { name, value, place: place(None), lines };
    let Some(all) = takes_lines(name).then(|| lines::of(name, value)).flatten() else {
        let Some(value) = scalar(value) else {
            let said = format!("`{name}` has to be one value, not a list or mapping");
            faults.push(Fault::at(place(None), &said));
            return None;
        };
        return Some(entry(value.trim().to_owned(), Vec::new()));
    };
    let (mut taken, mut places) = (Vec::new(), Vec::new());
    for (nth, line) in all.into_iter().enumerate() {
        match line {
            Ok(line) => {
                taken.push(line.trim().to_owned());
                places.push(place(Some(nth)));
            }
            Err(said) => faults.push(Fault::at(place(Some(nth)), &said)),
        }
    }
    Some(entry(taken.join("\n"), places))
}

/// The input of this name, if a file may give it.
fn known(key: &str) -> Result<&'static Input, String> {
    let Some(input) = find(key) else {
        let allowed = INPUTS.iter().filter(|i| i.ways == Ways::All).map(|i| i.name);
        let all = || format!("allowed are {}", allowed.clone().collect::<Vec<_>>().join(", "));
        let meant = meant(key, allowed.clone()).unwrap_or_else(all);
        return Err(format!("`{}` is no input: {meant}", one_line(key, 60)));
    };
    match input.ways {
        Ways::All | Ways::Switch => Ok(input),
        Ways::Secret => Err(format!(
            "`{key}` is a secret, which no file may hold: set {}",
            match input.environment {
                [] => input.own_variable(),
                known => known.join(" or "),
            }
        )),
        Ways::NotFile | Ways::Action => Err(format!(
            "`{key}` belongs to one run, not into a file: use a flag or the step's `with:`"
        )),
    }
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
        insta::assert_snapshot!(faults("cluster: prod\ncluster: dev\n").join("\n"), @r#"slipway.yml:2:1: this is not YAML: duplicate entry with key "cluster""#);
        insta::assert_snapshot!(faults("- cluster\n").join("\n"), @"slipway.yml:1:1: the file has to be a mapping of inputs, such as `cluster: prod`");
    }

    #[test]
    fn values_of_a_mapping_are_taken_as_they_are_written_or_not_at_all() {
        let (entries, faults) =
            parse("slipway.yml", "build-args:\n  VERSION: \"1.10\"\n  NAME: web\n").unwrap();
        assert_eq!((entries[0].value.as_str(), faults.len()), ("VERSION=1.10\nNAME=web", 0));
        insta::assert_snapshot!(super::tests::faults("build-args: { VERSION: 1.10 }\n").join("\n"), @"slipway.yml:1:15: `build-args`: write the value of `VERSION` in quotes");
        insta::assert_snapshot!(super::tests::faults("labels: [1]\n").join("\n"), @"slipway.yml:1:10: `labels`: write entry 1 in quotes");
        insta::assert_snapshot!(super::tests::faults("base-logins: x\n").join("\n"), @"slipway.yml:1:1: `base-logins` is a secret, which no file may hold: set SLIPWAY_BASE_LOGINS");
    }

    #[test]
    fn what_is_no_value_is_told_where_it_stands() {
        let told = faults(
            "cluster: prod\nbuild-args:\n  VERSION: 1.10\n  B:\n  C: ~\n  D: [a]\n  E: { f: g }\n  F: true\nlabels:\n  team:\nbuild-secrets:\n- npm: NPM\n-\n- 1\ncache-from: [[a]]\ncache-to: { a: null }\n",
        );
        insta::assert_snapshot!(told.join("\n"), @r#"
        slipway.yml:3:3: `build-args`: write the value of `VERSION` in quotes
        slipway.yml:4:3: `build-args`: `B` has no value: write `""` for an empty one, or a list that names it alone, `- B`, for the environment's
        slipway.yml:5:3: `build-args`: `C` has no value: write `""` for an empty one, or a list that names it alone, `- C`, for the environment's
        slipway.yml:6:3: `build-args`: the value of `D` is a list, which is no value: write one text
        slipway.yml:7:3: `build-args`: the value of `E` is a mapping, which is no value: write one text
        slipway.yml:8:3: `build-args`: write the value of `F` in quotes
        slipway.yml:10:3: `labels`: `team` has no value: write `""` for an empty one
        slipway.yml:12:3: `build-secrets`: entry 1 is a mapping, which is no value: write one text, `- ID=VARIABLE`
        slipway.yml:13:2: `build-secrets`: entry 2 has no value: write one, or leave it out
        slipway.yml:14:3: `build-secrets`: write entry 3 in quotes
        slipway.yml:15:14: `cache-from`: entry 1 is a list, which is no value: write one text, `- REFERENCE`
        slipway.yml:16:13: `cache-to`: `a` has no value: write one, or leave it out
        "#);
    }

    #[test]
    fn a_value_of_several_lines_is_no_second_argument() {
        let told = faults(
            "build-args:\n  # c\n  A: |\n    one\n    B=evil\n  D: |\n    one line\n  \"E=F\": x\nlabels: { team: \"a\\nb\" }\nbuild-secrets:\n  npm: |\n    s3cret\n    s3cret\ncache-from:\n- a\n- |\n  b\n  c\n",
        );
        insta::assert_snapshot!(told.join("\n"), @"
        slipway.yml:3:3: `build-args`: the value of `A` has a line break, where one line is one entry: write a list that names it alone, `- A`, and set A in the environment
        slipway.yml:8:3: `build-args`: a name has no `=` and no line break
        slipway.yml:9:11: `labels`: the value of `team` has a line break, where one line is one entry: write it in one line
        slipway.yml:11:3: `build-secrets`: the value of `npm` has a line break, where one line is one entry: write the name of the variable that holds it
        slipway.yml:16:3: `cache-from`: entry 2 has a line break, where one line is one entry: write each as an entry of its own
        ");
        let told = faults("build-args:\n- |\n  A=1\n  B=2\n- C=1\n");
        insta::assert_snapshot!(told.join("\n"), @"slipway.yml:2:3: `build-args`: entry 1 has a line break, where one line is one entry: write each as an entry of its own; the value of a name alone, `- NAME`, is that of the environment, whole");
        let letters = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5";
        let told =
            faults(&format!("build-args:\n  A: 'x '\n  ghp_{letters}:\nlabels: {{ a: \" b\" }}\n"));
        insta::assert_snapshot!(told.join("\n"), @"
        slipway.yml:2:3: `build-args`: the value of `A` begins or ends with a space, which no line keeps: write a list, `- A`, and set it in the environment
        slipway.yml:3:3: `build-args`: what stands before the `:` is no name: write `NAME: VALUE`
        slipway.yml:4:11: `labels`: the value of `a` begins or ends with a space, which no line keeps: leave it out
        ");
        let (entries, _) = parse("slipway.yml", "build-args:\n  D: |\n    one line\n").unwrap();
        assert_eq!(entries[0].value, "D=one line");
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
            .map(|entry| (entry.name, entry.value.as_str(), entry.place.line))
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
