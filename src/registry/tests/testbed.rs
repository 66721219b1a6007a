//! A copy by the registry behind ECR's manners that the testbed has: over TLS, with its logins, blobs
//! redirected to another host, and nothing mounted. After `testbed/up`:
//! `testbed/as operator cargo test --lib -- --ignored registry::tests::testbed`.

use super::{index, push};
use crate::aws::{Aws, Endpoints, Identity, RunName};
use crate::names::{Account, EcrRef, Region, Repository};
use crate::registry::Reference;
use crate::survey::source;

fn operator() -> Aws {
    let read = |name: &str| std::env::var(name).unwrap();
    let identity = Identity::Keys {
        id: read("AWS_ACCESS_KEY_ID"),
        secret: read("AWS_SECRET_ACCESS_KEY").into(),
        session: None,
    };
    let region = read("AWS_REGION").parse().unwrap();
    Aws::new(identity, region, Endpoints::default(), RunName::new("copy"), |_| {}).unwrap()
}

#[tokio::test]
#[ignore = "needs the testbed"]
async fn an_image_of_staging_is_copied_as_ecr_would_let_it() {
    let aws = operator();
    let (staging, web): (Repository, Repository) =
        ("staging/web".parse().unwrap(), "web".parse().unwrap());
    aws.create_repository(&staging).await.unwrap();
    let (registry, host) = source::registry(&aws, &web).await.unwrap();
    let (_folder, image) = index().await;
    let from = registry.beside(&staging);
    push(&from, &image).await.unwrap();

    let named: EcrRef = format!("{}/staging/web:v1", host.unwrap()).parse().unwrap();
    let (account, region): (Account, Region) = (named.account.clone(), named.region.clone());
    let original = registry.original(&named, &account, &region).await.unwrap();
    let tag = format!("copied-{}", &image.root.digest.hex()[..12]).parse().unwrap();
    let copied = registry.copy(&original.registry, &original.held, &tag, &|_| {}).await.unwrap();
    assert_eq!(copied.digest, image.root.digest);
    // What an earlier run of this test left is not sent again.
    assert_eq!(copied.new + copied.reused, 3);
    let held = registry.held(&Reference::Tag(tag.clone())).await.unwrap().unwrap();
    assert_eq!((held.manifest, held.platforms), (image.root.clone(), image.platforms));
    // The tag is immutable, and the same image is fine there.
    let again = registry.copy(&original.registry, &original.held, &tag, &|_| {}).await.unwrap();
    assert_eq!((again.new, again.reused), (0, 3));
}
