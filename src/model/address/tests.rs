use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn networks(texts: &[&str]) -> Networks {
    Networks::parse(texts).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn networks_are_shown_in_their_canonical_form() {
    for (text, expected) in [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("::/0", "::/0"),
        ("::", "::"),
        ("::/80", "::/80"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:c000:0207/128", "192.0.2.7"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::192.0.2.7", "::c000:207"),
    ] {
        assert_eq!(networks(&[text]).iter().collect::<Vec<_>>(), [expected], "{text}");
    }
}

#[test]
fn other_texts_are_refused() {
    for text in [
        "",
        "/",
        "/24",
        "192.0.2.0/",
        "192.0.2.0/33",
        "192.0.2.0/024",
        "192.0.2.0/+24",
        "192.0.2.0/24/24",
        "192.0.2.0/255.255.255.0",
        "192.0.2.0/256",
        "192.0.2",
        "192.0.2.0/24 ",
        "192.000.002.000/24",
        "192.0.02.1",
        "0xc0.0.2.1",
        "3221225985",
        "192.0.2.1:80",
        "2001:db8::/129",
        "2001:db8::1::",
        "[2001:db8::1]",
        "fe80::1%eth0",
        "::ffff:192.0.2.0/129",
        "localhost",
        "*",
    ] {
        assert_eq!(Networks::parse(&["::", text]), Err((1, InvalidNetwork::Form)), "{text:?}");
    }
}

#[test]
fn an_address_beyond_its_prefix_names_the_network_that_is_meant() {
    for (text, meant) in [
        ("192.0.2.1/24", "192.0.2.0/24"),
        ("192.0.2.1/0", "0.0.0.0/0"),
        ("192.0.2.255/31", "192.0.2.254/31"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::ffff:192.0.2.1/120", "192.0.2.0/24"),
        ("::ffff:0:0/90", "::ffc0:0:0/90"),
    ] {
        let network = meant.into();
        assert_eq!(
            Networks::parse(&[text]),
            Err((0, InvalidNetwork::HostBits { network })),
            "{text}"
        );
    }
}

#[test]
fn one_network_is_not_given_twice_in_any_form() {
    for (one, other) in [
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.7", "::ffff:192.0.2.7"),
        ("192.0.2.0/24", "::ffff:192.0.2.0/120"),
        ("2001:db8::1", "2001:0db8::1/128"),
    ] {
        assert_eq!(Networks::parse(&[one, "::/0", other]), Err((2, InvalidNetwork::Duplicate)));
    }
    assert!(Networks::parse(&["192.0.2.0/24", "192.0.2.0/25", "0.0.0.0/0", "::/0"]).is_ok());
    let many = |count: u8| (0..count).map(|last| format!("192.0.2.{last}")).collect::<Vec<_>>();
    assert_eq!(Networks::parse(&many(101)), Err((100, InvalidNetwork::TooMany)));
    assert_eq!(Networks::parse(&many(100)).unwrap().iter().collect::<Vec<_>>(), many(100));
}

#[test]
fn networks_contain_what_their_prefix_says() {
    for (network, inside, expected) in [
        ("192.0.2.0/24", "192.0.2.0", true),
        ("192.0.2.0/24", "192.0.2.255", true),
        ("192.0.2.0/24", "192.0.3.0", false),
        ("192.0.2.0/24", "::ffff:192.0.2.9", true),
        ("192.0.2.0/24", "::192.0.2.9", false),
        ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.6", false),
        ("::ffff:192.0.2.0/120", "192.0.2.9", true),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::", false),
        ("0.0.0.0/0", "::1", false),
        ("0.0.0.0/0", "::ffff:192.0.2.9", true),
        ("::/0", "2001:db8::1", true),
        ("::/0", "192.0.2.9", false),
        ("::/0", "::ffff:192.0.2.9", false),
        ("::/64", "::ffff:192.0.2.9", false),
    ] {
        assert_eq!(networks(&[network]).contain(address(inside)), expected, "{network} {inside}");
    }
}

#[test]
fn what_is_denied_is_denied_whatever_is_allowed() {
    let rules = |allowed: &[&str], denied: &[&str]| AddressRules {
        allowed: networks(allowed),
        denied: networks(denied),
    };
    let (ours, not_this, other) =
        (Some(address("192.0.2.9")), Some(address("192.0.2.66")), Some(address("198.51.100.1")));
    for (rules, expected) in [
        (rules(&[], &[]), [true, true, true, true]),
        (rules(&["192.0.2.0/24"], &[]), [false, true, true, false]),
        (rules(&[], &["192.0.2.66"]), [false, true, false, true]),
        (rules(&["192.0.2.0/24"], &["192.0.2.66"]), [false, true, false, false]),
        (rules(&["192.0.2.66"], &["192.0.2.0/24"]), [false, false, false, false]),
        (rules(&["::/0"], &[]), [false, false, false, false]),
        (rules(&[], &["::/0"]), [false, true, true, true]),
    ] {
        assert_eq!([None, ours, not_this, other].map(|client| rules.allow(client)), expected);
    }
}

/// A few bits at the begin and end of an address, so that networks and addresses meet.
fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u8..4, 0_u8..4).prop_map(|(a, b)| IpAddr::from(Ipv4Addr::new(a << 6, 0, 0, b))),
        (0_u16..4, 0_u16..4).prop_map(|(a, b)| IpAddr::from(Ipv6Addr::new(
            a << 14,
            0,
            0,
            0,
            0,
            0,
            0,
            b
        ))),
        (0_u8..4, 0_u8..4)
            .prop_map(|(a, b)| IpAddr::from(Ipv4Addr::new(a << 6, 0, 0, b).to_ipv6_mapped())),
    ]
}

/// An address as the digits of its bits, after the letter of its family.
fn bits(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("4{:032b}", address.to_bits()),
        IpAddr::V6(address) => format!("6{:0128b}", address.to_bits()),
    }
}

proptest! {
    #[test]
    fn rules_allow_what_the_first_bits_say(
        rules in prop::collection::vec((any_address(), 0_u8..=128, any::<bool>()), 0..5),
        client in any_address(),
    ) {
        let (mut texts, mut starts) = ([vec![], vec![]], [vec![], vec![]]);
        for (address, prefix, denied) in rules {
            let text = format!("{address}/{prefix}");
            let side = usize::from(denied);
            if Networks::parse(&[&text]).is_ok() && !texts[side].contains(&text) {
                let mapped = address.is_ipv6() && address.to_canonical().is_ipv4() && prefix >= 96;
                let length = usize::from(if mapped { prefix - 96 } else { prefix });
                let start: String = match address {
                    IpAddr::V6(v6) if !mapped => format!("6{:0128b}", v6.to_bits()),
                    _ => bits(address),
                };
                let start = start[..=length].to_owned();
                if !starts[side].contains(&start) {
                    texts[side].push(text);
                    starts[side].push(start);
                }
            }
        }
        let client_bits = bits(client);
        let [allowed, denied] = &starts;
        let within = |starts: &[String]| starts.iter().any(|start| client_bits.starts_with(start));
        let expected = !within(denied) && (allowed.is_empty() || within(allowed));
        let [allowed, denied] = texts.each_ref().map(|texts| Networks::parse(texts).unwrap());
        prop_assert_eq!(AddressRules { allowed, denied }.allow(Some(client)), expected);
    }

    #[test]
    fn reading_what_was_shown_gives_the_same_networks(address in any_address(), prefix in 0_u8..=128) {
        if let Ok(networks) = Networks::parse(&[format!("{address}/{prefix}")]) {
            let shown: Vec<String> = networks.iter().collect();
            prop_assert_eq!(Networks::parse(&shown), Ok(networks));
        }
    }

    #[test]
    fn the_network_that_is_meant_is_one_and_has_the_address(address in any_address(), prefix in 0_u8..=128) {
        let told = Networks::parse(&[format!("{address}/{prefix}")]);
        if let Err((0, InvalidNetwork::HostBits { network })) = told {
            let meant = Networks::parse(&[network]).unwrap();
            prop_assert!(meant.contain(address) || (address.is_ipv6() && prefix < 96));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9a-f.:/%]*") {
        drop(Networks::parse(&[text]));
    }
}
