//! ARNs, as far as sentences and access entries need them. Pure.

use crate::names::Account;

/// "role `ship`" or "user `eks-manager`", from the ARN that GetCallerIdentity gives.
pub(super) fn who(arn: &str) -> Option<String> {
    let (_, resource) = split(arn)?;
    let mut parts = resource.split('/');
    match (parts.next()?, parts.next()) {
        ("root", None) => Some("the root user".into()),
        ("assumed-role", Some(role)) => Some(format!("role `{role}`")),
        (kind @ ("user" | "role"), Some(_)) => {
            Some(format!("{kind} `{}`", resource.rsplit('/').next()?))
        }
        ("federated-user", Some(name)) => Some(format!("federated user `{name}`")),
        _ => None,
    }
}

/// The ARN that policies and access entries name: an assumed role's session becomes its role.
pub(super) fn principal(arn: &str) -> String {
    let role = || {
        let (head, resource) = split(arn)?;
        let role = resource.strip_prefix("assumed-role/")?.split('/').next()?;
        Some(format!("{}:role/{role}", head.replacen(":sts:", ":iam:", 1)))
    };
    role().unwrap_or_else(|| arn.to_owned())
}

/// The account in an ARN.
pub(super) fn account(arn: &str) -> Option<Account> {
    arn.split(':').nth(4)?.parse().ok()
}

/// Whether two ARNs name one role, where one may lack the role's path.
pub(super) fn same_role(a: &str, b: &str) -> bool {
    let key = |arn: &str| {
        let name = split(arn)?.1.strip_prefix("role/")?.rsplit('/').next()?.to_owned();
        Some((account(arn)?, name))
    };
    a == b || (key(a).is_some() && key(a) == key(b))
}

/// `web` of `arn:…:repository/web`, `prod` of `arn:…:cluster/prod`; nothing of `*`.
pub(super) fn resource_name(arn: &str) -> Option<&str> {
    let (_, resource) = split(arn)?;
    resource.split_once('/').map(|(_, name)| name)
}

/// `arn:aws:sts::123456789012` and `assumed-role/ship/slipway-1`.
fn split(arn: &str) -> Option<(&str, &str)> {
    let end = arn.match_indices(':').nth(4)?.0;
    arn.starts_with("arn:").then(|| (&arn[..end], &arn[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assumed_role_is_named_by_its_role() {
        let arn = "arn:aws:sts::123456789012:assumed-role/ship/slipway-4711";
        assert_eq!(who(arn).as_deref(), Some("role `ship`"));
        assert_eq!(principal(arn), "arn:aws:iam::123456789012:role/ship");
        assert_eq!(account(arn).map(String::from).as_deref(), Some("123456789012"));
    }

    #[test]
    fn the_partition_of_an_assumed_role_is_kept() {
        let arn = "arn:aws-cn:sts::123456789012:assumed-role/ship/x";
        assert_eq!(principal(arn), "arn:aws-cn:iam::123456789012:role/ship");
    }

    #[test]
    fn users_and_the_root_user_are_their_own_principals() {
        let user = "arn:aws:iam::123456789012:user/team/eks-manager";
        assert_eq!(who(user).as_deref(), Some("user `eks-manager`"));
        assert_eq!(principal(user), user);
        assert_eq!(who("arn:aws:iam::123456789012:root").as_deref(), Some("the root user"));
        assert_eq!(who("nonsense"), None);
    }

    #[test]
    fn a_path_does_not_make_another_role_but_another_account_does() {
        let bare = "arn:aws:iam::123456789012:role/ship";
        assert!(same_role(bare, "arn:aws:iam::123456789012:role/ci/ship"));
        assert!(!same_role(bare, "arn:aws:iam::210987654321:role/ship"));
        assert!(!same_role(bare, "arn:aws:iam::123456789012:role/shipper"));
        assert!(!same_role("arn:aws:iam::123456789012:user/a", "arn:aws:iam::123456789012:user/b"));
    }

    #[test]
    fn a_resource_is_named_without_its_kind() {
        let web = "arn:aws:ecr:eu-west-1:123456789012:repository/team/web";
        assert_eq!(resource_name(web), Some("team/web"));
        assert_eq!(resource_name("*"), None);
    }
}
