//! Questions before changes of many keys, or of what many keys share.

use serde_json::json;

use super::{
    User,
    terminal::{CTRL_C, Terminal},
};
use crate::support::operator::Site;

#[tokio::test]
async fn many_keys_are_changed_once_their_number_was_typed() {
    let site = Site::start(&[]).await;
    let user = User::of(&site);
    for name in ["A", "B"] {
        user.good(&["keys", "create", name, "-p", "a.read", "-l", "team=web"]).await;
    }
    let start = ["jobs", "start", "deactivate", "--label", "team=web", "--watch"];
    for (typed, code) in [("3\n", 130), (CTRL_C, -1), ("2\n", 0)] {
        let inactive = user.json(&["keys", "list", "--state", "inactive"]).await;
        assert_eq!(inactive, json!([]));
        let mut command = user.command(&start);
        command.env("PAGER", "cat");
        let mut terminal = Terminal::start(&command);
        terminal.until("Type that number").await;
        terminal.press(typed);
        let status = terminal.ended().await;
        // Ctrl-C ends it by the signal itself, which what stands between may tell as 130
        let ended = status.code().unwrap_or(-1);
        assert!(ended == code || (code == -1 && ended == 130), "{typed:?} {status}");
    }
    let inactive = user.json(&["keys", "list", "--state", "inactive"]).await;
    assert_eq!(inactive.as_array().unwrap().len(), 2, "{inactive}");
}

#[tokio::test]
async fn a_group_is_removed_after_a_yes_only() {
    let site = Site::start(&[]).await;
    let user = User::of(&site);
    user.good(&["groups", "create", "readers", "-p", "a.read"]).await;
    for (typed, code) in [("\n", 130), ("n\n", 130), ("y\n", 0)] {
        user.good(&["groups", "show", "readers"]).await;
        let mut terminal = Terminal::start(&user.command(&["groups", "delete", "readers"]));
        terminal.until("[y/N]").await;
        terminal.press(typed);
        assert_eq!(terminal.ended().await.code(), Some(code), "{}", terminal.shown());
    }
    user.run(&["groups", "show", "readers"]).await.assert_refusal(3, &["GROUP_NOT_FOUND"]);
}
