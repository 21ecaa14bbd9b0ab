//! What goes wrong is told in words, by the name of the flag, and by the exit code.

use super::{User, text};
use crate::support::operator::Site;

/// A key that nobody has.
const NOBODY: &str = "key_01m7xstrfsfh0tx2xay5s0g0qv";

#[tokio::test]
async fn a_bad_value_is_told_by_its_flag() {
    let site = Site::shared();
    let user = User::of(&site);
    for (arguments, flag) in [
        (&["keys", "create", "X", "-p", "NO"][..], "--permission: must"),
        (&["keys", "create", " X", "-p", "a"], "NAME: must not begin"),
        (&["keys", "create", "X", "--environment", "nowhere"], "--environment: must"),
        (&["keys", "create", "X", "--expires", "2020-01-01"], "--expires: must lie"),
        (&["keys", "create", "X", "--route", "api"], "--route: "),
        (&["keys", "create", "X", "--rate", "A=1/1s"], "--rate, --quota, --concurrency: must"),
        (&["keys", "list", "--created-by", "me"], "--created-by: "),
        (&["keys", "list", "--expires-before", "soon"], "--expires-before"),
        (&["keys", "update", NOBODY, "--allow-from", "here"], "--allow-from: "),
        (&["keys", "regenerate", NOBODY, "--overlap", "31days"], "--overlap: must"),
        (&["keys", "revoke", NOBODY, "--reason", "other", "-y"], "--comment: is required"),
        (&["keys", "show", "key_1"], "KEY: must be"),
        (&["keys", "list", "--timeout", "0s"], "--timeout"),
    ] {
        user.run(arguments).await.assert_refusal(2, &[flag]);
    }
}

#[tokio::test]
async fn what_is_not_there_ends_with_3() {
    let site = Site::shared();
    let user = User::of(&site);
    for command in ["show", "activate", "deactivate", "undelete", "regenerate", "explain"] {
        let ended = user.run(&["keys", command, NOBODY]).await;
        ended.assert_refusal(3, &["KEY_NOT_FOUND", "keyward keys list"]);
    }
    user.run(&["keys", "show", "No such name"]).await.assert_refusal(3, &["no key has the name"]);
}

#[tokio::test]
async fn who_may_not_is_told_what_is_missing_and_ends_with_4() {
    let site = Site::shared();
    let reader = site.operator(&["keyward.keys.read"]).await;
    let reader = User::with(site.server.admin, &reader.made.token);
    let (id, _) = User::of(&site).make("Not for readers").await;
    reader.good(&["keys", "show", &id]).await;
    for (arguments, permission) in [
        (&["keys", "create", "X", "-p", "a"][..], "keyward.keys.write"),
        (&["keys", "update", &id, "--name", "Y"], "keyward.keys.write"),
        (&["keys", "deactivate", &id], "keyward.keys.write"),
        (&["keys", "revoke", &id, "--reason", "abuse", "-y"], "keyward.keys.revoke"),
        (&["keys", "delete", &id, "-y", "--confirm", "Not for readers"], "keyward.keys.delete"),
    ] {
        reader.run(arguments).await.assert_refusal(4, &["PERMISSION_MISSING", permission]);
    }
    let nobody = User::with(site.server.admin, "kw_prod_nobody");
    nobody.run(&["keys", "list"]).await.assert_refusal(4, &["KEY_", "keyward login"]);
}

#[tokio::test]
async fn a_server_that_is_away_or_silent_ends_with_5() {
    let site = Site::start(&[]).await;
    let user = User::of(&site);
    site.server.pause();
    let silent = user.run(&["keys", "list", "--timeout", "300ms"]).await;
    silent.assert_refusal(5, &["did not answer in time", "--timeout"]);
    let changed = user.run(&["keys", "deactivate", NOBODY, "--timeout", "300ms"]).await;
    changed.assert_refusal(5, &["is not known"]);
    for stream in [
        &["audit", "verify"][..],
        &["audit", "export"],
        &["decisions", "list", "--follow"],
        &["keys", "import", "-"],
    ] {
        let silent = user.run(&[stream, &["--timeout", "300ms"]].concat()).await;
        silent.assert_refusal(5, &["did not answer in time"]);
    }
    drop(site);
    let away = user.run(&["keys", "list"]).await;
    away.assert_refusal(5, &["does not answer", &user.server, "is it running"]);
    let away = user.run(&["keys", "deactivate", NOBODY]).await;
    away.assert_refusal(5, &["does not answer"]);
    assert!(!away.complained.contains("is not known"), "{away:?}");
}

#[tokio::test]
async fn a_file_that_is_too_long_is_not_taken_in_part() {
    let site = Site::shared();
    let user = User::of(&site);
    let long = user.file("long", &"GET /a/{id} systems.read\n".repeat(50_000));
    for noun in ["routes", "catalogue"] {
        let set = ["domains", noun, "set", "default", text(&long), "--dry-run"];
        user.run(&set).await.assert_refusal(1, &["FILE: ", "more than 1048576 bytes"]);
    }
    let token = ["authorize", "-p", "a", "--key-file", text(&long)];
    user.run(&token).await.assert_refusal(1, &["--key-file: ", "more than 4096 bytes"]);
}

#[tokio::test]
async fn the_wrong_listener_is_recognised() {
    let site = Site::shared();
    let user = User::with(site.server.authorize, &site.database.root_token);
    user.run(&["keys", "list"]).await.assert_refusal(2, &["admin listener"]);
}

#[tokio::test]
async fn without_a_key_nothing_is_asked() {
    let site = Site::shared();
    let user = User::of(&site);
    let mut command = user.bare(&["keys", "list"]);
    command.env("KEYWARD_SERVER", &user.server);
    let ended = crate::support::program::run(command).await;
    ended.assert_refusal(4, &["no admin key", "keyward login", "KEYWARD_TOKEN"]);
}
