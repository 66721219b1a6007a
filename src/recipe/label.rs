//! What an image was made from, as one label's value that two builds can be compared by.
//!
//! Holds digests and names, and no value: whoever pulls an image reads its labels. Nothing of the
//! platform is in it, so that builds of one commit for several platforms have the same.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::dockerfile::{Args, Dockerfile};

/// The label under which a build writes its recipe.
pub const RECIPE: &str = "dev.slipway.recipe";

/// The label that names the commit, in the OCI's words.
pub const REVISION: &str = "org.opencontainers.image.revision";

/// The label of the moment that an image says it was made at.
pub const CREATED: &str = "org.opencontainers.image.created";

/// The label under which a build writes the event it was built for.
pub const EVENT: &str = "dev.slipway.event";

/// How the names of slipway's own labels begin.
pub const OURS: &str = "dev.slipway.";

/// The form that is written. Another one is not compared.
const FORM: &str = "v1";

/// What a build is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// The digest of the Dockerfile's bytes.
    dockerfile: String,
    target: Option<String>,
    /// Build arguments, each by a digest of its value.
    args: BTreeMap<String, String>,
    /// The user's own labels, each by a digest of its value.
    labels: BTreeMap<String, String>,
    secrets: BTreeSet<String>,
    /// The context from the root of the repository; empty if it is the root.
    context: String,
}

impl Recipe {
    /// Takes what is compared out of what is built.
    #[must_use]
    pub fn new<'a>(
        dockerfile: &Dockerfile,
        target: Option<&str>,
        args: &Args,
        labels: &BTreeMap<String, String>,
        secrets: impl IntoIterator<Item = &'a str>,
        context: &str,
    ) -> Self {
        let kept = |(name, value): (&String, &String)| (name.clone(), short(name, value));
        // The commit is compared by its own label. The time is nothing that an image is made from, and tools that
        // make labels give another one in each run.
        let compared = |name: &str| !matches!(name, REVISION | CREATED);
        let context = super::ignore::clean(context);
        Self {
            dockerfile: dockerfile.digest().into(),
            // The names of stages are the same in any case.
            target: target.map(str::to_lowercase),
            args: args.iter().map(kept).collect(),
            labels: labels.iter().filter(|(name, _)| compared(name)).map(kept).collect(),
            secrets: secrets.into_iter().map(str::to_owned).collect(),
            context: if context == "." { String::new() } else { context },
        }
    }

    /// The label's value: fields with `=`, divided by spaces.
    #[must_use]
    pub fn label(&self) -> String {
        let mut fields = vec![FORM.to_owned(), field("dockerfile", &self.dockerfile)];
        fields.extend(self.target.as_ref().map(|target| field("target", target)));
        for (name, digest) in &self.args {
            fields.push(format!("arg:{}={digest}", plain(name)));
        }
        for (name, digest) in &self.labels {
            fields.push(format!("label:{}={digest}", plain(name)));
        }
        fields.extend(self.secrets.iter().map(|id| field("secret", id)));
        if !self.context.is_empty() {
            fields.push(field("context", &self.context));
        }
        fields.join(" ")
    }

    /// What differs in an image with another label, one clause each; none if nothing does. Only what is given
    /// here is compared: the job that deploys has no need of the arguments of the job that built.
    #[must_use]
    pub fn differences(&self, other: &str) -> Vec<String> {
        if other == self.label() {
            return Vec::new();
        }
        let Some(theirs) = Self::read(other) else {
            return vec!["its recipe is written in a form that this version does not know".into()];
        };
        let mut told = Vec::new();
        if theirs.dockerfile != self.dockerfile {
            told.push("its Dockerfile differs".to_owned());
        }
        if let Some(ours) = self.target.as_deref().filter(|_| theirs.target != self.target) {
            told.push(one("target", theirs.target.as_deref(), ours));
        }
        told.extend(values("build arg", &self.args, &theirs.args));
        let without = self.secrets.difference(&theirs.secrets);
        told.extend(without.map(|id| format!("it was built without secret `{id}`")));
        if !self.context.is_empty() && theirs.context != self.context {
            let theirs = if theirs.context.is_empty() { "." } else { &theirs.context };
            told.push(one("context", Some(theirs), &self.context));
        }
        told
    }

    /// The same of the user's labels: they are said of an image, and nothing in it is made from them.
    #[must_use]
    pub fn other_labels(&self, other: &str) -> Vec<String> {
        let theirs = Self::read(other);
        theirs.map(|theirs| values("label", &self.labels, &theirs.labels)).unwrap_or_default()
    }

    fn read(label: &str) -> Option<Self> {
        let mut fields = label.split(' ');
        if fields.next() != Some(FORM) {
            return None;
        }
        let mut recipe = Self::default();
        for field in fields {
            let (name, value) = field.split_once('=')?;
            let text = || read(value);
            match name {
                "dockerfile" => recipe.dockerfile = text()?,
                "target" => recipe.target = Some(text()?),
                "context" => recipe.context = text()?,
                "secret" => {
                    recipe.secrets.insert(text()?);
                }
                name => {
                    let (kind, name) = name.split_once(':')?;
                    let all = match kind {
                        "arg" => &mut recipe.args,
                        "label" => &mut recipe.labels,
                        _ => return None,
                    };
                    all.insert(read(name)?, value.to_owned());
                }
            }
        }
        (!recipe.dockerfile.is_empty()).then_some(recipe)
    }
}

/// How a field of which there is one differs.
fn one(what: &str, theirs: Option<&str>, ours: &str) -> String {
    match theirs {
        Some(theirs) => format!("its {what} is `{theirs}`, not `{ours}`"),
        None => format!("it has no {what}, not `{ours}`"),
    }
}

/// Which of the values that are given here differ.
fn values(
    what: &str,
    ours: &BTreeMap<String, String>,
    theirs: &BTreeMap<String, String>,
) -> Vec<String> {
    let differs = |(name, ours): (&String, &String)| match theirs.get(name) {
        Some(theirs) if theirs == ours => None,
        Some(_) => Some(format!("{what} `{name}` differs")),
        None => Some(format!("it was built without {what} `{name}`")),
    };
    ours.iter().filter_map(differs).collect()
}

/// Enough to tell two values of an argument or a label from each other. It hides no short value from somebody
/// who tries all: neither is a secret, and the image has both in plain words.
fn short(name: &str, value: &str) -> String {
    hex::encode(&Sha256::digest(format!("{name}\0{value}"))[..4])
}

fn field(name: &str, value: &str) -> String {
    format!("{name}={}", plain(value))
}

/// Without the characters that divide fields.
fn plain(text: &str) -> String {
    let mut made = String::new();
    for letter in text.chars() {
        match letter {
            '%' | ' ' | '=' | '\n' | '\r' | '\t' => made += &format!("%{:02X}", u32::from(letter)),
            letter => made.push(letter),
        }
    }
    made
}

fn read(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut made = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        made.push(char::from(u8::from_str_radix(code, 16).ok()?));
        made.push_str(rest);
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::super::tests::ground::Ground;
    use super::*;

    fn recipe(
        target: Option<&str>,
        args: &[(&str, &str)],
        labels: &[(&str, &str)],
        secrets: &[&str],
        context: &str,
    ) -> Recipe {
        let ground = Ground::with(&["Dockerfile = FROM a"]);
        let dockerfile = Dockerfile::read(&ground.at("Dockerfile")).unwrap();
        let owned = |pairs: &[(&str, &str)]| -> Args {
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        let (args, labels) = (owned(args), owned(labels));
        Recipe::new(&dockerfile, target, &args, &labels, secrets.iter().copied(), context)
    }

    #[test]
    fn a_label_names_everything_and_holds_no_value() {
        let args = [("VERSION", "hunter2"), ("A B", "x=y")];
        let whole = recipe(Some("Prod"), &args, &[("team", "hunter3")], &["npm"], "./app/");
        assert_eq!(
            whole.label(),
            "v1 dockerfile=sha256:cbb55b8f2c6a9973cd5513ff3b3e7d7dc77c9c17ec9778993697a5894543b727 \
             target=prod arg:A%20B=c5148b79 arg:VERSION=6a95cd59 label:team=1b5ab7c3 secret=npm context=app"
        );
        assert_eq!(whole.differences(&whole.label()), Vec::<String>::new());
        assert_eq!(Recipe::read(&whole.label()), Some(whole));
        let bare = recipe(None, &[], &[], &[], ".");
        assert_eq!(bare.label().split(' ').count(), 2);
        assert_eq!(Recipe::read(&bare.label()), Some(bare));
    }

    #[test]
    fn what_differs_of_what_is_given_is_told() {
        let ours = recipe(
            Some("prod"),
            &[("VERSION", "2"), ("NEW", "x")],
            &[("a", "2"), ("b", "x")],
            &["npm"],
            "web",
        );
        let (args, labels) = ([("VERSION", "1"), ("OLD", "x")], [("a", "1"), ("c", "x")]);
        let theirs = recipe(Some("test"), &args, &labels, &["pip"], "app");
        let other = theirs.label().replace("sha256:", "sha256:0");
        assert_eq!(
            ours.other_labels(&other),
            ["label `a` differs", "it was built without label `b`"]
        );
        assert_eq!(
            ours.differences(&other),
            [
                "its Dockerfile differs",
                "its target is `test`, not `prod`",
                "it was built without build arg `NEW`",
                "build arg `VERSION` differs",
                "it was built without secret `npm`",
                "its context is `app`, not `web`",
            ]
        );
        let none = recipe(None, &[], &[], &[], "");
        // The job that deploys says nothing of how it was built.
        let built = recipe(Some("a"), &[("VERSION", "1")], &labels, &["npm"], "app");
        assert_eq!(none.differences(&built.label()), Vec::<String>::new());
        assert_eq!(
            recipe(Some("a"), &[], &[], &[], "").differences(&none.label()),
            ["it has no target, not `a`"]
        );
    }

    #[test]
    fn labels_of_the_commit_and_of_the_time_are_no_ingredients() {
        let labels = [(REVISION, "a"), (CREATED, "2026-11-30T00:00:00Z")];
        assert_eq!(recipe(None, &[], &labels, &[], ""), recipe(None, &[], &[], &[], ""));
    }

    #[test]
    fn a_label_of_another_form_is_not_compared() {
        let ours = recipe(None, &[], &[], &[], "");
        for other in [
            "",
            "r1",
            "v2 dockerfile=x",
            "v1",
            "v1 dockerfile",
            "v1 what=ever",
            "v1 what:A=ever",
            "v1 dockerfile=%zz",
        ] {
            assert_eq!(
                ours.differences(other),
                ["its recipe is written in a form that this version does not know"],
                "{other}"
            );
        }
    }

    #[test]
    fn the_same_value_under_another_name_has_another_digest() {
        assert_ne!(short("A", "1"), short("B", "1"));
        assert_ne!(short("A", "1"), short("A", "2"));
        assert_eq!(short("A", "1").len(), 8);
    }
}
