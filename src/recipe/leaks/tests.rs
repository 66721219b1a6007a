//! Secrets that are found and examples that are not. None stands in this file: each is drawn, so
//! that the test over the repository itself finds nothing here.

use insta::assert_snapshot;
use sha2::{Digest as _, Sha256};

use super::super::tests::ground::{Ground, excluding};
use super::*;

const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// As many characters as chance would draw, the same in every run.
fn drawn(seed: &str, length: usize, from: &str) -> String {
    let mut made = String::new();
    for round in 0.. {
        let bytes = Sha256::digest(format!("{seed}{round}"));
        let each =
            bytes.iter().map(|byte| char::from(from.as_bytes()[usize::from(*byte) % from.len()]));
        made.extend(each);
        if made.len() >= length {
            break;
        }
    }
    made.truncate(length);
    made
}

fn key_id() -> String {
    format!("AKIA{}", drawn("id", 16, CAPITALS))
}

fn half() -> String {
    drawn("half", 40, LETTERS)
}

fn private_key(kind: &str) -> String {
    let body = drawn("key", 256, LETTERS);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|l| str::from_utf8(l).unwrap()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

/// The kinds in a text, with their lines.
fn seen(text: &str) -> String {
    let found = Scanner::new().scan(text.as_bytes());
    found.iter().map(|(line, what)| format!("{line} {what}")).collect::<Vec<_>>().join(", ")
}

fn at(ground: &Ground, pick: &Pick) -> Vec<String> {
    let dockerfile = Dockerfile::read(&ground.at("Dockerfile")).unwrap();
    let found = leaks(&ground.tree(), pick, &dockerfile).unwrap();
    found.iter().map(ToString::to_string).collect()
}

fn all(ground: &Ground) -> Vec<String> {
    at(ground, &Pick::default())
}

const AWS: &str = "an AWS access key with its secret";

#[test]
fn keys_of_aws_are_found_with_both_halves_in_any_notes() {
    let (id, half) = (key_id(), half());
    assert_eq!(seen(&format!("user: eks\n{id},{half}\n")), format!("2 {AWS}"));
    assert_eq!(
        seen(&format!("Access key ID\n{id}\n\nSecret access key\n{half}")),
        format!("2 {AWS}")
    );
    assert_eq!(seen(&format!("{half}\n{id}")), format!("2 {AWS}"));
    assert_eq!(seen(&format!("aws_secret_access_key = {half}")), format!("1 {AWS}"));
    assert_eq!(seen(&format!("\"SecretAccessKey\": \"{half}\",")), format!("1 {AWS}"));
    assert_eq!(seen(&format!("export AWS_SECRET_ACCESS_KEY='{half}'")), format!("1 {AWS}"));
    let session = id.replacen("AKIA", "ASIA", 1);
    assert_eq!(seen(&format!("{session} {half}")), format!("1 {AWS}"));
}

#[test]
fn what_is_no_pair_of_aws_is_not_told() {
    let (id, half) = (key_id(), half());
    let far = "\n".repeat(20);
    for text in [
        id.clone(),
        half.clone(),
        format!("{id}{far}{half}"),
        format!("x{id} {half}"),
        format!("{id}X {half}"),
        format!("{id} {half}x"),
        format!("{id} {}", hex::encode(&Sha256::digest("commit")[..20])),
        format!("AKIAIOSFODNN7EXAMPLE {half}"),
        "AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        format!("AKIA{} {half}", "A".repeat(16)),
        format!("{id} {}", "Ab1".repeat(13) + "C"),
        "aws_secret_access_key = ${{ secrets.AWS_SECRET }}".into(),
        "aws_secret_access_key is read from the environment, as it is in every client of AWS"
            .into(),
    ] {
        assert_eq!(seen(&text), "", "{text}");
    }
}

#[test]
fn private_keys_are_found_and_public_ones_are_not() {
    for kind in [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ] {
        assert_eq!(seen(&format!("x\n{}", private_key(kind))), "2 a private key", "{kind}");
    }
    let json = private_key("PRIVATE KEY").replace('\n', "\\n");
    assert_eq!(seen(&format!("{{\"private_key\": \"{json}\"}}")), "1 a private key");
    let header = private_key("RSA PRIVATE KEY").replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1);
    assert_eq!(seen(&header), "1 a private key");
    let putty = "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nAAAA\n";
    assert_eq!(seen(putty), "1 a private key");
    for text in [
        private_key("PUBLIC KEY"),
        private_key("CERTIFICATE"),
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----".into(),
        "-----BEGIN PRIVATE KEY-----".into(),
        "if text.starts_with(\"-----BEGIN RSA PRIVATE KEY-----\") { return true; }".into(),
        format!("-----BEGIN PRIVATE KEY-----\n{}\n", "A".repeat(64)),
        "PuTTY-User-Key-File-3 is what such a file begins with".into(),
    ] {
        assert_eq!(seen(&text), "", "{text}");
    }
}

#[test]
fn tokens_with_a_clear_beginning_are_found() {
    let token = |begins: &str, length| format!("{begins}{}", drawn(begins, length, LETTERS));
    for (begins, length, what) in [
        ("ghp_", 36, "a GitHub token"),
        ("ghs_", 36, "a GitHub token"),
        ("github_pat_", 82, "a GitHub token"),
        ("glpat-", 20, "a GitLab token"),
        ("xoxb-", 50, "a Slack token"),
        ("AIza", 35, "a Google key"),
        ("npm_", 36, "an npm token"),
        ("sk_live_", 24, "a Stripe key"),
        ("dckr_pat_", 27, "a Docker token"),
    ] {
        assert_eq!(seen(&format!("a\ntoken: {}", token(begins, length))), format!("2 {what}"));
        assert_eq!(seen(&format!("a{}", token(begins, length))), "", "{begins} within a word");
        assert_eq!(seen(&token(begins, length / 2)), "", "{begins} cut");
        assert_eq!(seen(&format!("{begins}{}", "x".repeat(length))), "", "{begins} in a document");
    }
    let both = format!("{}\n{}\n{}", token("ghp_", 36), token("AIza", 35), token("gho_", 36));
    assert_eq!(seen(&both), "1 a GitHub token, 2 a Google key", "each kind is told once");
}

#[test]
fn values_of_an_environment_are_told_and_examples_of_one_are_not() {
    let secret = drawn("env", 20, LETTERS);
    let ground = Ground::with(&["Dockerfile = FROM a"]);
    ground.add("a/.env = # comment\nEMPTY=\nexport PORT=3000\n");
    ground.add("a/.env.example = PORT=3000\nDB_PASSWORD=hunter22\n");
    ground.add(&format!("b/.env.production = VITE_API=https://a\nDB_PASSWORD={secret}\n"));
    ground.add("c/.env.production = VITE_API=https://a\nDB_PASSWORD=changeme1\nTOKEN=${TOKEN}\n");
    ground.add("c/.env = # nothing\nEMPTY=\n");
    ground.add(&format!("d/prod.env = API_KEY={secret}\n"));
    assert_eq!(
        all(&ground),
        [
            "`a/.env` line 3: values of an environment",
            "`b/.env.production` line 2: secrets of an environment",
            "`d/prod.env` line 1: secrets of an environment",
        ]
    );
}

#[test]
fn files_that_hold_logins_are_told() {
    let ground = Ground::with(&[
        "Dockerfile = FROM a",
        "a/.npmrc = registry=https://r\n//r/:_authToken=abc\n",
        "b/.npmrc = //r/:_authToken=${NPM_TOKEN}\n",
        "a/.pypirc = [pypi]\nusername = a\npassword = b\n",
        "a/.netrc = machine a login b password c\n",
        "a/.docker/config.json = {\"auths\":{\"r\":{\"auth\":\"YTpi\"}}}",
        "b/.docker/config.json = {\"auths\":{\"r\":{}}, \"credsStore\": \"x\"}",
        "b/config.json = {\"auth\": \"none of Docker's\"}",
        "a/.kube/config = users:\n- name: a\n  user:\n    token: abc\n",
        "b/.kube/config = users:\n- name: a\n  user:\n    exec: {}\n",
        "a/.git-credentials = https://a:b@github.com\n",
        "a/terraform.tfstate = {\n  \"terraform_version\": \"1.9\"}",
        "a/client.p12 = x",
        "a/empty.p12",
        "node_modules/x/.npmrc = //r/:_authToken=abc\n",
    ]);
    assert_snapshot!(all(&ground).join("\n"), @"
    `a/.docker/config.json` line 1: a login of a registry
    `a/.git-credentials` line 1: a login of Git
    `a/.kube/config` line 4: a login of a cluster
    `a/.netrc` line 1: a login
    `a/.npmrc` line 2: a login of npm
    `a/.pypirc` line 3: a login of PyPI
    `a/client.p12`: a key store
    `a/terraform.tfstate` line 2: the state of Terraform, with every secret that it manages
    ");
}

#[test]
fn a_repository_is_told_once_and_only_if_it_leaves() {
    let ground = Ground::with(&[
        "Dockerfile = FROM a",
        ".git/HEAD = ref",
        ".git/config = [core]",
        ".git/objects/ab/c = x",
        "sub/.git = gitdir: ../.git/modules/sub",
    ]);
    assert_snapshot!(all(&ground).join("\n"), @"`.git`: the history of the repository, and what a checkout leaves in its `config`");
    assert!(at(&ground, &excluding(&[".git"])).is_empty());
    assert!(at(&ground, &excluding(&[".git", "!.git/HEAD"])).is_empty(), "a version is no history");
}

#[test]
fn what_is_not_sent_is_not_told() {
    let ground = Ground::with(&["Dockerfile = FROM a"]);
    ground.add(&format!("notes/keys.txt = {}", private_key("PRIVATE KEY")));
    ground.add("notes/.env = A=b");
    assert_eq!(all(&ground).len(), 2);
    assert!(at(&ground, &excluding(&["notes"])).is_empty());
    assert!(at(&ground, &excluding(&["**/*.txt", "**/.env"])).is_empty());
}

#[test]
fn binaries_large_files_and_pipes_are_passed_over() {
    let ground = Ground::with(&["Dockerfile = FROM a", "link -> /etc/passwd"]);
    let key = private_key("PRIVATE KEY");
    ground.add(&format!("data = \0{key}"));
    ground.add(&format!("image.png = {key}"));
    ground.add(&format!("large.txt = {key}{}", " ".repeat(1024 * 1024)));
    let made = std::process::Command::new("mkfifo").arg(ground.at("pipe")).status().unwrap();
    assert!(made.success());
    assert!(all(&ground).is_empty());
    ground.add(&format!("small.txt = {key}"));
    assert_eq!(all(&ground), ["`small.txt` line 1: a private key"]);
}

#[test]
fn the_dockerfile_is_read_for_what_the_image_would_keep() {
    let value = drawn("value", 24, LETTERS);
    let ground = Ground::with(&[".env = A=b", "id_rsa = x", "plain.txt = x"]);
    ground.add(&format!("id_rsa = {}", private_key("OPENSSH PRIVATE KEY")));
    ground.add(&format!(
        "Dockerfile = ARG NPM_TOKEN={value}\nARG API_TOKEN\nFROM a AS b\nENV DB_PASSWORD={value} PORT=80\n\
         ENV DB_PASSWORD $DB_PASSWORD\nENV SECRET_KEY {value}\nENV API_TOKEN=changeme123 TOKEN_URL={value}\n\
         ENV AWS_SECRET_ACCESS_KEY=/run/secrets/aws\nCOPY plain.txt .env ./\n\
         COPY [\"./id_rsa\", \"/root/.ssh/\"]\nCOPY --from=b .env /x\n"
    ));
    assert_snapshot!(all(&ground).join("\n"), @"
    `.env` line 1: values of an environment
    `Dockerfile` line 1: `ARG NPM_TOKEN` has a value, which the image's history keeps
    `Dockerfile` line 4: `ENV DB_PASSWORD` has a value, which the image's configuration keeps
    `Dockerfile` line 6: `ENV SECRET_KEY` has a value, which the image's configuration keeps
    `Dockerfile` line 9: `COPY` puts `.env` into the image
    `Dockerfile` line 10: `COPY` puts `id_rsa` into the image
    `id_rsa` line 1: a private key
    ");
}

#[test]
fn the_configuration_of_an_image_is_read() {
    let (id, half, value) = (key_id(), half(), drawn("value", 24, LETTERS));
    let env = [
        format!("AWS_ACCESS_KEY_ID={id}"),
        format!("AWS_SECRET_ACCESS_KEY={half}"),
        format!("SESSION_SECRET={value}"),
        "PATH=/usr/bin:/bin".into(),
        "POSTGRES_PASSWORD=example-password".into(),
    ];
    let history = [
        format!("RUN |2 NPM_TOKEN={value} VERSION=1.2.3 /bin/sh -c npm ci # buildkit"),
        format!("/bin/sh -c #(nop)  ENV SESSION_SECRET={value}"),
        format!("RUN /bin/sh -c curl -H 'Authorization: {}' x", drawn("x", 30, LETTERS)),
        format!("RUN /bin/sh -c git clone https://ghp_{}@github.com/a/b", drawn("y", 36, LETTERS)),
        "COPY . . # buildkit".into(),
    ];
    let labels = BTreeMap::from([
        ("org.opencontainers.image.revision".to_owned(), "9f2c1e4".repeat(5)),
        ("token".to_owned(), value),
    ]);
    let found = leaks_in_config(&env, &history, &labels);
    let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_snapshot!(shown.join("\n"), @"
    the image's environment: `SESSION_SECRET` has a value
    the image's environment: an AWS access key with its secret, in `AWS_SECRET_ACCESS_KEY`
    the image's history: `NPM_TOKEN` has a value
    the image's history: `SESSION_SECRET` has a value
    the image's history: a GitHub token
    the image's labels: `token` has a value
    ");
    assert!(leaks_in_config(&[], &[], &BTreeMap::new()).is_empty());
}

#[test]
fn no_value_is_told() {
    let (id, half, value) = (key_id(), half(), drawn("value", 24, LETTERS));
    let ground = Ground::with(&[]);
    ground.add(&format!("notes.txt = {id} {half}"));
    ground.add(&format!(".env = DB_PASSWORD={value}"));
    ground.add(&format!("Dockerfile = FROM a\nENV A_TOKEN={value}\nCOPY .env /"));
    let dockerfile = Dockerfile::read(&ground.at("Dockerfile")).unwrap();
    let found = leaks(&ground.tree(), &Pick::default(), &dockerfile).unwrap();
    assert_eq!(found.len(), 4);
    let config = leaks_in_config(&[format!("A_TOKEN={value}")], &[], &BTreeMap::new());
    let told = format!("{found:?} {config:?} {:?}", refusal(&found));
    for secret in [&id, &half, &value] {
        assert!(!told.contains(secret.as_str()));
    }
}

#[test]
fn a_refusal_names_the_files() {
    let ground = Ground::with(&[]);
    let leak = |at: usize| Leak::new(format!("notes/{at}.txt"), Some(at), "a private key");
    assert_snapshot!(ground.told(&refusal(&[leak(1)])), @"
    SW-BUILD-SECRET: a secret would leave with the build
    why:  `notes/1.txt` line 1: a private key
    next: add what is not needed to .dockerignore; hand a secret that is over in `build-secrets`
    ");
    assert_snapshot!(ground.told(&refusal(&(1..8).map(leak).collect::<Vec<_>>())), @"
    SW-BUILD-SECRET: 7 secrets would leave with the build
    why:  `notes/1.txt` line 1: a private key
          `notes/2.txt` line 2: a private key
          `notes/3.txt` line 3: a private key
          `notes/4.txt` line 4: a private key
          `notes/5.txt` line 5: a private key
          `notes/6.txt` line 6: a private key
          `notes/7.txt` line 7: a private key
    next: add what is not needed to .dockerignore; hand a secret that is over in `build-secrets`
    ");
}

#[test]
fn this_repository_has_none() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let dockerfile = Dockerfile::read(&root.join("Dockerfile.source")).unwrap();
    // What is built here is no part of it; its own history is not asked for.
    let pick = excluding(&["target", ".git"]);
    assert_eq!(leaks(&Tree::open(root).unwrap(), &pick, &dockerfile).unwrap(), []);
}

#[test]
fn names_and_values_of_secrets_are_told_from_others() {
    for name in [
        "DB_PASSWORD",
        "NPM_TOKEN",
        "SECRET",
        "API_KEY",
        "aws-secret-key",
        "SECRET_KEY_BASE",
        "REDIS_PASS",
        "GITHUB_TOKEN",
    ] {
        assert!(is_secret_name(name), "{name}");
    }
    for name in [
        "PATH",
        "TOKEN_URL",
        "PASSWORD_FILE",
        "KEY",
        "PUBLIC_KEY",
        "PASS",
        "AWS_ACCESS_KEY_ID",
        "KEYBOARD",
        "BASE",
        "CACHE_KEY",
    ] {
        assert!(!is_secret_name(name), "{name}");
    }
    for value in ["s3cr3tValue", "hunter2hunter2", "abcDefgh", "a-b-c-d-e"] {
        assert!(is_real(value), "{value}");
    }
    for value in [
        "",
        "short1",
        "changeme123",
        "/run/secrets/x",
        "https://a.b/c1",
        "$TOKEN",
        "<token1234>",
        "12345678",
        "password",
        "your-token-here",
    ] {
        assert!(!is_real(value), "{value}");
    }
}
