//! Each way in which a push goes wrong, once, and what is made of it.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::server::Fault;
use super::{Server, client, image, index, large, push, told};
use crate::error::Code;
use crate::names::Digest;
use crate::registry::{Progress, Reference};

#[tokio::test]
async fn an_image_is_pushed_once_and_found_the_second_time() {
    let server = Server::start().await;
    let (_folder, image) = image().await;
    let (registry, asked) = client(&server.url, "shop/web");
    let first = push(&registry, &image).await.unwrap();
    assert_eq!((first.new, first.reused), (2, 0));
    assert_eq!(first.digest, image.root.digest);
    let writes = server.count("PUT") + server.count("POST") + server.count("PATCH");
    let second = push(&registry, &image).await.unwrap();
    assert_eq!((second.new, second.new_bytes, second.reused), (0, 0, 2));
    assert_eq!(server.count("PUT") + server.count("POST") + server.count("PATCH"), writes);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_index_comes_after_its_manifests_and_is_read_down_to_its_labels() {
    let server = Server::start().await;
    let (_folder, image) = index().await;
    let (registry, _) = client(&server.url, "shop/web");
    let pushed = push(&registry, &image).await.unwrap();
    // The shared layer is sent once.
    assert_eq!((pushed.new, pushed.reused), (3, 0));
    let log = server.state.lock().unwrap().log.clone();
    let puts: Vec<_> =
        log.iter().filter(|l| l.starts_with("PUT") && l.contains("manifests")).collect();
    assert!(puts.len() == 3 && puts[2].ends_with("/v1"), "{puts:?}");

    let held = registry.held(&Reference::Tag("v1".parse().unwrap())).await.unwrap().unwrap();
    assert_eq!(held.manifest, image.root);
    assert_eq!(held.platforms, image.platforms);
    assert_eq!(held.configs[1].labels["dev.slipway.recipe"], "r1");
    let nothing = registry.manifest(&Reference::Tag("v2".parse().unwrap())).await.unwrap();
    assert_eq!(nothing, None);
    assert!(!registry.has_blob(&Digest::of(b"nothing")).await.unwrap());
}

#[tokio::test]
async fn the_push_can_be_spawned_and_is_stopped_by_dropping_it() {
    let server = Server::start().await;
    server.fault("PATCH", "", Fault::Stall, 9);
    let (_folder, image) = image().await;
    let (registry, _) = client(&server.url, "shop/web");
    let task = tokio::spawn(async move { push(&registry, &image).await });
    while server.count("PATCH") == 0 {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let patches = server.count("PATCH");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(server.count("PATCH"), patches);
}

#[tokio::test]
async fn a_cut_or_lost_or_stalled_upload_begins_a_new_session() {
    for fault in
        [Fault::Cut(500_000), Fault::Lose, Fault::Stall, Fault::Answer(503, &[], String::new())]
    {
        let server = Server::start().await;
        server.fault("PATCH", "", fault.clone(), 1);
        let (_folder, image) = image().await;
        let (registry, _) = client(&server.url, "shop/web");
        push(&registry, &image).await.unwrap();
        // Config and two layers, and one of them twice.
        assert_eq!(server.count("POST"), 4, "{fault:?}");
        let stored = server.state.lock().unwrap().blobs[large(&image).digest.as_str()].len();
        assert_eq!(stored as u64, large(&image).size);
    }
}

#[tokio::test]
async fn an_upload_whose_last_answer_was_lost_is_found_and_not_sent_again() {
    let server = Server::start().await;
    server.fault("PUT", "/blobs/", Fault::Lose, 1);
    let (_folder, image) = image().await;
    let (registry, _) = client(&server.url, "shop/web");
    push(&registry, &image).await.unwrap();
    assert_eq!(server.count("PATCH"), 3);
}

#[tokio::test]
async fn any_good_status_on_a_part_is_good() {
    for status in [200, 201, 204] {
        let server = Server::start().await;
        server.fault("PATCH", "", Fault::Status(status), 9);
        let (_folder, image) = image().await;
        let (registry, _) = client(&server.url, "shop/web");
        push(&registry, &image).await.unwrap();
        assert_eq!(server.count("PATCH"), 3);
    }
}

#[tokio::test]
async fn too_many_requests_waits_as_long_as_it_is_told() {
    let server = Server::start().await;
    let wait = Fault::Answer(429, &[("Retry-After", "1")], String::new());
    server.fault("PUT", "/manifests/", wait, 1);
    let (_folder, image) = image().await;
    let (registry, _) = client(&server.url, "shop/web");
    let again = Mutex::new(Vec::new());
    let since = Instant::now();
    let listener = |progress: Progress<'_>| {
        if let Progress::Again { what, wait, .. } = progress {
            again.lock().unwrap().push((what.to_owned(), wait));
        }
    };
    registry.push(&image, &"v1".parse().unwrap(), &[], &listener).await.unwrap();
    assert!(since.elapsed() >= Duration::from_secs(1));
    let again = again.into_inner().unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].0, format!("manifest {}", image.root.digest.short()));
    assert!(again[0].1 >= Duration::from_secs(1) && again[0].1 < Duration::from_millis(1100));
}

#[tokio::test]
async fn throttling_to_the_end_is_said() {
    let server = Server::start().await;
    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"Rate exceeded"}]}"#;
    server.fault("POST", "", Fault::Answer(429, &[], body.into()), 99);
    let (_folder, image) = image().await;
    let (registry, _) = client(&server.url, "shop/web");
    let failure = push(&registry, &image).await.unwrap_err();
    assert_eq!(failure.code, Code::Ecr429);
    assert!(failure.why[0].contains("tried 4 times; at last"), "{:?}", failure.why);
}

#[tokio::test]
async fn a_cut_to_the_end_names_the_layer_and_how_far_it_came() {
    let server = Server::start().await;
    let (_folder, image) = image().await;
    // Only the large layer is longer than this: the others are stored as ever, before or after.
    server.fault("PATCH", "", Fault::Cut(500_000), 99);
    let (registry, _) = client(&server.url, "shop/web");
    let failure = push(&registry, &image).await.unwrap_err();
    assert_eq!(failure.code, Code::EcrUpload);
    assert!(
        failure.why[0].contains(&format!("of {} bytes", large(&image).size))
            || failure.what.contains("config")
            || failure.what.contains("layer"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_login_that_expires_is_renewed_once() {
    for place in ["HEAD", "POST", "PATCH", "PUT"] {
        let server = Server::start().await;
        let (_folder, image) = image().await;
        let (registry, asked) = client(&server.url, "shop/web");
        // ECR says 403 to an old token, with words where there is a body.
        let body = r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#;
        let status = if place == "HEAD" { 401 } else { 403 };
        server.fault(place, "", Fault::Answer(status, &[], body.into()), 1);
        server.state.lock().unwrap().password.clear();
        push(&registry, &image).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2, "{place}");
    }
}

#[tokio::test]
async fn a_login_that_is_never_accepted_is_asked_for_twice_and_no_more() {
    let server = Server::start().await;
    server.state.lock().unwrap().password = "three".into();
    let (_folder, image) = image().await;
    let (registry, asked) = client(&server.url, "shop/web");
    let failure = push(&registry, &image).await.unwrap_err();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    insta::assert_snapshot!(told(failure, &server.url, &image), @"
    SW-ECR-403
    `@@HOST@@` does not accept the login for `shop/web`
    it answered 401, also to a new login
    check that credentials, region and repository belong to one account
    ");
}

#[tokio::test]
async fn a_login_that_has_ended_although_it_is_new_is_told_in_the_registrys_words() {
    let server = Server::start().await;
    let (_folder, image) = image().await;
    let body = r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#;
    server.fault("GET", "manifests", Fault::Answer(403, &[], body.into()), 99);
    let (registry, asked) = client(&server.url, "shop/web");
    let failure = registry.manifest(&Reference::Tag("v1".parse().unwrap())).await.unwrap_err();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    insta::assert_snapshot!(told(failure, &server.url, &image), @r#"
    SW-ECR-403
    `@@HOST@@` does not accept the login for `shop/web`
    it answered 403 DENIED: "Your authorization token has expired. Reauthenticate and try again.", also to a new login
    run it again with fresh AWS credentials; if it stays, see what answers as `@@HOST@@`: a proxy may keep an old login
    "#);
}

#[tokio::test]
async fn a_missing_right_on_a_name_that_speaks_of_expiry_is_a_missing_right() {
    let server = Server::start().await;
    let (_folder, image) = image().await;
    let body = r#"{"errors":[{"code":"DENIED","message":"User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/expired"}]}"#;
    server.fault("GET", "manifests", Fault::Answer(403, &[], body.into()), 99);
    let (registry, asked) = client(&server.url, "expired");
    let failure = registry.manifest(&Reference::Tag("v1".parse().unwrap())).await.unwrap_err();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    insta::assert_snapshot!(told(failure, &server.url, &image), @r#"
    SW-ECR-403
    these credentials may not read ECR `expired`
    `@@HOST@@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/expired"
    the right that was missing: ecr:BatchGetImage
    see that `repository` is spelled right; if it is, add this statement to the policy of the role or user:
    { "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
      "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/expired" }
    "#);
}

#[tokio::test]
async fn a_missing_right_is_named_with_the_statement_to_add() {
    let server = Server::start().await;
    let (_folder, image) = image().await;
    let body = r#"{"errors":[{"code":"DENIED","message":"User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/shop/web because no identity-based policy allows the ecr:InitiateLayerUpload action"}]}"#;
    server.fault("POST", "", Fault::Answer(403, &[], body.into()), 99);
    let (registry, asked) = client(&server.url, "shop/web");
    let failure = push(&registry, &image).await.unwrap_err();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    insta::assert_snapshot!(told(failure, &server.url, &image), @r#"
    SW-ECR-403
    these credentials may not push to ECR `shop/web`
    `@@HOST@@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/shop/web because no identity-based po..."
    the right that was missing: ecr:InitiateLayerUpload
    add this statement to the policy of the role or user:
    { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
      "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/shop/web" }
    "#);
}

#[tokio::test]
async fn a_missing_repository_is_said() {
    let server = Server::start().await;
    let (_folder, image) = image().await;
    let (registry, _) = client(&server.url, "shop/gone");
    let failure = registry.manifest(&Reference::Tag("v1".parse().unwrap())).await.unwrap_err();
    insta::assert_snapshot!(told(failure, &server.url, &image), @r#"
    SW-ECR-MISSING
    repository `shop/gone` is not in this registry
    `@@HOST@@` answered 404 NAME_UNKNOWN: "The repository with name 'shop/gone' does not exist in the registry with id '123456789012'"
    aws ecr create-repository --repository-name shop/gone
    "#);
}

#[tokio::test]
async fn an_immutable_tag_is_fine_with_the_same_image_and_refused_with_another() {
    let server = Server::start().await;
    server.state.lock().unwrap().immutable = true;
    let (_folder, image) = image().await;
    let (registry, _) = client(&server.url, "shop/web");
    push(&registry, &image).await.unwrap();
    push(&registry, &image).await.unwrap();
    let (_other, other) = index().await;
    let failure = push(&registry, &other).await.unwrap_err();
    let told = told(failure, &server.url, &other).replace(image.root.digest.short(), "@@THERE@@");
    insta::assert_snapshot!(told, @r#"
    SW-IMAGE-CONFLICT
    immutable tag v1 holds another image
    ECR has @@THERE@@, `@@IMAGE@@` is @@SHORT@@
    ECR answered 400 TAG_INVALID: "The image tag 'v1' already exists in the 'shop/web' repository and cannot be overwritten because the tag is immutable."
    leave out `image` to deploy the one in ECR, or ship a new commit
    "#);
}

#[tokio::test]
async fn an_immutable_tag_whose_answer_was_lost_is_compared() {
    let server = Server::start().await;
    server.state.lock().unwrap().immutable = true;
    server.fault("PUT", "/manifests/", Fault::Lose, 1);
    let (_folder, image) = image().await;
    let (registry, _) = client(&server.url, "shop/web");
    assert_eq!(push(&registry, &image).await.unwrap().digest, image.root.digest);
}

#[tokio::test]
async fn a_layer_that_is_deleted_meanwhile_is_sent_again_once() {
    let server = Server::start().await;
    let (_folder, image) = image().await;
    let (registry, _) = client(&server.url, "shop/web");
    let lost = large(&image).digest.to_string();
    server.fault("PUT", "/manifests/", Fault::Delete(lost.clone()), 1);
    push(&registry, &image).await.unwrap();
    assert!(server.state.lock().unwrap().blobs.contains_key(&lost));
    assert_eq!(server.count("PATCH"), 4);

    let server = Server::start().await;
    let (registry, _) = client(&server.url, "shop/web");
    server.fault("PUT", "/manifests/", Fault::Delete(lost), 2);
    assert_eq!(push(&registry, &image).await.unwrap_err().code, Code::EcrUpload);
    assert_eq!(server.count("PATCH"), 4);
}

#[tokio::test]
async fn a_layer_is_mounted_from_a_repository_that_has_it() {
    let server = Server::start().await;
    let (_folder, image) = image().await;
    let mounted = large(&image);
    let bytes =
        std::fs::read(format!("{}/blobs/sha256/{}", image.shown, mounted.digest.hex())).unwrap();
    server.state.lock().unwrap().blobs.insert(format!("base/{}", mounted.digest), bytes);
    let (registry, _) = client(&server.url, "shop/web");
    let from = ["shop/base".parse().unwrap()];
    let pushed = registry.push(&image, &"v1".parse().unwrap(), &from, &|_| {}).await.unwrap();
    assert_eq!((pushed.new, pushed.reused), (1, 1));
    assert_eq!(server.count("PATCH"), 2);
}

#[tokio::test]
async fn a_location_on_another_host_gets_nothing() {
    let server = Server::start().await;
    let other = Server::start().await;
    let (_folder, image) = image().await;
    let to = format!("{}/v2/shop/web/blobs/uploads/s0", other.url);
    let fault =
        Fault::Answer(202, Box::leak(Box::new([("Location", &*String::leak(to))])), String::new());
    server.fault("POST", "", fault, 9);
    let (registry, _) = client(&server.url, "shop/web");
    let failure = push(&registry, &image).await.unwrap_err();
    assert_eq!(failure.code, Code::EcrUpload);
    assert!(failure.why[0].contains("the login was not sent there"), "{failure:?}");
    assert_eq!(other.state.lock().unwrap().log, Vec::<String>::new());
}

#[tokio::test]
async fn a_redirected_blob_is_fetched_without_the_login_and_checked() {
    let server = Server::start().await;
    let other = Server::start().await;
    let digest = Digest::of(b"config");
    let to = String::leak(format!("{}/bucket?signature=secret", other.url));
    let fault = Fault::Answer(307, Box::leak(Box::new([("Location", &*to)])), String::new());
    server.fault("GET", "/blobs/", fault, 9);
    // The other host answers only to requests without a login; its own answer would be 401.
    other.fault("GET", "/bucket", Fault::Answer(200, &[], "config".into()), 1);
    let (registry, _) = client(&server.url, "shop/web");
    assert_eq!(registry.blob(&digest, 100).await.unwrap(), "config");
    other.fault("GET", "/bucket", Fault::Answer(200, &[], "other!".into()), 9);
    let failure = registry.blob(&digest, 100).await.unwrap_err();
    assert_eq!(failure.code, Code::EcrReach);
    assert!(!format!("{failure:?}").contains("secret"));
    assert_eq!(registry.blob(&digest, 3).await.unwrap_err().code, Code::ImageInvalid);
}

#[tokio::test]
async fn a_closed_port_is_said_to_be_out_of_reach() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (_folder, image) = image().await;
    let (registry, _) = client(&url, "shop/web");
    let failure = push(&registry, &image).await.unwrap_err();
    insta::assert_snapshot!(told(failure, &url, &image), @"
    SW-ECR-REACH
    `@@HOST@@` was not reached: manifest v1
    tried 4 times; at last tcp connect error: Connection refused (os error 111)
    curl -sSI https://@@HOST@@/v2/ from the same runner; 401 is a good answer
    ");
}

#[tokio::test]
async fn a_blob_that_is_not_what_it_says_is_never_completed() {
    let server = Server::start().await;
    let (_folder, image) = image().await;
    let path = format!("{}/blobs/sha256/{}", image.shown, large(&image).digest.hex());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1_000_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (registry, _) = client(&server.url, "shop/web");
    let failure = push(&registry, &image).await.unwrap_err();
    assert_eq!(failure.code, Code::ImageInvalid);
    assert_eq!(server.count("PUT /v2/shop/web/manifests"), 0);
    assert!(!server.state.lock().unwrap().blobs.contains_key(large(&image).digest.as_str()));
}
