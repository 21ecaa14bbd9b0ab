//! Requests, good ones, damaged ones and noise.

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*, sample::Index};
use prost::{DecodeError, Message};

use crate::rpc::{
    pb,
    wire::{
        codec::{Asking, Batch, One},
        read::Asked,
    },
};

fn request() -> impl Strategy<Value = pb::AuthorizeRequest> {
    let texts = || prop_oneof![Just(String::new()), "[a-z/.]{1,20}", ".{0,150}"];
    let ttl = (any::<i64>(), any::<i32>())
        .prop_map(|(seconds, nanos)| prost_types::Duration { seconds, nanos });
    let texts = (texts(), texts(), texts(), texts(), texts(), texts(), texts());
    let numbers = (any::<i32>(), any::<i64>(), any::<bool>(), option::of(any::<i64>()));
    (texts, numbers, option::of(ttl)).prop_map(|(texts, numbers, reservation_ttl)| {
        let (key, environment, route, permission, method, customer, client_address) = texts;
        let (mode, min_revision, explain, cost) = numbers;
        pb::AuthorizeRequest {
            key,
            environment,
            route,
            permission,
            method,
            mode,
            min_revision,
            customer,
            client_address,
            explain,
            cost,
            reservation_ttl,
        }
    })
}

/// What damages a message: a byte that is changed, put in or taken out, a part that is said twice, or
/// an end that is missing.
#[derive(Clone, Debug)]
enum Damage {
    Change(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Repeat(Index, Index),
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let places = any::<(Index, Index)>();
    prop_oneof![
        any::<(Index, u8)>().prop_map(|(at, byte)| Damage::Change(at, byte)),
        any::<(Index, u8)>().prop_map(|(at, byte)| Damage::Insert(at, byte)),
        any::<Index>().prop_map(Damage::Remove),
        places.prop_map(|(from, to)| Damage::Repeat(from, to)),
        any::<Index>().prop_map(Damage::Cut),
    ]
}

fn damaged(mut message: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if message.is_empty() {
            break;
        }
        let length = message.len();
        match damage {
            Damage::Change(at, byte) => message[at.index(length)] = *byte,
            Damage::Insert(at, byte) => message.insert(at.index(length), *byte),
            Damage::Remove(at) => drop(message.remove(at.index(length))),
            Damage::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                message.extend_from_within(from.min(to)..from.max(to));
            }
            Damage::Cut(at) => message.truncate(at.index(length)),
        }
    }
    message
}

/// Asserts that reading these bytes gives what prost makes of them.
fn assert_read_as_prost_does(bytes: &[u8]) {
    let asking = Asking::<One>::check(Bytes::copy_from_slice(bytes));
    let decoded: Result<pb::AuthorizeRequest, DecodeError> = Message::decode(bytes);
    let expected = decoded.as_ref().map(Asked::from);
    assert!(asking.as_ref().map(Asking::<One>::asked) == expected, "{bytes:?}");

    let asking = Asking::<Batch>::check(Bytes::copy_from_slice(bytes));
    let decoded: Result<pb::BatchAuthorizeRequest, DecodeError> = Message::decode(bytes);
    let requests = decoded.as_ref().map(|batch| batch.requests.iter());
    let expected = requests.map(|requests| requests.map(Asked::from).collect());
    assert!(asking.as_ref().map(Asking::<Batch>::asked) == expected, "{bytes:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_prost_reads_them(bytes: Vec<u8>) {
        assert_read_as_prost_does(&bytes);
    }

    #[test]
    fn a_good_request_is_read_without_prost(request in request()) {
        let bytes = request.encode_to_vec();
        prop_assert!(Asked::read(&bytes) == Some(Asked::from(&request)));
    }

    #[test]
    fn a_good_batch_is_read_without_prost(requests in vec(request(), 0..4)) {
        let batch = pb::BatchAuthorizeRequest { requests };
        let bytes = batch.encode_to_vec();
        let expected = batch.requests.iter().map(Asked::from).collect();
        prop_assert!(Asked::read_batch(&bytes) == Some(expected));
    }

    #[test]
    fn a_damaged_request_is_read_as_prost_reads_it(
        request in request(),
        damages in vec(damage(), 1..4),
    ) {
        assert_read_as_prost_does(&damaged(request.encode_to_vec(), &damages));
    }

    #[test]
    fn a_damaged_batch_is_read_as_prost_reads_it(
        requests in vec(request(), 1..4),
        damages in vec(damage(), 1..4),
    ) {
        let batch = pb::BatchAuthorizeRequest { requests };
        assert_read_as_prost_does(&damaged(batch.encode_to_vec(), &damages));
    }

    #[test]
    fn two_requests_in_a_row_are_read_as_one_whose_later_fields_count(
        first in request(),
        second in request(),
    ) {
        let bytes = [first.encode_to_vec(), second.encode_to_vec()].concat();
        assert_read_as_prost_does(&bytes);
        prop_assert!(Asked::read(&bytes).is_some());
    }

    #[test]
    fn fields_that_nobody_knows_are_passed_over(
        request in request(),
        number in 13_u32..1 << 29,
        text in ".{0,20}",
        value: u64,
    ) {
        let mut bytes = Vec::new();
        prost::encoding::uint64::encode(number, &value, &mut bytes);
        prost::encoding::string::encode(number, &text, &mut bytes);
        prost::encoding::fixed64::encode(number, &value, &mut bytes);
        prost::encoding::fixed32::encode(number, &7, &mut bytes);
        bytes.extend(request.encode_to_vec());
        assert_read_as_prost_does(&bytes);
        prop_assert!(Asked::read(&bytes) == Some(Asked::from(&request)));
    }
}

#[test]
fn what_clients_do_not_send_is_read_as_prost_reads_it() {
    for (bytes, is_good) in [
        (&b"\x0a\x81\x00a"[..], true), // a length of two bytes that would fit one
        (b"\x6b\x6c", true),           // an unknown group
        (b"\x0b\x0c", false),          // a group where a text should be
        (b"\x08\x01", false),          // a number where a text should be
        (b"\x0a\x01\xff", false),      // not UTF-8
        (b"\x0a\x05a", false),         // shorter than it says
        (b"\x00\x00", false),          // field 0
        (b"\x38\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", false), // more than 64 bits
        (b"\x62\x02\x0a\x00", false),  // a text in a duration
    ] {
        assert_read_as_prost_does(bytes);
        assert_eq!(pb::AuthorizeRequest::decode(bytes).is_ok(), is_good, "{bytes:?}");
    }
}

#[test]
fn debug_shows_no_key() {
    let request = pb::AuthorizeRequest { key: "secret".into(), ..Default::default() };
    let bytes = request.encode_to_vec();
    let asking = Asking::<One>::check(bytes.into()).unwrap();
    let shown = format!("{asking:?} {:?}", asking.asked());
    assert_eq!(shown, "Asking(..) Asked(..)");
}
