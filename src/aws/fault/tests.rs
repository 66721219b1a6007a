//! What a user reads for each refusal of AWS, and which code it has.

use insta::assert_snapshot;

use super::*;
use crate::aws::tests::told;

const DENIED: &str = "User: arn:aws:sts::123456789012:assumed-role/ship/slipway-4711 is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web";

fn place(how: How) -> Place {
    Place {
        host: "api.ecr.ap-northeast-2.amazonaws.com".into(),
        region: "ap-northeast-2".into(),
        resource: "arn:aws:ecr:ap-northeast-2:ACCOUNT:repository/web".into(),
        how,
        was_accepted: false,
    }
}

fn answered(action: &'static str, status: u16, code: &str, message: &str) -> Fault {
    let (code, message) = (code.to_owned(), message.to_owned());
    Fault { action, kind: Kind::Answered(Answer { status, code, message, ahead: Some(0) }) }
}

fn tells(action: &'static str, status: u16, code: &str, message: &str, how: How) -> String {
    told(&answered(action, status, code, message).failure(&place(how)))
}

fn denied(reason: &str) -> String {
    let message = format!("{DENIED} {reason}");
    tells("ecr:BatchGetImage", 400, "AccessDeniedException", &message, How::Oidc)
}

fn silent(timed_out: bool, words: &str) -> String {
    let kind = Kind::Silent { timed_out, words: words.into() };
    told(&Fault { action: "ecr:BatchGetImage", kind }.failure(&place(How::Oidc)))
}

#[test]
fn a_missing_right_is_told_with_the_statement_that_gives_it() {
    assert_snapshot!(denied("because no identity-based policy allows the ecr:BatchGetImage action"), @r#"
    SW-ECR-403: role `ship` may not `ecr:BatchGetImage` on `web`
      why:  `ecr:BatchGetImage` answered 400 AccessDeniedException: "no identity-based policy allows the ecr:BatchGetImage action"
      next: see that `repository` is spelled right; if it is, add to the policies of role `ship`:
            {"Effect":"Allow","Action":"ecr:BatchGetImage","Resource":"arn:aws:ecr:ap-northeast-2:123456789012:repository/web"}
    "#);
}

#[test]
fn a_missing_right_without_details_keeps_a_placeholder_for_the_account() {
    let message = "User is not allowed";
    assert_snapshot!(tells("eks:DescribeCluster", 403, "AccessDeniedException", message, How::AccessKey), @r#"
    SW-EKS-DENIED: the identity of this run may not `eks:DescribeCluster` on `web`
      why:  `eks:DescribeCluster` answered 403 AccessDeniedException: "User is not allowed"
      next: see that `repository` is spelled right; if it is, add to the policies of the identity of this run:
            {"Effect":"Allow","Action":"eks:DescribeCluster","Resource":"arn:aws:ecr:ap-northeast-2:ACCOUNT:repository/web"}
    "#);
}

#[test]
fn an_explicit_deny_is_not_answered_with_an_allow() {
    assert_snapshot!(denied("with an explicit deny in a service control policy"), @r#"
    SW-ECR-403: role `ship` may not `ecr:BatchGetImage` on `web`
      why:  `ecr:BatchGetImage` answered 400 AccessDeniedException: "with an explicit deny in a service control policy"
      next: lift that deny for `ecr:BatchGetImage`: no allow of role `ship` stands above it
    "#);
}

#[test]
fn a_permissions_boundary_is_named() {
    assert_snapshot!(denied("because no permissions boundary allows the ecr:BatchGetImage action"), @r#"
    SW-ECR-403: role `ship` may not `ecr:BatchGetImage` on `web`
      why:  `ecr:BatchGetImage` answered 400 AccessDeniedException: "no permissions boundary allows the ecr:BatchGetImage action"
      next: see that `repository` is spelled right; if it is, add to the permissions boundary of role `ship`:
            {"Effect":"Allow","Action":"ecr:BatchGetImage","Resource":"arn:aws:ecr:ap-northeast-2:123456789012:repository/web"}
    "#);
}

#[test]
fn a_repository_of_another_account_needs_its_own_policy() {
    assert_snapshot!(denied("because no resource-based policy allows the ecr:BatchGetImage action"), @r#"
    SW-ECR-403: role `ship` may not `ecr:BatchGetImage` on `web`
      why:  `ecr:BatchGetImage` answered 400 AccessDeniedException: "no resource-based policy allows the ecr:BatchGetImage action"
      next: add to the policy of `web` itself, if it is in another account:
            {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/ship"},"Action":"ecr:BatchGetImage"}
    "#);
}

#[test]
fn an_unknown_key_is_told_the_same_by_sts_and_by_ecr() {
    let words = "The security token included in the request is invalid.";
    let sts = tells("sts:GetCallerIdentity", 403, "InvalidClientTokenId", words, How::AccessKey);
    assert_snapshot!(sts, @r#"
    SW-AWS-KEY: AWS does not know the access key
      why:  `sts:GetCallerIdentity` answered 403 InvalidClientTokenId: "The security token included in the request is invalid."
      next: set both `aws-access-key-id` and `aws-secret-access-key` again, without spaces or line ends; no stored key: `role-to-assume`
    "#);
    let ecr = tells("ecr:BatchGetImage", 400, "UnrecognizedClientException", words, How::AccessKey);
    assert_eq!(sts.lines().next(), ecr.lines().next());
}

#[test]
fn temporary_keys_are_taken_from_one_answer() {
    let words = "The security token included in the request is invalid.";
    assert_snapshot!(tells("sts:GetCallerIdentity", 403, "InvalidClientTokenId", words, How::SessionKeys), @r#"
    SW-AWS-KEY: AWS does not know these temporary keys
      why:  `sts:GetCallerIdentity` answered 403 InvalidClientTokenId: "The security token included in the request is invalid."
      next: set `aws-access-key-id`, `aws-secret-access-key` and `aws-session-token` from one answer of STS
    "#);
}

#[test]
fn a_wrong_secret_is_told_without_what_aws_echoes() {
    let words = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key AKIAIOSFODNN7EXAMPLE and signing method. The Canonical String for this request should have been 'POST / x-amz-security-token:SECRET'";
    let told = tells("sts:GetCallerIdentity", 403, "SignatureDoesNotMatch", words, How::AccessKey);
    assert_snapshot!(told, @r#"
    SW-AWS-KEY: the secret access key is not the one of this access key
      why:  `sts:GetCallerIdentity` answered 403 SignatureDoesNotMatch: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key *** and signing method."
      next: set both `aws-access-key-id` and `aws-secret-access-key` again, without spaces or line ends; no stored key: `role-to-assume`
    "#);
}

#[test]
fn a_session_that_ended_is_not_a_bad_key() {
    let words = "The security token included in the request is expired";
    assert_snapshot!(tells("ecr:BatchGetImage", 400, "ExpiredTokenException", words, How::SessionKeys), @r#"
    SW-AWS-EXPIRED: the AWS session of these keys has ended
      why:  `ecr:BatchGetImage` answered 400 ExpiredTokenException: "The security token included in the request is expired"
      next: take fresh keys right before this step, or `role-to-assume` alone: slipway renews that by itself
    "#);
}

#[test]
fn a_clock_is_told_with_its_seconds() {
    let words = "Signature expired: 20261121T103000Z is now earlier than 20261121T105500Z";
    let answer = |ahead| Answer {
        status: 403,
        code: "SignatureDoesNotMatch".into(),
        message: words.into(),
        ahead,
    };
    let tells = |ahead| {
        let kind = Kind::Answered(answer(ahead));
        told(&Fault { action: "sts:GetCallerIdentity", kind }.failure(&place(How::AccessKey)))
    };
    assert_snapshot!(tells(Some(-1500)), @r#"
    SW-AWS-CLOCK: the clock of this machine is 1500 s behind AWS
      why:  `sts:GetCallerIdentity` answered 403 SignatureDoesNotMatch: "Signature expired: 20261121T103000Z is now earlier than 20261121T105500Z"
      next: set the clock of the runner (NTP): AWS takes signatures within 5 minutes
    "#);
    assert!(tells(Some(812)).starts_with("SW-AWS-CLOCK: the clock of this machine is 812 s ahead"));
    assert!(tells(None).starts_with("SW-AWS-CLOCK: the clock of this machine is not AWS's"));
}

#[test]
fn a_bad_signature_far_from_aws_s_time_is_the_clock() {
    let answer = |ahead| Answer {
        status: 400,
        code: "InvalidSignatureException".into(),
        message: "The request signature we calculated does not match".into(),
        ahead: Some(ahead),
    };
    assert_eq!(answer(600).cause(), Cause::Clock);
    assert_eq!(answer(3).cause(), Cause::Key);
}

#[test]
fn throttling_to_the_end_is_told_as_such() {
    assert_snapshot!(tells("ecr:BatchGetImage", 400, "ThrottlingException", "Rate exceeded", How::Oidc), @r#"
    SW-ECR-429: AWS throttled `ecr:BatchGetImage`, 5 times
      why:  `ecr:BatchGetImage` answered 400 ThrottlingException: "Rate exceeded", in ap-northeast-2
      next: run it again in a minute; the limit is one of the account and region
    "#);
    let eks = tells("eks:DescribeCluster", 429, "TooManyRequestsException", "", How::Oidc);
    assert!(
        eks.starts_with("SW-AWS-ANSWER: AWS throttled `eks:DescribeCluster`, 5 times"),
        "{eks}"
    );
}

#[test]
fn a_server_error_is_told_with_its_status() {
    assert_snapshot!(tells("eks:DescribeCluster", 503, "", "", How::Oidc), @"
    SW-AWS-ANSWER: AWS did not do `eks:DescribeCluster`
      why:  `eks:DescribeCluster` answered 503
      next: run it again; if it stays: https://health.aws.amazon.com for ap-northeast-2
    ");
}

#[test]
fn an_answer_nobody_expected_is_quoted() {
    let words = "Invalid parameter at 'repositoryName'";
    assert_snapshot!(tells("ecr:BatchGetImage", 400, "InvalidParameterException", words, How::Oidc), @r#"
    SW-AWS-ANSWER: AWS did not do `ecr:BatchGetImage`
      why:  `ecr:BatchGetImage` answered 400 InvalidParameterException: "Invalid parameter at 'repositoryName'"
      next: slipway explain SW-AWS-ANSWER
    "#);
}

#[test]
fn a_host_that_does_not_answer_is_named_with_what_to_check() {
    assert_snapshot!(silent(false, "failed to lookup address information: Name or service not known"), @r#"
    SW-AWS-REACH: no connection to `api.ecr.ap-northeast-2.amazonaws.com`
      why:  "failed to lookup address information: Name or service not known"
      next: check `aws-region` (`ap-northeast-2`) and that the runner resolves api.ecr.ap-northeast-2.amazonaws.com
    "#);
    assert_snapshot!(silent(false, "invalid peer certificate: UnknownIssuer"), @r#"
    SW-AWS-REACH: no connection to `api.ecr.ap-northeast-2.amazonaws.com`
      why:  "invalid peer certificate: UnknownIssuer"
      next: set AWS_CA_BUNDLE to the PEM file of the authority that signs for this network's proxy
    "#);
    assert_snapshot!(silent(true, "HTTP connect timeout occurred after 10s"), @r#"
    SW-AWS-REACH: no answer from `api.ecr.ap-northeast-2.amazonaws.com`
      why:  "HTTP connect timeout occurred after 10s"
      next: let the runner reach api.ecr.ap-northeast-2.amazonaws.com; behind a proxy, set HTTPS_PROXY
    "#);
}

#[test]
fn an_optional_right_becomes_one_line() {
    let unseen = |action, code| {
        let unseen = answered(action, 403, code, "").unseen("node groups");
        format!("{} ({})", unseen.what, unseen.because)
    };
    let denied = "AccessDeniedException";
    assert_eq!(unseen("eks:ListNodegroups", denied), "node groups (may not list)");
    assert_eq!(unseen("eks:DescribeNodegroup", denied), "node groups (may not describe)");
    assert_eq!(unseen("ecr:BatchGetImage", denied), "node groups (may not `ecr:BatchGetImage`)");
    let server = unseen("eks:ListNodegroups", "ServerException");
    assert_eq!(server, "node groups (`eks:ListNodegroups` answered ServerException)");
}

#[test]
fn our_own_refusal_passes_through_the_sdk_unchanged() {
    let failure = Failure::new(Code::OidcTrust, "role `ship` did not accept this run");
    let error: SdkError<aws_sdk_sts::Error, HttpResponse> =
        SdkError::construction_failure(Carried(failure.clone()));
    let fault = Fault::read("ecr:BatchGetImage", &error);
    assert_eq!(fault.failure(&place(How::Oidc)), failure);
    assert_eq!(fault.unseen("images").because, "role `ship` did not accept this run");
}

#[test]
fn a_signature_for_another_region_is_no_bad_key() {
    // As STS has said it through the years, and as IAM's guide spells it.
    for said in [
        "Credential should be scoped to a valid region, not 'us-east-1'. ",
        "Credential should be scoped to a valid region. ",
        "Credential should be scoped to a valid Region, not us-east-1",
    ] {
        let fault = answered("sts:GetCallerIdentity", 403, "SignatureDoesNotMatch", said);
        assert_eq!(fault.failure(&place(How::AccessKey)).code, Code::InputInvalid, "{said}");
    }
    let said = "Credential should be scoped to a valid region, not 'us-east-1'. ";
    let code = "InvalidSignatureException";
    assert_snapshot!(tells("ecr:BatchGetImage", 400, code, said, How::Oidc), @r#"
    SW-INPUT-INVALID: `aws-region` is `ap-northeast-2`, which is not where api.ecr.ap-northeast-2.amazonaws.com is
      why:  `ecr:BatchGetImage` answered 400 InvalidSignatureException: "Credential should be scoped to a valid region, not 'us-east-1'."
      next: set `aws-region` to the region of the repository and the cluster, or mend the AWS_ENDPOINT_URL that is set
    "#);
}
