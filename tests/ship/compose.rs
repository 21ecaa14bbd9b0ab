//! The compose file: it holds together, and sets what the program reads.

use std::collections::BTreeMap;

use keyward::envoy::{self, example};
use serde_json::Value;

use crate::{
    manifests::STORED_AFTER_SECONDS,
    settings::{assert_accepted, flags},
    support::{file, items, read, word},
    yaml,
};

const COMPOSE: &str = "deploy/compose.yaml";

/// A time such as `45s`.
fn seconds(time: &Value) -> u64 {
    time.as_str().and_then(|text| text.strip_suffix('s')).unwrap().parse().unwrap()
}

#[test]
fn what_the_compose_file_sets_the_program_accepts() {
    let compose = yaml::parse_one(&read(COMPOSE));
    let services = compose["services"].as_object().unwrap();
    let mut found = Vec::new();
    for (name, service) in services.iter().filter(|(_, service)| service["image"] == "keyward") {
        let variables = service["environment"].as_object().unwrap().iter();
        let mut variables: BTreeMap<String, String> = variables
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        let command = items(service, "/command").first().map_or("serve", |it| it.as_str().unwrap());
        if command == "migrate" {
            // it has the environment of those that serve
            let known = flags(&["migrate"]);
            variables.retain(|name, _| known.contains_key(name));
        }
        assert_accepted(&[command], &variables, &format!("{COMPOSE}, {name}"));
        let times =
            ["KEYWARD_DRAIN_DELAY", "KEYWARD_DRAIN_TIMEOUT"].map(|it| &service["environment"][it]);
        let needed: u64 = times.into_iter().map(seconds).sum::<u64>() + STORED_AFTER_SECONDS;
        assert!(seconds(&service["stop_grace_period"]) > needed, "{name} has the time to end");
        found.push(name.as_str());
    }
    assert_eq!(found, ["keyward-1", "keyward-2", "migrate"]);
}

#[test]
fn containers_have_no_rights_and_no_secret_is_written_down() {
    let compose = yaml::parse_one(&read(COMPOSE));
    for (name, service) in compose["services"].as_object().unwrap() {
        if name != "postgres" {
            assert_eq!(service["read_only"], true, "{name}");
            assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        }
        for port in items(service, "/ports") {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port}");
        }
        let variables = service["environment"].as_object().into_iter().flatten();
        for (variable, value) in
            variables.filter(|(name, _)| name.contains("PASS") || name.contains("PEPPER"))
        {
            assert!(value.as_str().unwrap().starts_with("${"), "{name}: {variable}");
        }
    }
}

#[test]
fn its_envoy_has_the_example_s_configuration_and_asks_both_keywards() {
    let compose = yaml::parse_one(&read(COMPOSE));
    let envoy = read("deploy/compose/envoy.yaml");
    let mount = word(&compose, "/services/envoy/volumes/0");
    assert!(file(&format!("deploy/{}", mount.split(':').next().unwrap())).exists(), "{mount}");
    let choices = example::Choices {
        listen: "0.0.0.0:8080".parse().unwrap(),
        upstream: example::HostPort::parse("upstream:8081").unwrap(),
        keyward: example::HostPort::parse("keyward:50051").unwrap(),
        environment: keyward::model::name::EnvironmentName::parse("production").unwrap(),
        key_sources: keyward::model::key_source::KeySources::parse("header:x-api-key,bearer")
            .unwrap(),
    };
    assert_eq!(
        envoy,
        example::render(&choices),
        "keyward envoy example --listen 0.0.0.0:8080 --keyward keyward:50051 --upstream upstream:8081 >deploy/compose/envoy.yaml"
    );
    assert!(envoy::check(&envoy, None).unwrap().is_empty());
    for keyward in ["keyward-1", "keyward-2"] {
        let aliases = compose.pointer(&format!("/services/{keyward}/networks/default/aliases"));
        assert_eq!(aliases, Some(&serde_json::json!(["keyward"])));
    }
    assert!(compose["services"]["upstream"].is_object());
}
