//! `keyward login`, `logout` and `contexts`.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use serde_json::json;

use super::{User, text};
use crate::support::{
    operator::Site,
    program::{Ended, run, run_fed},
};

async fn login(user: &User, name: &str, token: &str) -> Ended {
    let arguments = ["login", "--context", name, "--server", &user.server];
    run_fed(user.bare(&arguments), token).await
}

#[tokio::test]
async fn a_login_is_remembered_for_its_owner_alone() {
    let site = Site::shared();
    let user = User::of(&site);
    let ended = login(&user, "one", &user.token).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!ended.complained.contains(&user.token) && ended.printed.is_empty(), "{ended:?}");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(user.contexts()), mode(user.home.join("keyward"))), (0o600, 0o700));
    let files = fs::read_dir(user.home.join("keyward")).unwrap().count();
    assert_eq!(files, 1, "a draft is left");

    let listed = run(user.bare(&["keys", "list"])).await;
    assert_eq!(listed.code, 0, "{listed:?}");
    let contexts = run(user.bare(&["contexts", "list", "-o", "json"])).await.printed;
    let contexts: serde_json::Value = serde_json::from_str(&contexts).unwrap();
    let server = format!("http://{}", user.server);
    let (name, current) = (&contexts[0]["name"], &contexts[0]["current"]);
    assert_eq!((name, current), (&json!("one"), &json!(true)));
    assert_eq!(contexts[0]["server"], json!(server));
    assert!(!contexts.to_string().contains(&user.token));
}

#[tokio::test]
async fn a_token_that_the_server_does_not_take_is_not_remembered() {
    let site = Site::shared();
    let user = User::of(&site);
    login(&user, "bad", "kw_prod_nobody").await.assert_refusal(4, &["KEY_"]);
    login(&user, "none", "").await.assert_refusal(2, &["nothing came"]);
    let (_, token) = user.make("No admin").await;
    login(&user, "holder", &token).await.assert_refusal(1, &["not an admin key"]);
    assert!(!user.contexts().exists());
}

#[tokio::test]
async fn a_file_that_others_may_read_is_refused() {
    let site = Site::shared();
    let user = User::of(&site);
    login(&user, "one", &user.token).await;
    fs::set_permissions(user.contexts(), Permissions::from_mode(0o640)).unwrap();
    let ended = run(user.bare(&["keys", "list"])).await;
    ended.assert_refusal(2, &["others may open it", "0640", "chmod 600"]);
    fs::set_permissions(user.contexts(), Permissions::from_mode(0o600)).unwrap();
    fs::write(user.contexts(), "not ours").unwrap();
    run(user.bare(&["keys", "list"])).await.assert_refusal(2, &["mend or remove"]);
}

#[tokio::test]
async fn contexts_are_chosen_and_forgotten() {
    let site = Site::shared();
    let user = User::of(&site);
    for name in ["one", "two"] {
        assert_eq!(login(&user, name, &user.token).await.code, 0);
    }
    assert_eq!(run(user.bare(&["contexts", "use", "one"])).await.code, 0);
    run(user.bare(&["contexts", "use", "three"])).await.assert_refusal(3, &["three"]);
    run(user.bare(&["keys", "list", "--context", "three"])).await.assert_refusal(3, &["three"]);
    assert_eq!(run(user.bare(&["keys", "list", "--context", "two"])).await.code, 0);
    let gone = run(user.bare(&["logout"])).await;
    assert!(gone.complained.contains("Forgot one") && gone.complained.contains("still works"));
    run(user.bare(&["keys", "list", "--server", &user.server])).await.assert_refusal(4, &[]);
    assert_eq!(run(user.bare(&["contexts", "remove", "two"])).await.code, 0);
    let listed = run(user.bare(&["contexts", "list"])).await.printed;
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(!fs::read_to_string(user.contexts()).unwrap().contains(&user.token));
}

#[tokio::test]
async fn a_remembered_token_goes_to_its_own_server_only() {
    let site = Site::shared();
    let user = User::of(&site);
    login(&user, "one", &user.token).await;
    let elsewhere = site.server.authorize.to_string();
    let ended = run(user.bare(&["keys", "list", "--server", &elsewhere])).await;
    ended.assert_refusal(4, &["there is no admin key for", &elsewhere]);
}

#[tokio::test]
async fn a_token_can_come_from_a_file() {
    let site = Site::shared();
    let user = User::of(&site);
    let file = user.file("token", &format!("{}\n", user.token));
    let asked = ["keys", "list", "--server", &*user.server, "--token-file", text(&file)];
    assert_eq!(run(user.bare(&asked)).await.code, 0);
    let mut command = user.command(&["keys", "list"]);
    for unset in ["KEYWARD_CONTEXT", "KEYWARD_TOKEN_FILE", "KEYWARD_CA", "KEYWARD_CLIENT_KEY"] {
        command.env(unset, "");
    }
    assert_eq!(run(command).await.code, 0, "an empty variable is one that is not set");
    let missing = ["keys", "list", "--server", &*user.server, "--token-file", "/none"];
    run(user.bare(&missing)).await.assert_refusal(1, &["--token-file", "/none"]);
}

#[tokio::test]
async fn who_sends_a_token_to_another_machine_without_tls_is_warned_each_time() {
    let site = Site::shared();
    let user = User::of(&site);
    // Linux takes it for this machine, and an address of this machine is not what it looks like
    let elsewhere = format!("http://0.0.0.0:{}", site.server.admin.port());
    for (server, is_warned) in [(&elsewhere, true), (&user.server, false)] {
        for arguments in [&["keys", "list"][..], &["login"]] {
            let mut command = user.command(arguments);
            command.env("KEYWARD_SERVER", server);
            let ended = run_fed(command, &user.token).await;
            assert_eq!(ended.code, 0, "{ended:?}");
            assert_eq!(ended.complained.contains("without TLS"), is_warned, "{ended:?}");
        }
    }
}

#[tokio::test]
async fn what_was_written_into_the_file_does_nothing_to_a_terminal() {
    let site = Site::shared();
    let user = User::of(&site);
    login(&user, "one", &user.token).await;
    let kept = fs::read_to_string(user.contexts()).unwrap();
    fs::write(user.contexts(), kept.replace("http://", "http://\u{202e}\u{9b}")).unwrap();
    for format in ["table", "json", "yaml"] {
        let shown = run(user.bare(&["contexts", "list", "-o", format])).await;
        assert_eq!(shown.code, 0, "{shown:?}");
        assert!(!shown.printed.contains(['\u{202e}', '\u{9b}']), "{shown:?}");
    }
}
