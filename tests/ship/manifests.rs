//! What the chart makes holds together: probes ask ports that are there, selectors find the pods, secrets are only
//! named, nobody has rights that he does not need.

use std::collections::BTreeSet;

use keyward::rpc::pb::authorize_server::SERVICE_NAME;
use serde_json::{Value, json};

use crate::support::{items, manifests, word};

/// After a drain the program takes 11 seconds at most to store what is only in memory.
pub(crate) const STORED_AFTER_SECONDS: u64 = 11;

/// All objects, each with the file of its values.
fn objects() -> impl Iterator<Item = (&'static str, &'static Value)> {
    manifests().iter().flat_map(|(values, objects)| objects.iter().map(|it| (values.as_str(), it)))
}

/// The pod that an object is or makes, if it does.
fn pod(object: &Value) -> Option<&Value> {
    match word(object, "/kind") {
        "Pod" => Some(object),
        "Deployment" | "Job" => Some(&object["spec"]["template"]),
        _ => None,
    }
}

/// All pods, each with where it is from.
fn pods() -> impl Iterator<Item = (String, &'static Value)> {
    objects().filter_map(|(values, object)| {
        pod(object).map(|pod| (format!("{values}, {}", word(object, "/kind")), pod))
    })
}

/// Whether a selector finds something with these labels.
fn finds(selector: &Value, labels: &Value) -> bool {
    let selector = selector.as_object().unwrap();
    !selector.is_empty() && selector.iter().all(|(name, value)| labels.get(name) == Some(value))
}

#[test]
fn every_object_has_the_namespace_and_a_name_that_may_be_one() {
    for (values, object) in objects() {
        assert_eq!(object["metadata"]["namespace"], "apps", "{values}");
        let name = word(object, "/metadata/name");
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(name.len() <= 63 && name.bytes().all(is_plain), "{values}: {name}");
        assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/name"], "keyward", "{values}");
    }
}

#[test]
fn selectors_find_the_pods_that_serve_and_no_others() {
    for (values, objects) in manifests() {
        let pods: Vec<_> =
            objects.iter().filter_map(|it| Some((word(it, "/kind"), pod(it)?))).collect();
        let mut selectors = 0;
        for object in objects {
            let place = match word(object, "/kind") {
                "Service" => "/spec/selector",
                "Deployment" | "PodDisruptionBudget" => "/spec/selector/matchLabels",
                "NetworkPolicy" => "/spec/podSelector/matchLabels",
                _ => continue,
            };
            selectors += 1;
            for (kind, pod) in &pods {
                let found = finds(object.pointer(place).unwrap(), &pod["metadata"]["labels"]);
                assert_eq!(found, *kind == "Deployment", "{values}: {object:#}");
            }
        }
        assert!(selectors >= 4, "{values}");
        for constraint in
            pods.iter().flat_map(|(_, pod)| items(pod, "/spec/topologySpreadConstraints"))
        {
            let selector = &constraint["labelSelector"]["matchLabels"];
            assert!(
                pods.iter().any(|(_, pod)| finds(selector, &pod["metadata"]["labels"])),
                "{values}"
            );
        }
    }
}

#[test]
fn the_service_monitor_finds_one_service_and_its_port() {
    let mut monitors = 0;
    for (values, objects) in manifests() {
        for monitor in objects.iter().filter(|it| it["kind"] == "ServiceMonitor") {
            monitors += 1;
            let selector = &monitor["spec"]["selector"]["matchLabels"];
            let services = objects.iter().filter(|it| it["kind"] == "Service");
            let found: Vec<_> =
                services.filter(|it| finds(selector, &it["metadata"]["labels"])).collect();
            assert_eq!(found.len(), 1, "{values}");
            assert_eq!(
                found[0]["spec"]["ports"][0]["name"],
                monitor["spec"]["endpoints"][0]["port"]
            );
            assert_eq!(found[0]["spec"]["ports"][0]["targetPort"], "http", "{values}");
        }
    }
    assert_eq!(monitors, 2);
}

#[test]
fn services_policies_and_probes_name_ports_that_the_program_listens_on() {
    for (values, objects) in manifests() {
        let deployment = objects.iter().find(|it| it["kind"] == "Deployment").unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let ports = items(container, "/ports");
        let names: BTreeSet<&str> = ports.iter().map(|it| word(it, "/name")).collect();
        for port in ports {
            let listens = format!("KEYWARD_{}_LISTEN", word(port, "/name").to_uppercase());
            let variable =
                items(container, "/env").iter().find(|it| it["name"] == listens.as_str());
            let number = port["containerPort"].to_string();
            assert!(word(variable.unwrap(), "/value").ends_with(&format!(":{number}")), "{values}");
        }
        for probe in ["readinessProbe", "livenessProbe"] {
            let probe = &container[probe];
            let by_number = ports.iter().any(|it| it["containerPort"] == probe["grpc"]["port"]);
            let by_name = ["/httpGet/port", "/tcpSocket/port"].iter().any(|at| {
                probe
                    .pointer(at)
                    .is_some_and(|port| port.as_str().is_some_and(|it| names.contains(it)))
            });
            assert!(by_number || by_name, "{values}: {probe}");
        }
        let of = |kind: &'static str| objects.iter().filter(move |it| it["kind"] == kind);
        for service in of("Service") {
            let target = word(service, "/spec/ports/0/targetPort");
            assert!(
                names.contains(target) && word(service, "/metadata/name").ends_with(target),
                "{values}"
            );
        }
        for rule in of("NetworkPolicy").flat_map(|it| items(it, "/spec/ingress")) {
            assert!(names.contains(word(rule, "/ports/0/port")), "{values}");
            assert!(!items(rule, "/from").is_empty(), "{values}: from everybody");
        }
    }
}

#[test]
fn a_probe_by_grpc_asks_for_a_service_that_health_knows() {
    let names: BTreeSet<String> = objects()
        .filter_map(|(_, it)| {
            it.pointer("/spec/template/spec/containers/0/readinessProbe/grpc/service")
        })
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, BTreeSet::from([SERVICE_NAME.to_owned()]));
}

#[test]
fn pods_have_no_rights_as_pod_security_restricted_asks() {
    for (place, pod) in pods() {
        let spec = &pod["spec"];
        let rights = &spec["securityContext"];
        assert_eq!(rights["runAsNonRoot"], true, "{place}");
        assert!(rights["runAsUser"].as_i64().unwrap() > 0, "{place}");
        assert_eq!(rights["seccompProfile"], json!({"type": "RuntimeDefault"}), "{place}");
        assert_eq!(spec["automountServiceAccountToken"], false, "{place}");
        assert_eq!(spec["enableServiceLinks"], false, "{place}");
        for name in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
            assert_eq!(spec.get(name), None, "{place}");
        }
        for container in items(spec, "/containers") {
            let wanted = json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            });
            assert_eq!(container["securityContext"], wanted, "{place}");
            assert!(container["resources"]["limits"]["memory"].is_string(), "{place}");
            assert_eq!(container["resources"]["limits"].get("cpu"), None, "{place}");
        }
        let allowed = ["secret", "configMap"];
        for volume in items(spec, "/volumes") {
            let kinds = volume.as_object().unwrap().keys().filter(|name| *name != "name");
            assert!(
                kinds.into_iter().all(|kind| allowed.contains(&kind.as_str())),
                "{place}: {volume}"
            );
        }
    }
}

#[test]
fn every_secret_that_is_named_is_required() {
    let mut mounted = BTreeSet::new();
    for (place, pod) in pods() {
        for volume in items(&pod["spec"], "/volumes") {
            let Some(secret) = volume.get("secret") else { continue };
            let fields: BTreeSet<&str> =
                secret.as_object().unwrap().keys().map(String::as_str).collect();
            let known = BTreeSet::from(["defaultMode", "items", "secretName"]);
            assert!(fields.is_subset(&known), "{place}: a pod must not start without {secret}");
            // octal, as Kubernetes reads it
            assert_eq!(secret["defaultMode"].to_string(), "440", "{place}: {secret}");
            for item in items(secret, "/items") {
                assert_eq!(
                    item.as_object().unwrap().keys().collect::<Vec<_>>(),
                    ["key", "path"],
                    "{place}"
                );
            }
            mounted.insert(word(volume, "/name").to_owned());
        }
    }
    let others = [
        "database",
        "database-tls",
        "notices",
        "notices-ca",
        "other-pepper-0",
        "other-pepper-1",
        "pepper",
        "redis",
        "redis-ca",
    ];
    let all = ["admin", "authorize", "http"]
        .iter()
        .flat_map(|listener| [format!("tls-{listener}"), format!("client-ca-{listener}")])
        .chain(others.map(str::to_owned))
        .collect();
    assert_eq!(mounted, all, "each is in some file with values");
}

/// Paths of the files that a volume has; none if it has whatever a Secret has.
fn paths(volume: &Value) -> Vec<&str> {
    let places = ["/secret/items", "/configMap/items"];
    places.iter().flat_map(|place| items(volume, place)).map(|item| word(item, "/path")).collect()
}

#[test]
fn every_file_that_a_variable_names_is_mounted() {
    let mut named = 0;
    for (place, pod) in pods() {
        for container in items(&pod["spec"], "/containers") {
            let (mut files, mut folders) = (BTreeSet::new(), BTreeSet::new());
            for mount in items(container, "/volumeMounts") {
                let folder = word(mount, "/mountPath");
                assert!(folders.insert(folder) && mount["readOnly"] == true, "{place}: {mount}");
                let volumes = items(&pod["spec"], "/volumes").iter();
                let volume: Vec<_> = volumes.filter(|it| it["name"] == mount["name"]).collect();
                assert_eq!(volume.len(), 1, "{place}: {mount}");
                files.extend(paths(volume[0]).into_iter().map(|path| format!("{folder}/{path}")));
            }
            for variable in items(container, "/env") {
                let value = variable["value"].as_str().unwrap_or_default();
                // a list of files has commas
                for file in value.split(',').filter(|file| file.starts_with("/etc/keyward/")) {
                    assert!(files.contains(file), "{place}: {file} is not among {files:?}");
                    named += 1;
                }
            }
        }
    }
    assert!(named > 30, "{named}");
}

#[test]
fn no_manifest_holds_a_secret() {
    for (values, object) in objects() {
        assert_ne!(object["kind"], "Secret", "{values}");
        let has_password =
            |text: &&str| text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
        assert_eq!(texts(object).into_iter().find(has_password), None, "{values}");
    }
}

/// All texts in a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

#[test]
fn a_pod_has_the_time_to_end() {
    for (values, object) in objects() {
        if object["kind"] != "Deployment" {
            continue;
        }
        let spec = &object["spec"]["template"]["spec"];
        let seconds = |name: &str| {
            let variable = items(spec, "/containers/0/env").iter().find(|it| it["name"] == name);
            let value = word(variable.unwrap(), "/value").to_owned();
            value.strip_suffix('s').unwrap().parse::<u64>().unwrap()
        };
        let drain = seconds("KEYWARD_DRAIN_DELAY") + seconds("KEYWARD_DRAIN_TIMEOUT");
        let grace = spec["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace > drain + STORED_AFTER_SECONDS, "{values}: {grace} for {drain}");
    }
}

#[test]
fn migrations_come_before_pods_are_replaced_or_are_the_pods_own() {
    let mut jobs = 0;
    for (values, objects) in manifests() {
        let job = objects.iter().find(|it| it["kind"] == "Job");
        let deployment = objects.iter().find(|it| it["kind"] == "Deployment").unwrap();
        let env = items(deployment, "/spec/template/spec/containers/0/env");
        let left_alone = env.iter().find(|it| it["name"] == "KEYWARD_NO_MIGRATE").unwrap();
        assert_eq!(word(left_alone, "/value") == "true", job.is_some(), "{values}");
        if let Some(job) = job {
            jobs += 1;
            assert_eq!(
                job["metadata"]["annotations"]["helm.sh/hook"], "pre-install,pre-upgrade",
                "{values}"
            );
            // what the release itself makes is not there yet
            let made: Vec<_> = objects.iter().filter(|it| it["kind"] == "ServiceAccount").collect();
            let account = &job["spec"]["template"]["spec"]["serviceAccountName"];
            assert!(made.iter().all(|it| it["metadata"]["name"] != *account), "{values}");
        }
    }
    assert_eq!(jobs, manifests().len() - 1);
}
