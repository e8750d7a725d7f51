//! Rights: what the server answers for an account, and what a policy computes.

use argocd_client::ErrorKind;
use argocd_client::mock::ArgoCdMock;
use argocd_client::rbac::{MatchMode, Policy, Subject};

use super::command_line::get;

#[tokio::test]
async fn rights_are_asked_with_known_words_and_the_namespace_of_argo_cd_is_no_part_of_a_name() {
    let argocd = ArgoCdMock::builder()
        .restricted_account("dev")
        .policy("p, dev, applications, sync, team/web, allow")
        .start()
        .await;
    let dev = argocd.client_of("dev");

    for (object, allowed) in [
        ("team/web", true),
        ("team/argocd/web", true),
        ("team/elsewhere/web", false),
        ("team/db", false),
    ] {
        let answer = dev.can_i("applications", "sync", object).await.unwrap();
        assert_eq!(answer, allowed, "{object}");
    }
    for (resource, action) in [("applications", "fly"), ("planes", "get")] {
        let error = dev.can_i(resource, action, "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    }
    // The gateway takes a colon for a verb.
    let address = "/api/v1/account/can-i/clusters/get/https:%2F%2Fh:6443";
    let error = get(&dev, address, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

/// The same policy, asked by the accounts themselves and computed for them.
#[tokio::test]
async fn a_computed_right_is_what_the_account_is_told() {
    let csv = "p, role:deployer, applications, *, team/*, allow\np, role:deployer, applications, delete, team/db, deny\n\
               g, dev, role:deployer\np, ops, clusters, get, https://10.*, allow\ng, ops, role:readonly";
    let argocd = ArgoCdMock::builder()
        .restricted_account("dev")
        .restricted_account("ops")
        .restricted_account("nobody")
        .policy(csv)
        .start()
        .await;
    let policy = Policy::built_in(MatchMode::Glob).with_csv(csv).unwrap();
    let mut allowed = 0;
    for account in ["dev", "ops", "nobody", "admin"] {
        let client = argocd.client_of(account);
        for (resource, objects) in [
            (
                "applications",
                &["team/web", "team/db", "other/web", "*"] as &[&str],
            ),
            ("clusters", &["*", "10.5.0.2"]),
            ("projects", &["team", "*"]),
            ("logs", &["team/web"]),
            ("exec", &["team/web"]),
        ] {
            for action in ["get", "create", "update", "delete", "sync"] {
                for object in objects {
                    let told = client.can_i(resource, action, object).await.unwrap();
                    let computed =
                        policy.allows(&Subject::account(account), resource, action, object);
                    assert_eq!(computed, told, "{account}: {resource}, {action}, {object}");
                    allowed += u32::from(told);
                }
            }
        }
    }
    assert!(allowed > 30, "{allowed}");
    // An address cannot be asked for.
    assert!(policy.allows(&"ops".into(), "clusters", "get", "https://10.5.0.2:6443"));
}
