//! What the inputs say about a build: arguments, secrets by the variable that holds them, caches,
//! logins for base images. Each line that cannot be used is told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use super::raw::{Environment, Fault};
use super::typed::Reader;
use crate::docker::{Cache, Login, Whereabouts};
use crate::recipe::OURS;

/// How an image is built, if one is.
#[derive(Debug, Default)]
pub struct Build {
    /// The Dockerfile where it is not the one in the context.
    pub file: Option<PathBuf>,
    /// Where that would be if it began in the context, as in a compose file, and how it is written then.
    pub file_in_context: Option<(PathBuf, String)>,
    /// The stage to stop at.
    pub target: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Secrets, by id.
    pub secrets: BTreeMap<String, SecretString>,
    /// Secrets whose variable has no value: told only where something is built. The variable is not kept, since
    /// people write the secret itself in its place.
    pub unset: Vec<String>,
    /// Inputs of this run that are of use to a build alone.
    pub said: Vec<&'static str>,
    /// The user's own labels.
    pub labels: BTreeMap<String, String>,
    /// For registries of base images.
    pub logins: Vec<Login>,
    /// Where steps may be found.
    pub cache_from: Vec<Cache>,
    /// Where steps are kept.
    pub cache_to: Vec<Cache>,
    /// Every step is run again.
    pub no_cache: bool,
    /// Base images are asked for again.
    pub pull: bool,
    /// What seems to hold a secret is refused.
    pub forbid_secrets: bool,
    /// `SOURCE_DATE_EPOCH`.
    pub epoch: Option<i64>,
    /// `DOCKER_BUILDKIT=0`: the builder before BuildKit is wanted.
    pub classic: bool,
    /// Where an engine may be.
    pub whereabouts: Whereabouts,
}

/// Where nothing is built they are not read.
const BUILD_ONLY: [&str; 10] = [
    "file",
    "target",
    "build-args",
    "build-secrets",
    "labels",
    "base-logins",
    "cache-from",
    "cache-to",
    "no-cache",
    "pull",
];

impl Build {
    /// Hands out every secret there is, to be masked.
    pub fn each_secret(&self, mut each: impl FnMut(&str)) {
        let passwords = self.logins.iter().map(|login| &login.password);
        self.secrets.values().chain(passwords).for_each(|secret| each(secret.expose_secret()));
        let args = self.args.iter().filter(|(name, value)| crate::recipe::is_secret(name, value));
        args.for_each(|(_, value)| each(value));
    }
}

/// Reads all of it; faults are kept by the reader.
pub fn read(reader: &mut Reader<'_>, environment: &Environment) -> Build {
    let of = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
    let epoch = of("SOURCE_DATE_EPOCH");
    let seconds = epoch.as_deref().map(str::parse::<i64>);
    if let (Some(text), Some(Err(_))) = (&epoch, &seconds) {
        let text = crate::error::one_line(text, 60);
        reader.faults.push(Fault::new(format!(
            "SOURCE_DATE_EPOCH is \"{text}\": write seconds since 1970, as `git log -1 --format=%ct` prints them"
        )));
    }
    let (secrets, unset) = secrets(reader, &of);
    Build {
        file: None,
        file_in_context: None,
        said: BUILD_ONLY.into_iter().filter(|name| reader.is_said(name)).collect(),
        unset,
        secrets,
        target: reader.text("target").map(Into::into),
        args: pairs(reader, "build-args", |name| {
            of(name)
                .ok_or_else(|| format!("write `{name}=VALUE`, or set {name} in the environment"))
        }),
        labels: pairs(reader, "labels", |name| Err(format!("write `{name}=VALUE`"))),
        logins: logins(reader),
        cache_from: caches(reader, "cache-from"),
        cache_to: caches(reader, "cache-to"),
        no_cache: reader.switch("no-cache"),
        pull: reader.switch("pull"),
        forbid_secrets: reader.switch("forbid-secrets"),
        epoch: seconds.and_then(Result::ok),
        classic: of("DOCKER_BUILDKIT").is_some_and(|value| value == "0"),
        whereabouts: Whereabouts {
            host: of("DOCKER_HOST"),
            context: of("DOCKER_CONTEXT"),
            tls_verify: of("DOCKER_TLS_VERIFY"),
            cert_path: of("DOCKER_CERT_PATH").map(Into::into),
            config: of("DOCKER_CONFIG").map(Into::into),
            home: of("HOME").map(Into::into),
            runtime_dir: of("XDG_RUNTIME_DIR").map(Into::into),
        },
    }
}

/// The lines of an input that are not empty, each with its place among all, from 0.
fn lines<'a>(reader: &Reader<'a>, name: &str) -> Vec<(usize, &'a str)> {
    let text = reader.text(name).unwrap_or_default();
    let lines = text.lines().map(str::trim).enumerate();
    lines.filter(|(_, line)| !line.is_empty()).collect()
}

/// `NAME=VALUE` lines; what a name alone means is the caller's.
fn pairs(
    reader: &mut Reader<'_>,
    input: &'static str,
    alone: impl Fn(&str) -> Result<String, String>,
) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    for (at, line) in lines(reader, input) {
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name.trim(), Ok(value.to_owned())),
            None => (line, alone(line)),
        };
        // What is no name may be the rest of a value of several lines: it is not shown.
        let is_name = !name.is_empty()
            && (line.contains('=') || name.len() <= LONGEST)
            && !may_be_a_value(name)
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-/".contains(&b));
        let value = match value {
            _ if !is_name => Err(format!("line {} is not `NAME=VALUE`", at + 1)),
            value => value,
        };
        match value {
            // A later run believes them.
            Ok(_) if input == "labels" && name.starts_with(OURS) => {
                let said = format!(
                    "`labels`: `{name}` is for slipway to set, since later runs believe it: leave it out"
                );
                reader.fault_in(input, at, &said);
            }
            Ok(value) => {
                pairs.insert(name.to_owned(), value);
            }
            Err(clause) => reader.fault_in(input, at, &format!("`{input}`: {clause}")),
        }
    }
    pairs
}

/// `ID=VARIABLE` lines, or a variable's name that is the id too: by id the values, and the ids that have none.
/// The value is never in an input.
fn secrets(
    reader: &mut Reader<'_>,
    of: &impl Fn(&str) -> Option<String>,
) -> (BTreeMap<String, SecretString>, Vec<String>) {
    let (mut secrets, mut unset) = (BTreeMap::new(), Vec::new());
    for (at, line) in lines(reader, "build-secrets") {
        let (id, variable) = line.split_once('=').unwrap_or((line, line));
        let is_name = |name: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
            let is_short = !name.is_empty() && name.len() <= LONGEST;
            is_short && !may_be_a_value(name) && name.bytes().all(plain)
        };
        match of(variable) {
            Some(value) if is_name(id) => {
                secrets.insert(id.to_owned(), SecretString::from(value));
            }
            None if is_name(id) && is_name(variable) => unset.push(id.to_owned()),
            // What stands there may be the secret itself: it is not shown.
            _ => {
                let told = "is not `ID=VARIABLE`: the value is that of the variable";
                let said = format!("`build-secrets`: line {} {told}", at + 1);
                reader.fault_in("build-secrets", at, &said);
            }
        }
    }
    (secrets, unset)
}

/// A longer name is none, but a value: keys and tokens begin at 40 letters.
const LONGEST: usize = 39;

/// Whether a name looks like what people write in its place: a token, or the end of what base64 makes. It is not
/// shown then.
pub(super) fn may_be_a_value(name: &str) -> bool {
    let has = |is: fn(&char) -> bool| name.chars().any(|letter| is(&letter));
    let is_drawn = name.len() >= 20
        && !name.contains(['.', '_', '-'])
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_digit);
    is_drawn || crate::recipe::is_secret("NAME", name)
}

/// `HOST USER PASSWORD` lines. A line that is not understood is not shown.
fn logins(reader: &mut Reader<'_>) -> Vec<Login> {
    let mut logins = Vec::new();
    for (at, line) in lines(reader, "base-logins") {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [host, user, password] => logins.push(Login {
                host: host.to_owned(),
                user: user.to_owned(),
                password: password.into(),
                is_ours: false,
            }),
            _ => {
                let said = format!("`base-logins`: line {} is not `HOST USER PASSWORD`", at + 1);
                reader.fault_in("base-logins", at, &said);
            }
        }
    }
    logins
}

/// References, or BuildKit's own form; what kinds there are is the engine's to say.
fn caches(reader: &mut Reader<'_>, input: &'static str) -> Vec<Cache> {
    let mut caches = Vec::new();
    for (at, line) in lines(reader, input) {
        match cache(line) {
            // It is in an image, and found where that image is.
            Ok(cache) if cache.kind == "inline" && input == "cache-from" => {
                let said = "an inline cache is in an image: write that image's reference";
                reader.fault_in(input, at, &format!("`{input}`: {said}"));
            }
            Ok(cache) => caches.push(cache),
            Err(clause) => reader.fault_in(input, at, &format!("`{input}`: {clause}")),
        }
    }
    caches
}

fn cache(line: &str) -> Result<Cache, String> {
    let registry = |reference: &str| Cache {
        kind: "registry".into(),
        attributes: BTreeMap::from([("ref".to_owned(), reference.to_owned())]),
    };
    if line == "inline" {
        return Ok(Cache { kind: line.into(), attributes: BTreeMap::new() });
    }
    if !line.contains('=') {
        return Ok(registry(line));
    }
    let mut attributes = BTreeMap::new();
    for part in line.split(',') {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| format!("\"{}\" is not NAME=VALUE", crate::error::one_line(part, 60)))?;
        attributes.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    let kind = attributes.remove("type").ok_or("write `type=registry,ref=...`")?;
    if kind == "registry" && !attributes.contains_key("ref") {
        return Err("`type=registry` has no `ref=`".into());
    }
    Ok(Cache { kind, attributes })
}

#[cfg(test)]
mod tests {
    use super::super::raw::{Given, Origin};
    use super::*;

    /// What was read, and every fault.
    fn typed(input: &'static str, value: &str) -> (Build, Vec<String>) {
        let given = Given { value: value.into(), origin: Origin::Flag };
        let values = BTreeMap::from([(input, given)]);
        let environment = Environment::from([
            ("TOKEN".to_owned(), "t0k".to_owned()),
            ("EMPTY".into(), String::new()),
            ("CERTIFICATE".into(), "one\ntwo=2\n".into()),
        ]);
        let mut reader = Reader::new(&values, Vec::new());
        let build = read(&mut reader, &environment);
        (build, reader.faults.into_iter().map(|fault| fault.said).collect())
    }

    #[test]
    fn arguments_are_pairs_or_names_of_the_environment() {
        let (build, faults) =
            typed("build-args", "VERSION=1.2=3\n\n  TOKEN \nNONE\n=x\nCERTIFICATE");
        assert_eq!(build.args["CERTIFICATE"], "one\ntwo=2\n", "the environment's is whole");
        assert_eq!(build.args["VERSION"], "1.2=3");
        assert_eq!(build.args["TOKEN"], "t0k");
        insta::assert_snapshot!(faults.join("\n"), @"
        `build-args`: write `NONE=VALUE`, or set NONE in the environment
        `build-args`: line 5 is not `NAME=VALUE`
        ");
    }

    #[test]
    fn labels_of_slipway_are_set_by_nobody_else() {
        let text = "dev.slipway.recipe=v1\ndev.slipwayer=a\norg.opencontainers.image.source=b";
        let (build, faults) = typed("labels", text);
        assert_eq!(build.labels.len(), 2);
        insta::assert_snapshot!(faults.join("\n"), @"`labels`: `dev.slipway.recipe` is for slipway to set, since later runs believe it: leave it out");
    }

    #[test]
    fn secrets_are_values_of_the_environment_and_never_shown() {
        let (build, faults) =
            typed("build-secrets", "npm=TOKEN\nTOKEN\nb=EMPTY\nc=gh-p_secret!\nd=");
        assert_eq!(build.secrets["npm"].expose_secret(), "t0k");
        assert_eq!(build.secrets["TOKEN"].expose_secret(), "t0k");
        assert_eq!(build.unset, ["b"]);
        insta::assert_snapshot!(faults.join("\n"), @"
        `build-secrets`: line 4 is not `ID=VARIABLE`: the value is that of the variable
        `build-secrets`: line 5 is not `ID=VARIABLE`: the value is that of the variable
        ");
    }

    #[test]
    fn a_token_in_the_place_of_a_name_is_shown_nowhere() {
        let letters = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5";
        let token = format!("ghp_{letters}");
        for (input, value) in [
            ("build-args", token.clone()),
            ("build-args", format!("{letters}==")),
            ("build-secrets", token.clone()),
            ("build-secrets", format!("npm={token}")),
            ("labels", format!("{letters}=")),
        ] {
            let (build, faults) = typed(input, &value);
            assert_eq!((faults.len(), build.args.len(), build.unset.len()), (1, 0, 0), "{input}");
            assert!(!faults[0].contains(letters), "{}", faults[0]);
        }
    }

    #[test]
    fn caches_are_references_or_the_builders_own_form() {
        let (build, faults) = typed(
            "cache-from",
            "ghcr.io/a/b:cache\ninline\ntype=gha,scope=x\ntype=registry\nref=x\na=b,c",
        );
        let told: Vec<_> =
            build.cache_from.iter().map(|c| format!("{} {:?}", c.kind, c.attributes)).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        registry {"ref": "ghcr.io/a/b:cache"}
        gha {"scope": "x"}
        "#);
        insta::assert_snapshot!(faults.join("\n"), @r#"
        `cache-from`: an inline cache is in an image: write that image's reference
        `cache-from`: `type=registry` has no `ref=`
        `cache-from`: write `type=registry,ref=...`
        `cache-from`: "c" is not NAME=VALUE
        "#);
    }

    #[test]
    fn logins_are_three_words_and_a_bad_line_is_not_shown() {
        let (build, faults) = typed("base-logins", "docker.io me hunter2\nghcr.io justatoken");
        assert_eq!((build.logins.len(), build.logins[0].host.as_str()), (1, "docker.io"));
        assert_eq!(faults, ["`base-logins`: line 2 is not `HOST USER PASSWORD`"]);
        assert!(!format!("{build:?}").contains("hunter2"));
    }
}
