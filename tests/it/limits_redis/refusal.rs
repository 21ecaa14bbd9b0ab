//! Settings that make no sense: the start is refused, and no password is shown.

use crate::support::{
    database::{Database, PEPPER},
    program::{Ended, program, run},
};

const PASSWORD: &str = "hunter2-of-redis";

async fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let database = Database::empty();
    let mut serve = program(&["serve"]);
    serve.args(arguments).env("DATABASE_URL", &database.url).env("KEYWARD_PEPPER", PEPPER);
    serve.envs(variables.iter().copied());
    let ended = run(serve).await;
    let told = format!("{}{}", ended.complained, ended.printed);
    assert!(!told.contains(PASSWORD), "{ended:?}");
    ended
}

#[tokio::test]
async fn a_url_that_leads_nowhere_is_refused_without_its_password() {
    for url in [
        format!("redis://u:{PASSWORD}@"),
        format!("redis://u:{PASSWORD}@host:port"),
        format!("redis://u:{PASSWORD}@host:6379/db"),
        format!("redis://u:{PASSWORD}@host:99999/0"),
        format!("rediss://u:{PASSWORD}@host:port"),
        format!("http://u:{PASSWORD}@host:6379"),
        format!("host:6379:{PASSWORD}"),
        format!("redis+cluster://u:{PASSWORD}@"),
        format!("redis+cluster://u:{PASSWORD}@a:6379,b:port"),
        format!("redis+sentinel://u:{PASSWORD}@a:26379"),
        format!("redis+sentinel://u:{PASSWORD}@a:26379/"),
        format!("redis+sentinel://u:{PASSWORD}@a:port/master"),
        format!("redis+sentinel://u:{PASSWORD}@a:26379/master/db"),
        PASSWORD.to_owned(),
    ] {
        println!("{url}");
        let ended = refused(&["--redis-url", &url], &[]).await;
        ended.assert_refusal(2, &["--redis-url (REDIS_URL)"]);
        let ended = refused(&[], &[("REDIS_URL", &url)]).await;
        ended.assert_refusal(2, &["--redis-url (REDIS_URL)"]);
    }
}

#[tokio::test]
async fn modes_and_urls_belong_together() {
    for mode in ["fast", "exact"] {
        let words = ["--limit-sharing", "--redis-url (REDIS_URL)", "--redis-url-file"];
        refused(&["--limit-sharing", mode], &[]).await.assert_refusal(2, &words);
    }
    let url = format!("redis://u:{PASSWORD}@127.0.0.1:1/0");
    let local = ["--limit-sharing", "local", "--redis-url", &url];
    let words = ["--limit-sharing", "local", "--redis-url"];
    refused(&local, &[]).await.assert_refusal(2, &words);
    let words = ["--redis-url", "--redis-url-file"];
    let both = ["--redis-url", &url, "--redis-url-file", "/nowhere"];
    refused(&both, &[]).await.assert_refusal(2, &words);
    let file = ["--limit-sharing", "exact", "--redis-url-file", "/nowhere/url"];
    refused(&file, &[]).await.assert_refusal(2, &["--redis-url-file", "/nowhere/url"]);
    let file = ["--redis-url", &url, "--redis-ca-file", "/nowhere/ca"];
    refused(&file, &[]).await.assert_refusal(2, &["--redis-ca-file", "/nowhere/ca"]);
}

#[tokio::test]
async fn other_settings_of_sharing_have_bounds() {
    for (setting, value) in [
        ("--redis-timeout", "0ms"),
        ("--redis-timeout", "2s"),
        ("--replicas", "0"),
        ("--replicas", "1001"),
        ("--limit-sync-interval", "0s"),
        ("--redis-prefix", ""),
        ("--redis-prefix", "a b"),
        ("--redis-prefix", "{a}"),
        ("--limit-sharing", "sometimes"),
    ] {
        refused(&[setting, value], &[]).await.assert_refusal(2, &[setting]);
    }
}
