//! What keys share: each command does what it says, and programs read what it prints.

use serde_json::{Value, json};

use super::{User, text};
use crate::support::operator::Site;

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_group_is_made_shown_changed_and_removed() {
    let site = Site::start(&[]).await;
    let user = User::of(&site);
    let made = user.json(&["groups", "create", "readers", "-p", "a.read,b.read"]).await;
    assert_eq!(made["group"]["displayName"], "readers");
    assert!(made["revision"].as_str().unwrap().parse::<i64>().unwrap() > 0);
    let edit = ["--add-permission", "c.read", "--remove-permission", "a.read"];
    user.good(&[&["groups", "update", "readers"], &edit[..]].concat()).await;
    let shown = user.json(&["groups", "show", "readers"]).await;
    assert_eq!(texts(&shown["permissions"]), ["b.read", "c.read"]);
    let etag = shown["etag"].as_str().unwrap();
    user.good(&["groups", "update", "readers", "--description", "x", "--dry-run"]).await;
    assert_eq!(user.json(&["groups", "show", "readers"]).await, shown);
    user.good(&["groups", "update", "readers", "--clear", "permissions"]).await;
    let late = ["groups", "update", "readers", "--description", "x", "--etag", etag];
    user.run(&late).await.assert_refusal(6, &["ETAG_MISMATCH"]);
    let listed = user.json(&["groups", "list"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    user.run(&["groups", "delete", "readers"]).await.assert_refusal(2, &["--yes"]);
    user.good(&["groups", "delete", "readers", "--yes"]).await;
    user.run(&["groups", "show", "readers"]).await.assert_refusal(3, &["GROUP_NOT_FOUND"]);
}

#[tokio::test]
async fn a_group_in_use_is_removed_by_force_only() {
    let site = Site::start(&[]).await;
    let user = User::of(&site);
    user.good(&["groups", "create", "readers", "-p", "a.read"]).await;
    user.good(&["users", "create", "ada", "--kind", "person", "-g", "readers"]).await;
    let delete = ["groups", "delete", "readers", "--yes"];
    user.run(&delete).await.assert_refusal(6, &["GROUP_IN_USE"]);
    let dry = user.good(&["groups", "delete", "readers", "--force", "--dry-run"]).await;
    assert!(dry.complained.contains("0 key(s) and 1 user(s)"), "{dry:?}");
    user.good(&["groups", "show", "readers"]).await;
    user.good(&[&delete[..], &["--force"]].concat()).await;
    let ada = user.json(&["users", "show", "ada"]).await;
    assert_eq!(texts(&ada["deletedGroups"]), ["readers"]);
}

#[tokio::test]
async fn a_user_is_stopped_and_let_go_on() {
    let site = Site::start(&[]).await;
    let user = User::of(&site);
    let made = ["users", "create", "ada", "--kind", "service", "--quota", "calls=10/day"];
    let made = user.json(&made).await;
    assert_eq!(made["user"]["limits"][0]["quota"]["limit"], "10");
    user.run(&["users", "disable", "ada"]).await.assert_refusal(2, &["--yes"]);
    user.good(&["users", "disable", "ada", "--yes"]).await;
    let shown = user.good(&["users", "show", "ada"]).await.printed;
    assert!(shown.contains("disabled"), "{shown}");
    user.good(&["users", "enable", "ada"]).await;
    let listed = user.json(&["users", "list", "--kind", "service"]).await;
    assert_eq!((&listed[0]["id"], &listed[0]["disabled"]), (&json!("ada"), &Value::Null));
    assert_eq!(user.json(&["users", "list", "--kind", "person"]).await, json!([]));
    user.good(&["users", "delete", "ada", "-y"]).await;
}

#[tokio::test]
async fn a_route_map_and_a_catalogue_are_read_from_files() {
    let site = Site::start(&[]).await;
    let user = User::of(&site);
    user.good(&["domains", "create", "acme", "--rate", "all=1000/1s"]).await;
    let file = user.file("routes", "# theirs\nget,HEAD /api/{id} a.read\n* /b/** b.{action}\n");
    user.good(&["domains", "routes", "set", "acme", text(&file), "--yes"]).await;
    let map = user.json(&["domains", "routes", "get", "acme"]).await;
    assert_eq!(texts(&map["entries"][0]["methods"]), ["GET", "HEAD"]);
    assert_eq!(map["entries"][1]["permission"], "b.{action}");
    // what is printed can be given again
    let json = map.to_string();
    user.feed(&["domains", "routes", "set", "acme", "-"], &json).await;
    let again = user.json(&["domains", "routes", "get", "acme"]).await;
    assert_eq!(again["entries"], map["entries"]);
    let bad = user.file("bad", "GET /api\n");
    let ended = user.run(&["domains", "routes", "set", "acme", text(&bad), "--yes"]).await;
    ended.assert_refusal(2, &["FILE", "line 1"]);
    let names = user.file("names", "a.read Read a\nb\n");
    user.good(&["domains", "catalogue", "set", "acme", text(&names), "--yes"]).await;
    let printed = user.good(&["domains", "catalogue", "get", "acme"]).await.printed;
    assert!(printed.contains("a.read      Read a"), "{printed}");
    user.good(&["domains", "disable", "acme", "--yes"]).await;
    assert_eq!(user.json(&["domains", "show", "acme"]).await["disabled"], true);
}

#[tokio::test]
async fn environments_customers_and_templates_come_and_go() {
    let site = Site::start(&[]).await;
    let user = User::of(&site);
    for (noun, more, update) in [
        ("environments", &["--tag", "qa"][..], &["--tag", "qas"][..]),
        ("customers", &["--quota", "calls=5/day"], &["--clear", "limits"]),
        ("templates", &["--require", "a.read"], &["--default-lifetime", "90d"]),
    ] {
        let made = user.json(&[&[noun, "create", "x1"], more].concat()).await;
        let thing = &noun[..noun.len() - 1];
        assert_eq!(made[thing]["displayName"], "x1", "{made}");
        let changed = user.json(&[&[noun, "update", "x1"], update].concat()).await;
        assert_ne!(changed[thing]["etag"], made[thing]["etag"]);
        let shown = user.json(&[noun, "show", "x1"]).await;
        assert_eq!(shown, changed[thing]);
        let listed = user.json(&[noun, "list", "--search", "x1"]).await;
        assert_eq!(listed, json!([shown]));
        user.good(&[noun, "delete", "x1", "--yes", "--dry-run"]).await;
        user.good(&[noun, "show", "x1"]).await;
        user.good(&[noun, "delete", "x1", "--yes"]).await;
        user.run(&[noun, "show", "x1"]).await.assert_refusal(3, &["_NOT_FOUND"]);
    }
}

#[tokio::test]
async fn limits_are_set_one_by_one_and_quotas_adjusted() {
    let site = Site::start(&[]).await;
    let user = User::of(&site);
    user.make("Limited").await;
    user.good(&["customers", "create", "inc"]).await;
    user.good(&["users", "create", "ada", "--kind", "person"]).await;
    for owner in [["--key", "Limited"], ["--user", "ada"], ["--customer", "inc"], ["-d", "default"]]
    {
        let limits = async |arguments: &[&str]| {
            let whole = [&["limits"], arguments, &owner[..]].concat();
            user.json(&whole).await
        };
        limits(&["set", "--quota", "calls=100/month"]).await;
        limits(&["set", "--rate", "api=5/1s"]).await;
        limits(&["set", "--quota", "calls=200/month"]).await;
        let shown = limits(&["show"]).await;
        assert_eq!(shown["limits"].as_array().unwrap().len(), 2, "{shown}");
        assert_eq!(shown["quotas"][0]["remaining"], "200");
        let adjusted = limits(&["adjust", "calls", "--used", "150"]).await;
        assert_eq!(adjusted["quota"]["remaining"], "50");
        let adjusted = limits(&["adjust", "calls", "--add-credits", "7"]).await;
        assert_eq!(adjusted["quota"]["remaining"], "57");
        let adjusted = limits(&["adjust", "calls", "--reset"]).await;
        assert_eq!(adjusted["quota"]["remaining"], "207");
        let left = limits(&["remove", "api", "--yes"]).await;
        assert_eq!(left["limits"].as_array().unwrap().len(), 1, "{left}");
        let none = [&["limits", "remove", "api", "--yes"], &owner[..]].concat();
        user.run(&none).await.assert_refusal(3, &["api"]);
    }
}
