//! The settings of limits, as they are given on the command line.

use std::error::Error;

use clap::{CommandFactory, Parser};

use super::*;
use crate::config::ServeArgs;

fn parse(args: &[&str]) -> Result<LimitArgs, String> {
    let args = ["keyward"].iter().chain(args);
    let parsed = ServeArgs::try_parse_from(args).map_err(|error| error.to_string())?;
    Ok(parsed.limits)
}

fn sharing(args: &[&str]) -> Result<(Sharing, bool), String> {
    let sharing = parse(args)?.sharing();
    let told = sharing.map_err(|error| {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    });
    told.map(|(sharing, server)| (sharing, server.is_some()))
}

#[test]
fn good_values_are_read() {
    for (flag, value) in [
        ("--redis-prefix", "a"),
        ("--redis-prefix", "our-keyward_2.x:"),
        ("--redis-timeout", "1ms"),
        ("--redis-timeout", "1s"),
        ("--limit-sync-interval", "10ms"),
        ("--replicas", "1"),
        ("--replicas", "1000"),
        ("--quota-flush-interval", "10ms"),
        ("--failure-limit", "off"),
        ("--failure-limit", "1000000/1d"),
        ("--peer-failure-limit", "1/1ms"),
    ] {
        assert!(parse(&[flag, value]).is_ok(), "{flag} {value}");
    }
}

#[test]
fn what_is_not_given_has_a_default() {
    let limits = parse(&[]).unwrap();
    let minute = FailureLimit::new(60, Duration::from_secs(60)).unwrap();
    assert_eq!(limits.failure_limit, Failures(Some(minute)));
    assert_eq!(limits.peer_failure_limit, Failures(None));
    assert_eq!(limits.redis_timeout, Duration::from_millis(5));
    assert_eq!(limits.limit_sync_interval, Duration::from_millis(100));
    assert_eq!(limits.quota_flush_interval, Duration::from_secs(1));
    assert_eq!((limits.redis_prefix.as_str(), limits.replicas), ("keyward", 1));
}

#[test]
fn bad_values_are_refused_by_name() {
    let long = "a".repeat(65);
    for (flag, value) in [
        ("--limit-sharing", "all"),
        ("--redis-prefix", ""),
        ("--redis-prefix", "a b"),
        ("--redis-prefix", "{a}"),
        ("--redis-prefix", &long),
        ("--redis-timeout", "0ms"),
        ("--redis-timeout", "1001ms"),
        ("--redis-timeout", "5"),
        ("--limit-sync-interval", "9ms"),
        ("--replicas", "0"),
        ("--replicas", "1001"),
        ("--quota-flush-interval", "9ms"),
        ("--failure-limit", "0/1m"),
        ("--failure-limit", "60"),
        ("--failure-limit", "60/"),
        ("--failure-limit", "-1/1m"),
        ("--failure-limit", "1000001/1d"),
        ("--failure-limit", "1/25h"),
        ("--failure-limit", "2/1ms"),
        ("--peer-failure-limit", "on"),
    ] {
        let told = parse(&[&format!("{flag}={value}")]).unwrap_err();
        assert!(told.contains(flag), "{value}: {told}");
    }
}

#[test]
fn every_setting_has_a_variable() {
    let command = ServeArgs::command();
    for (flag, variable) in [
        ("limit-sharing", "KEYWARD_LIMIT_SHARING"),
        ("redis-url", "REDIS_URL"),
        ("redis-url-file", "REDIS_URL_FILE"),
        ("redis-ca-file", "KEYWARD_REDIS_CA_FILE"),
        ("redis-prefix", "KEYWARD_REDIS_PREFIX"),
        ("redis-timeout", "KEYWARD_REDIS_TIMEOUT"),
        ("limit-sync-interval", "KEYWARD_LIMIT_SYNC_INTERVAL"),
        ("replicas", "KEYWARD_REPLICAS"),
        ("quota-flush-interval", "KEYWARD_QUOTA_FLUSH_INTERVAL"),
        ("failure-limit", "KEYWARD_FAILURE_LIMIT"),
        ("peer-failure-limit", "KEYWARD_PEER_FAILURE_LIMIT"),
    ] {
        let argument = command.get_arguments().find(|it| it.get_long() == Some(flag)).unwrap();
        assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(variable));
    }
    let url = command.get_arguments().find(|it| it.get_long() == Some("redis-url")).unwrap();
    assert!(url.is_hide_env_values_set());
}

#[test]
fn replicas_share_through_redis_if_there_is_one() {
    let url = "--redis-url=redis://127.0.0.1:6379/0";
    for (args, expected) in [
        (vec![], (Sharing::Local, false)),
        (vec!["--limit-sharing=local"], (Sharing::Local, false)),
        (vec!["--redis-url="], (Sharing::Local, false)),
        (vec![url], (Sharing::Fast, true)),
        (vec![url, "--limit-sharing=fast"], (Sharing::Fast, true)),
        (vec![url, "--limit-sharing=exact", "--redis-ca-file="], (Sharing::Exact, true)),
    ] {
        assert_eq!(sharing(&args), Ok(expected), "{args:?}");
    }
}

#[test]
fn settings_that_do_not_go_together_are_refused_by_flag_and_variable() {
    let url = "--redis-url=redis://127.0.0.1:6379/0";
    let names = ["--redis-url (REDIS_URL)", "--redis-url-file (REDIS_URL_FILE)"];
    let mode = "--limit-sharing (KEYWARD_LIMIT_SHARING)";
    let no_file = "--redis-url-file=/nowhere/at/all";
    for (args, named) in [
        (vec![url, no_file], names.to_vec()),
        (vec!["--limit-sharing=fast"], [&names[..], &[mode]].concat()),
        (vec!["--limit-sharing=exact"], [&names[..], &[mode]].concat()),
        (vec![url, "--limit-sharing=local"], [&names[..], &[mode]].concat()),
        (vec![no_file], vec![names[1], "/nowhere/at/all"]),
        (
            vec![url, "--redis-ca-file=/nowhere/at/all"],
            vec!["--redis-ca-file (KEYWARD_REDIS_CA_FILE)"],
        ),
        (vec!["--redis-url=http://127.0.0.1"], names.to_vec()),
    ] {
        let told = sharing(&args).unwrap_err();
        for name in named {
            assert!(told.contains(name), "{args:?}: {told}");
        }
    }
}

#[test]
fn a_password_in_a_url_is_never_told() {
    for url in ["http://user:s3cret@host", "redis://user:s3cret@host:x/0", "redis://:s3cret@/0/0"] {
        let args = parse(&["--redis-url", url]).unwrap();
        assert!(!format!("{args:?}").contains("s3cret"));
        if let Err(told) = sharing(&["--redis-url", url]) {
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
}
