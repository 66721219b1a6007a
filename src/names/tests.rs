//! Names of each kind: what is one, what is none, and how they are written.

use super::*;

#[test]
fn names_parse_or_say_what_they_should_look_like() {
    assert_eq!("9F2C1E4".parse::<CommitPrefix>().unwrap().as_str(), "9f2c1e4");
    let dirty: CommitPrefix = "9F2C1E4-dirty".parse().unwrap();
    let sha = format!("9f2c1e4{}", "0".repeat(33));
    assert!(dirty.matches(&format!("{sha}-dirty")) && !dirty.matches(&sha));
    let clean: CommitPrefix = "9f2c1e4".parse().unwrap();
    assert!(clean.matches(&sha) && !clean.matches(&format!("{sha}-dirty")));
    assert_eq!((clean.dirty(), clean.whole()), (dirty, None));
    assert!("9f2c1e-dirty".parse::<CommitPrefix>().is_err());
    assert_eq!("9f2c1e4".parse::<CommitSha>(), Err("a commit is 40 hex digits".into()));
    assert_eq!(
        "ap-northeast".parse::<Region>(),
        Err("a region looks like `ap-northeast-2`".into())
    );
    assert_eq!("us-gov-west-1".parse::<Region>().unwrap().as_str(), "us-gov-west-1");
    assert!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/web".parse::<Repository>().is_ok());
    assert!("Web".parse::<Repository>().is_err());
    assert!("web_".parse::<Repository>().is_err());
    assert_eq!("deploy/web".parse::<Workload>().unwrap().to_string(), "deployment/web");
    assert!("web".parse::<Workload>().is_err());
    assert!("arn:aws:iam::123456789012:role/path/ship".parse::<RoleArn>().is_ok());
    assert!("arn:aws:iam::123456789012:user/ship".parse::<RoleArn>().is_err());
}

#[test]
fn references_keep_their_parts() {
    let digest = Digest::of(b"x");
    let whole = format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/web:v1@{digest}");
    let reference: ImageRef = whole.parse().unwrap();
    assert_eq!(reference.repository, "team/web");
    assert_eq!(reference.tag.as_ref().map(Tag::as_str), Some("v1"));
    assert_eq!(reference.to_string(), whole);
    let plain: ImageRef = "localhost:5000/web".parse().unwrap();
    assert_eq!((plain.registry.as_deref(), plain.tag), (Some("localhost:5000"), None));
    let hub: ImageRef = "library/nginx:1.24.0".parse().unwrap();
    assert_eq!((hub.registry, hub.repository.as_str()), (None, "library/nginx"));
}

#[test]
fn platforms_have_one_spelling() {
    let arm: Platform = "linux/arm64/v8".parse().unwrap();
    assert_eq!(arm.to_string(), "linux/arm64");
    assert_eq!(Platform::new("linux", "x86_64", None).to_string(), "linux/amd64");
    assert_eq!(Platform::new("linux", "arm", Some("v7")).to_string(), "linux/arm/v7");
    assert!("amd64".parse::<Platform>().is_err());
}

#[test]
fn a_platforms_tag_is_the_commits_and_its_own_name() {
    let sha: CommitSha = "9f2c1e4000000000000000000000000000000000".parse().unwrap();
    let tag = |dirty: bool, platform: &str| {
        let tag = Commit { sha: sha.clone(), dirty }.tag_for(&platform.parse().unwrap());
        tag.as_str().strip_prefix(sha.as_str()).unwrap().to_owned()
    };
    assert_eq!(tag(false, "linux/amd64"), "-linux-amd64");
    assert_eq!(tag(false, "linux/arm64/v8"), "-linux-arm64");
    assert_eq!(tag(false, "linux/arm/v7"), "-linux-arm-v7");
    assert_eq!(tag(true, "linux/amd64"), "-dirty-linux-amd64");
}
