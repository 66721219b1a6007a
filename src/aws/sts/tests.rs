//! What a user reads when STS does not accept a run, and how an identity is named.

use insta::assert_snapshot;

use super::*;
use crate::aws::tests::told;

fn role() -> RoleArn {
    "arn:aws:iam::123456789012:role/ship".parse().unwrap()
}

fn claims(sub: &str, aud: &str) -> Claims {
    Claims {
        iss: "https://token.actions.githubusercontent.com".into(),
        sub: sub.into(),
        aud: aud.into(),
    }
}

const CODE: &str = "InvalidIdentityToken";
const NEW_SUB: &str = "repo:acme@4242/shop@880055:ref:refs/heads/main";

#[test]
fn a_role_that_does_not_trust_the_run_is_told_with_the_line_it_needs() {
    assert_snapshot!(told(&untrusted(&role(), &claims(NEW_SUB, "sts.amazonaws.com"))), @r#"
    SW-OIDC-TRUST: role `ship` did not accept this run
      why:  STS answered AccessDenied; the token's own aud is sts.amazonaws.com, its sub is below
      next: its trust policy, if the role exists, needs in StringEquals (without the @ids it does not match):
            "token.actions.githubusercontent.com:sub": "repo:acme@4242/shop@880055:ref:refs/heads/main"
    "#);
}

#[test]
fn ids_and_audience_are_spoken_of_only_where_they_matter() {
    let claims = claims("repo:acme/shop:environment:production", "acme");
    assert_snapshot!(told(&untrusted(&role(), &claims)), @r#"
    SW-OIDC-TRUST: role `ship` did not accept this run
      why:  STS answered AccessDenied; the token's own aud is acme, its sub is below
      next: its trust policy, if the role exists, needs in StringEquals:
            "token.actions.githubusercontent.com:sub": "repo:acme/shop:environment:production"
            "token.actions.githubusercontent.com:aud": "acme"
    "#);
}

#[test]
fn an_account_without_a_provider_is_told_how_to_make_one() {
    let words = "No OpenIDConnect provider found in your account for https://token.actions.githubusercontent.com";
    assert_snapshot!(told(&not_taken(&role(), &claims(NEW_SUB, "sts.amazonaws.com"), CODE, words)), @r#"
    SW-OIDC-PROVIDER: account 123456789012 has no OIDC provider for `token.actions.githubusercontent.com`
      why:  STS answered InvalidIdentityToken: "No OpenIDConnect provider found in your account for https://token.actions.githubusercontent.com"
      next: aws iam create-open-id-connect-provider \
              --url https://token.actions.githubusercontent.com --client-id-list sts.amazonaws.com
    "#);
}

#[test]
fn a_provider_of_another_audience_is_told_how_to_add_it() {
    let words = "Incorrect token audience";
    assert_snapshot!(told(&not_taken(&role(), &claims(NEW_SUB, "acme"), CODE, words)), @r#"
    SW-OIDC-PROVIDER: account 123456789012 does not take OIDC tokens for `acme`
      why:  STS answered InvalidIdentityToken: "Incorrect token audience"
      next: aws iam add-client-id-to-open-id-connect-provider \
              --open-id-connect-provider-arn arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com --client-id acme
    "#);
}

#[test]
fn a_token_that_cannot_be_checked_is_no_missing_provider() {
    let claims = claims(NEW_SUB, "sts.amazonaws.com");
    let no_key = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements";
    assert_snapshot!(told(&not_taken(&role(), &claims, CODE, no_key)), @r#"
    SW-OIDC-PROVIDER: STS found no key of `token.actions.githubusercontent.com` to check this job's OIDC token with
      why:  STS answered InvalidIdentityToken: "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements"
      next: run the job again in a minute; AWS itself has to reach https://token.actions.githubusercontent.com/.well-known/openid-configuration
    "#);
    let away = "Identity provider could not be reached";
    assert_snapshot!(told(&not_taken(&role(), &claims, "IDPCommunicationError", away)), @r#"
    SW-OIDC-PROVIDER: STS found no key of `token.actions.githubusercontent.com` to check this job's OIDC token with
      why:  STS answered IDPCommunicationError: "Identity provider could not be reached"
      next: run the job again in a minute; AWS itself has to reach https://token.actions.githubusercontent.com/.well-known/openid-configuration
    "#);
    let garbled = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";
    assert_snapshot!(told(&not_taken(&role(), &claims, CODE, garbled)), @r#"
    SW-OIDC-PROVIDER: STS does not take this job's OIDC token of `token.actions.githubusercontent.com`
      why:  STS answered InvalidIdentityToken: "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
      next: run the job again in a minute; AWS itself has to reach https://token.actions.githubusercontent.com/.well-known/openid-configuration
    "#);
}

#[test]
fn how_an_identity_came_to_be_reads_as_words() {
    let chained = How::Role(Box::new(How::AccessKey));
    assert_eq!(chained.to_string(), "access key and AssumeRole");
    assert_eq!(How::Oidc.to_string(), "OIDC");
}
