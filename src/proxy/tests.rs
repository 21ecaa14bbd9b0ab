//! Requests as they are read, cleaned and refused.

use proptest::prelude::*;

use super::*;
use crate::proxy::cleaning::{Cleaning, target_without_keys};

fn settings(sources: &str) -> Settings {
    Settings {
        sources: KeySources::parse(sources).unwrap(),
        environment: None,
        customer_field: Some("x-customer".into()),
        trusted_hops: 0,
        deny_when_unavailable: false,
        detailed_401: false,
        www_authenticate: None,
    }
}

fn inquiry<'a>(target: &'a str, fields: &[(&'a str, &'a str)]) -> Inquiry<'a> {
    let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let peer = Some("192.0.2.1".parse().unwrap());
    Inquiry { method: "GET", target: target.as_bytes(), fields: fields.collect(), peer }
}

fn context<'a>(pairs: &[(&'a str, &'a str)]) -> Result<Context<'a>, String> {
    Context::parse(pairs.iter().copied()).map_err(|error| error.to_string())
}

#[test]
fn the_route_of_the_configuration_comes_before_the_path() {
    let (settings, inquiry) = (settings("bearer"), inquiry("/a/b?c=/d?e", &[]));
    let of_route = context(&[("route", "/fixed"), ("environment", "staging")]).unwrap();
    assert_eq!(inquiry.read(&settings, of_route, None).unwrap().route, "/fixed");
    let of_path = context(&[("environment", "staging")]).unwrap();
    let reading = inquiry.read(&settings, of_path, None).unwrap();
    assert_eq!((reading.route, reading.method, reading.environment), ("/a/b", "GET", "staging"));
}

#[test]
fn the_environment_is_that_of_route_listener_or_settings_in_this_order() {
    let environment = Some(EnvironmentName::parse("production").unwrap());
    let read = |configured: bool, own: bool, listener| {
        let configured = environment.clone().filter(|_| configured);
        let settings = Settings { environment: configured, ..settings("bearer") };
        let pairs = [("environment", "staging")];
        let context = context(if own { &pairs } else { &[] }).unwrap();
        let inquiry = inquiry("/", &[]);
        inquiry.read(&settings, context, listener).map(|reading| reading.environment.to_owned())
    };
    assert_eq!(read(false, false, None), Err(Misconfigured::no_environment()));
    assert_eq!(read(true, false, None).unwrap(), "production");
    assert_eq!(read(true, false, Some("development")).unwrap(), "development");
    assert_eq!(read(true, true, Some("development")).unwrap(), "staging");
}

#[test]
fn a_customer_of_the_route_comes_before_that_of_the_field_and_two_are_none() {
    let settings = settings("bearer");
    let customer = |fields: &[(&str, &str)], pairs: &[(&str, &str)]| {
        let mut pairs = pairs.to_vec();
        pairs.push(("environment", "staging"));
        let inquiry = inquiry("/", fields);
        let reading = inquiry.read(&settings, context(&pairs).unwrap(), None).unwrap();
        (reading.customer.to_owned(), reading.trusted_customer().map(str::to_owned))
    };
    let told = |name: &str| (name.to_owned(), Some(name.to_owned()));
    assert_eq!(customer(&[], &[]), (String::new(), None));
    assert_eq!(customer(&[("X-Customer", "acme")], &[]), told("acme"));
    assert_eq!(customer(&[("x-customer", "acme")], &[("customer", "other")]), told("other"));
    let two = [("x-customer", "acme"), ("x-customer", "acme")];
    assert_eq!(customer(&two, &[]), (UNREADABLE.to_owned(), None));
}

#[test]
fn what_a_route_cannot_be_set_up_with_is_refused_with_its_name() {
    for (pairs, told) in [
        (vec![("permision", "a.read")], "permision: is not known"),
        (vec![("", "")], "is not known"),
        (vec![("permission", "")], "permission:"),
        (vec![("permission", "A b")], "permission:"),
        (vec![("environment", "Production")], "environment: must be"),
        (vec![("route", "a")], "route: must be"),
        (vec![("route", "/a/../b")], "route: must be"),
        (vec![("customer", "")], "customer:"),
        (vec![("cost", "-1")], "cost: must be 0 to 1000000000"),
        (vec![("cost", "+1")], "cost:"),
        (vec![("cost", "")], "cost:"),
        (vec![("cost", "1000000001")], "cost:"),
        (vec![("mode", "CHARGE")], "mode: must be charge"),
        (
            vec![("mode", "authenticate_only"), ("permission", "a.read")],
            "permission: is not looked",
        ),
        (vec![("cost", "2"), ("mode", "authenticate_only")], "cost: is not looked"),
    ] {
        let error = context(&pairs).unwrap_err();
        assert!(error.contains(told), "{pairs:?}: {error}");
    }
    let all = [
        ("environment", "production"),
        ("permission", "a.read"),
        ("route", "/a"),
        ("customer", "acme"),
        ("cost", "0"),
        ("mode", "check_only"),
        ("virtual_host", "what Envoy calls it"),
    ];
    let context = context(&all).unwrap();
    assert_eq!((context.cost, context.asking), (0, Asking::CheckOnly));
}

#[test]
fn the_client_is_the_peer_or_what_trusted_proxies_saw() {
    let client = |hops, forwarded: &[&'static str]| {
        let fields: Vec<_> = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect();
        client::address(&inquiry("/", &fields), hops).map(|address| address.to_string())
    };
    let is = |text: &str| Some(text.to_owned());
    assert_eq!(client(0, &["203.0.113.9"]), is("192.0.2.1"));
    assert_eq!(client(1, &[]), None);
    assert_eq!(client(1, &["203.0.113.9"]), is("203.0.113.9"));
    assert_eq!(client(1, &["6.6.6.6, 203.0.113.9"]), is("203.0.113.9"));
    assert_eq!(client(1, &["6.6.6.6", "203.0.113.9"]), is("203.0.113.9"));
    // the proxy has appended its peer already
    assert_eq!(client(1, &["6.6.6.6, 203.0.113.9, 192.0.2.1"]), is("203.0.113.9"));
    assert_eq!(client(1, &["203.0.113.9", "::ffff:192.0.2.1"]), is("203.0.113.9"));
    assert_eq!(client(2, &["6.6.6.6, 203.0.113.9, 10.0.0.1"]), is("203.0.113.9"));
    assert_eq!(client(2, &["203.0.113.9, 10.0.0.1, 192.0.2.1"]), is("203.0.113.9"));
    assert_eq!(client(3, &["203.0.113.9, 10.0.0.1"]), None);
    assert_eq!(client(1, &["203.0.113.9:4711"]), is("203.0.113.9"));
    assert_eq!(client(1, &["[2001:db8::1]:4711"]), is("2001:db8::1"));
    assert_eq!(client(1, &["[2001:db8::1]"]), is("2001:db8::1"));
    assert_eq!(client(1, &["unknown"]), None);
    assert_eq!(client(1, &["203.0.113.9,"]), None);
}

#[test]
fn grpc_is_told_by_the_content_type() {
    for (value, is_grpc) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("Application/gRPC; charset=x", true),
        ("application/grpc-web", false),
        ("application/json", false),
        ("", false),
    ] {
        assert_eq!(inquiry("/", &[("content-type", value)]).is_grpc(), is_grpc, "{value}");
    }
}

fn cleaned(sources: &str, inquiry: &Inquiry<'_>, set: &[&str]) -> Cleaning {
    Cleaning::of(&KeySources::parse(sources).unwrap(), inquiry, set)
}

#[test]
fn what_only_this_service_may_set_is_taken_away_in_all_spellings() {
    let fields = [
        ("x-keyward-user", "evil"),
        ("X-Keyward-Anything", "evil"),
        ("x_keyward_key_id", "evil"),
        ("x-keyward_domain", "evil"),
        ("x-api_key", "k"),
        ("accept", "*/*"),
        ("x-keywards", "fine"),
    ];
    let set = ["x-keyward-key-id", "x-keyward-domain"];
    let fields = cleaned("header:x-api-key", &inquiry("/", &fields), &set).fields;
    for name in [
        "x-keyward-user",
        "x-keyward-anything",
        "x_keyward_key_id",
        "x-keyward_domain",
        "x-api-key",
        "x_api_key",
        "x-api_key",
        "x-keyward-customer",
        "x_keyward_customer",
    ] {
        assert!(fields.iter().any(|field| field == name), "{name} in {fields:?}");
    }
    for name in ["x-keyward-key-id", "x-keyward-domain", "accept", "x-keywards"] {
        assert!(!fields.iter().any(|field| field == name), "{name} in {fields:?}");
    }
}

#[test]
fn authorization_is_taken_away_only_if_it_holds_a_key() {
    let removes = |sources: &str, value: &str| {
        let cleaning = cleaned(sources, &inquiry("/", &[("authorization", value)]), &[]);
        cleaning.fields.iter().any(|field| field == "authorization")
    };
    assert!(removes("bearer", "Bearer k"));
    assert!(removes("basic:haplo", "Basic aGFwbG86aw=="));
    assert!(!removes("basic:other", "Basic aGFwbG86aw=="));
    assert!(!removes("header:x-api-key", "Bearer k"));
    assert!(!removes("bearer", "Digest k"));
}

#[test]
fn cookies_and_parameters_lose_keys_and_nothing_else() {
    let rest = |cookie: &str| {
        let cleaning = cleaned("cookie:k", &inquiry("/", &[("cookie", cookie)]), &[]);
        cleaning.cookie.map(|rest| String::from_utf8(rest).unwrap())
    };
    assert_eq!(rest("a=1; b=2"), None);
    assert_eq!(rest("k=1").as_deref(), Some(""));
    assert_eq!(rest("a=1; k=1;b=\"x y\"").as_deref(), Some("a=1; b=\"x y\""));
    assert_eq!(rest("k=; a=1").as_deref(), Some("a=1"));
    let sources = KeySources::parse("query:k").unwrap();
    for (target, clean, named) in [
        ("/a", "/a", 0),
        ("/a?", "/a", 0),
        ("/a?k=1", "/a", 1),
        ("/a?b=1&k=1&c", "/a?b=1&c", 1),
        ("/a?k", "/a", 1),
        ("/a?b=k=1&kk=2", "/a?b=k=1&kk=2", 0),
    ] {
        let inquiry = inquiry(target, &[]);
        assert_eq!(target_without_keys(&sources, &inquiry), clean.as_bytes(), "{target}");
        assert_eq!(cleaned("query:k", &inquiry, &[]).parameters.len(), named, "{target}");
    }
}

proptest! {
    /// What is read as a key is what is taken away.
    #[test]
    fn a_key_that_was_found_is_nowhere_in_what_goes_upstream(
        place in 0..5_usize,
        before in "[a-z]{0,3}",
        after in "[a-z]{0,3}",
    ) {
        const SOURCES: &str = "header:x-api-key,bearer,basic:u,query:k,cookie:k";
        const KEY: &str = "SECRETKEY";
        let cookie = format!("{before}=1; k={KEY}; {after}=2");
        let query = format!("/p?{before}=1&k={KEY}&{after}=2");
        let bearer = format!("Bearer {KEY}");
        let (target, fields) = match place {
            0 => ("/p", vec![("x-api-key", KEY)]),
            1 => ("/p", vec![("authorization", bearer.as_str())]),
            2 => ("/p", vec![("authorization", "Basic dTpTRUNSRVRLRVk=")]),
            3 => ("/p", vec![("cookie", cookie.as_str())]),
            _ => (query.as_str(), vec![]),
        };
        prop_assume!(before != "k" && after != "k");
        let (inquiry, sources) = (inquiry(target, &fields), KeySources::parse(SOURCES).unwrap());
        prop_assert_eq!(Credential::find(&sources, &inquiry), Credential::One(KEY.into()));
        let cleaning = Cleaning::of(&sources, &inquiry, &[]);
        for (name, value) in &fields {
            let kept = match (*name, &cleaning.cookie) {
                ("cookie", Some(rest)) => String::from_utf8(rest.clone()).unwrap(),
                _ if cleaning.fields.iter().any(|removed| removed == name) => String::new(),
                _ => (*value).to_owned(),
            };
            prop_assert!(!kept.contains(KEY) && !kept.contains("dTpTRUNSRVRLRVk"), "{kept}");
        }
        let target = String::from_utf8(target_without_keys(&sources, &inquiry)).unwrap();
        prop_assert!(!target.contains(KEY), "{target}");
        prop_assert_eq!(cleaning.parameters.len(), usize::from(place == 4));
    }
}
