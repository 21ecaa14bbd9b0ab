//! `keyward keys` and `keyward authorize`: each does what it says.

use serde_json::{Value, json};

use super::User;
use crate::support::operator::Site;

#[tokio::test]
async fn a_new_key_is_printed_once_and_alone() {
    let site = Site::shared();
    let user = User::of(&site);
    let made = user.good(&["keys", "create", "Printed once", "-p", "systems.read"]).await;
    let token = made.printed.strip_suffix('\n').unwrap();
    assert!(token.starts_with("kw_prod_") && !token.contains(char::is_whitespace), "{made:?}");
    assert!(!made.complained.contains(token), "{made:?}");
    assert!(made.complained.contains("Made Printed once (key_"), "{made:?}");
    let decided = user.feed(&["authorize", "-p", "systems.read"], token).await;
    assert_eq!(decided.code, 0, "{decided:?}");
    assert!(decided.printed.contains("allowed (200)"), "{decided:?}");
    assert!(!decided.printed.contains(token) && !decided.complained.contains(token));
}

#[tokio::test]
async fn a_denied_decision_ends_with_1_and_says_why() {
    let site = Site::shared();
    let user = User::of(&site);
    let (id, token) = user.make("Denied").await;
    let decided = user.feed(&["authorize", "-p", "systems.write", "-o", "json"], &token).await;
    let answer: Value = serde_json::from_str(&decided.printed).unwrap();
    assert_eq!((decided.code, &answer["reason"]), (1, &json!("REASON_PERMISSION_DENIED")));
    assert_eq!(answer["keyId"], json!(id));
    let file = user.file("token", &token);
    let from_file = ["authorize", "-p", "systems.write", "--key-file", super::text(&file)];
    let decided = user.run(&from_file).await;
    assert_eq!(decided.code, 1, "{decided:?}");
    assert!(decided.printed.contains("PERMISSION_DENIED: needs systems.write"), "{decided:?}");
    let unknown = user.feed(&["authorize", "-p", "systems.read"], "kw_other").await;
    assert_eq!(unknown.code, 1, "{unknown:?}");
}

#[tokio::test]
async fn a_key_is_stopped_ended_and_brought_back() {
    let site = Site::shared();
    let user = User::of(&site);
    let (id, token) = user.make("Up and down").await;
    for (arguments, verdict) in [
        (&["keys", "deactivate", &*id][..], 1),
        (&["keys", "activate", &id], 0),
        (&["keys", "revoke", &id, "--reason", "abuse", "--yes"], 1),
        (&["keys", "activate", "Up and down"], 0),
        (&["keys", "delete", &id, "--yes", "--confirm", "Up and down"], 1),
        (&["keys", "undelete", "Up and down"], 0),
    ] {
        let told = user.json(arguments).await;
        let revision = told["revision"].as_str().unwrap();
        let asked = ["authorize", "-p", "systems.read", "--min-revision", revision];
        let decided = user.feed(&asked, &token).await;
        assert_eq!(decided.code, verdict, "{arguments:?} {decided:?}");
    }
}

#[tokio::test]
async fn an_update_changes_what_is_given_and_no_more() {
    let site = Site::shared();
    let user = User::of(&site);
    let arguments = [
        ["keys", "create", "All of it", "-p"],
        ["systems.read", "--description", "one", "--route"],
        ["GET,HEAD /api", "--customer", "c1", "--allow-from"],
        ["192.0.2.0/24", "--expires", "30d", "--label"],
        ["team=a", "--rate", "api=100/1m+200", "--quota"],
        ["calls=1000/month", "--concurrency", "slots=3", "--self-regenerate"],
    ];
    let made = user.json(&arguments.concat()).await;
    let id = made["key"]["id"].as_str().unwrap();
    let before = user.json(&["keys", "show", id]).await;
    assert_eq!(before["limits"].as_array().unwrap().len(), 3);

    let changed = ["keys", "update", id, "-p", "systems,users.read", "--clear", "expires"];
    user.good(&[&changed[..], &["--clear", "limits", "--name", "Less"]].concat()).await;
    let after = user.json(&["keys", "show", id]).await;
    let mut expected = before.clone();
    let object = expected.as_object_mut().unwrap();
    object.remove("expireTime");
    object.remove("limits");
    object.insert("permissions".into(), json!(["systems", "users.read"]));
    object.insert("displayName".into(), json!("Less"));
    object.insert("etag".into(), after["etag"].clone());
    object.insert("updateTime".into(), after["updateTime"].clone());
    assert_eq!(after, expected);
    assert_ne!(after["etag"], before["etag"]);

    let stale = ["keys", "update", id, "--description", "two", "--etag", "v1"];
    user.run(&stale).await.assert_refusal(6, &["ETAG_MISMATCH", "changed it meanwhile"]);
    let nothing = ["keys", "update", id, "--dry-run", "--description", "two"];
    assert!(user.good(&nothing).await.complained.contains("Nothing was changed"));
    assert_eq!(user.json(&["keys", "show", id]).await, after);
}

#[tokio::test]
async fn a_regenerated_key_has_another_token_and_can_keep_the_old_one_a_while() {
    let site = Site::shared();
    let user = User::of(&site);
    let (id, old) = user.make("Regenerated").await;
    let made = user.good(&["keys", "regenerate", &id, "--overlap", "1h"]).await;
    assert_ne!(made.printed.trim(), old);
    for token in [&old, made.printed.trim()] {
        // decided by what the server knows already, since it waited for the change
        let decided = user.feed(&["authorize", "-p", "systems.read"], token).await;
        assert_eq!(decided.code, 0, "{decided:?}");
    }
    let shown = user.good(&["keys", "show", &id]).await.printed;
    assert!(shown.contains("Old token:") && shown.contains("works until in"), "{shown}");
}

#[tokio::test]
async fn a_repeated_request_makes_no_second_key_and_says_so() {
    let site = Site::shared();
    let user = User::of(&site);
    let create = ["keys", "create", "Twice", "-p", "systems.read", "--request-id", "cli-twice"];
    user.good(&create).await;
    user.run(&create).await.assert_refusal(1, &["its token is not shown again", "keys regenerate"]);
    let found = user.json(&["keys", "list", "--search", "Twice"]).await;
    assert_eq!(found.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_explanation_has_permissions_and_checks() {
    let site = Site::shared();
    let user = User::of(&site);
    let (id, _) = user.make("Explained").await;
    let explained = user.good(&["keys", "explain", &id, "-p", "systems.write"]).await.printed;
    for words in ["systems.read  itself (systems.read)", "Such a request is denied", "failed"] {
        assert!(explained.contains(words), "{words} {explained}");
    }
    let explained = user.json(&["keys", "explain", &id]).await;
    assert_eq!(explained["permissions"][0]["permission"], json!("systems.read"));
    assert_eq!(explained.get("explanation"), None);
}

#[tokio::test]
async fn a_list_follows_pages_up_to_its_limit() {
    let site = Site::shared();
    let user = User::of(&site);
    for number in 0..3 {
        user.make(&format!("Paged {number}")).await;
    }
    let list = ["keys", "list", "--search", "Paged", "--sort", "name", "--descending"];
    let names = |keys: Value| -> Vec<String> {
        let keys = keys.as_array().unwrap().clone();
        keys.iter().map(|key| key["displayName"].as_str().unwrap().to_owned()).collect()
    };
    let all = names(user.json(&list).await);
    assert_eq!(all, ["Paged 2", "Paged 1", "Paged 0"]);
    let limited = user.good(&[&list[..], &["--limit", "2"]].concat()).await;
    assert!(limited.complained.contains("more than 2"), "{limited:?}");
    assert_eq!(limited.printed.lines().count(), 3, "{limited:?}");
}

#[tokio::test]
async fn nobody_is_deleted_or_revoked_without_an_answer() {
    let site = Site::shared();
    let user = User::of(&site);
    let (id, _) = user.make("Stays").await;
    let revoke = ["keys", "revoke", &*id, "--reason", "abuse"];
    user.run(&revoke).await.assert_refusal(2, &["no terminal", "--yes"]);
    user.run(&["keys", "delete", &id]).await.assert_refusal(2, &["no terminal", "--confirm"]);
    user.run(&["keys", "delete", &id, "--yes"]).await.assert_refusal(2, &["--confirm"]);
    let wrong = ["keys", "delete", &*id, "--yes", "--confirm", "stays"];
    user.run(&wrong).await.assert_refusal(2, &["--confirm"]);
    assert_eq!(user.json(&["keys", "show", &id]).await["state"], json!("KEY_STATE_ACTIVE"));
}
