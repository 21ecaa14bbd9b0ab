//! gRPC messages of calls: those that go out are put together from the pool, those that come back are
//! compared with it.

use anyhow::Result;

use super::{
    Call,
    answer::{PREFIX_BYTES, http_status, responses, split_message},
    pool::Pool,
};

/// Calls `take` with each message that is whole by now; keeps the rest.
pub fn whole_messages(
    partial: &mut Vec<u8>,
    payload: &[u8],
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    // nearly always a frame holds whole messages, which need not be copied
    let mut kept = std::mem::take(partial);
    let mut rest = payload;
    if !kept.is_empty() {
        kept.extend_from_slice(payload);
        rest = &kept;
    }
    while let Some((message, taken)) = split_message(rest) {
        take(message)?;
        rest = &rest[taken..];
    }
    partial.extend_from_slice(rest);
    Ok(())
}

/// What only one call has: its gRPC message, or without gRPC its own header fields.
pub fn encode(call: Call, pool: &Pool, place: usize, out: &mut Vec<u8>) {
    const REQUESTS: u8 = 1 << 3 | 2;
    if call == Call::Get {
        return out.extend_from_slice(pool.message(place));
    }
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    match call {
        Call::Unary | Call::Stream | Call::Get => out.extend_from_slice(pool.message(place)),
        Call::Batch(count) => {
            for place in place..place + count {
                let message = pool.message(place);
                out.push(REQUESTS);
                prost::encode_length_delimiter(message.len(), out).unwrap();
                out.extend_from_slice(message);
            }
        }
    }
    let length = u32::try_from(out.len() - PREFIX_BYTES).unwrap();
    out[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
}

/// Whether all that a message answers is as the pool says.
pub fn is_expected(call: Call, pool: &Pool, place: usize, message: &[u8]) -> bool {
    match call {
        Call::Unary | Call::Stream => http_status(message) == pool.expected(place),
        Call::Get => false, // no gRPC message answers it
        Call::Batch(count) => {
            let expected = (place..place + count).map(|place| pool.expected(place));
            responses(message).map(http_status).eq(expected)
        }
    }
}

#[cfg(test)]
mod tests {
    use keyward::rpc::pb::{
        AuthorizeRequest, AuthorizeResponse, BatchAuthorizeRequest, BatchAuthorizeResponse,
    };
    use prost::Message;

    use super::*;

    fn pool() -> Pool {
        let mut pool = Pool::default();
        for (key, expected) in [("first", 200), ("second", 403)] {
            pool.push(&AuthorizeRequest { key: key.into(), ..Default::default() }, expected);
        }
        pool
    }

    fn answer(http_status: i32) -> AuthorizeResponse {
        AuthorizeResponse { http_status, ..Default::default() }
    }

    #[test]
    fn messages_that_arrive_byte_by_byte_are_taken_once_and_whole() {
        let sent = [0, 0, 0, 0, 2, 8, 1, 0, 0, 0, 0, 1, 9];
        let (mut partial, mut taken) = (Vec::new(), Vec::new());
        for byte in sent {
            whole_messages(&mut partial, &[byte], |message| {
                taken.push(message.to_vec());
                Ok(())
            })
            .unwrap();
        }
        assert_eq!((taken, partial), (vec![vec![8, 1], vec![9]], vec![]));
    }

    #[test]
    fn a_batch_has_its_requests_in_the_order_of_the_pool() {
        let mut sent = Vec::new();
        encode(Call::Batch(3), &pool(), 1, &mut sent);
        let (message, bytes) = split_message(&sent).unwrap();
        let batch = BatchAuthorizeRequest::decode(message).unwrap();
        let keys: Vec<&str> = batch.requests.iter().map(|request| &*request.key).collect();
        assert_eq!((keys, bytes), (vec!["second", "first", "second"], sent.len()));
    }

    #[test]
    fn an_answer_that_the_pool_does_not_expect_is_bad() {
        let is_good = |call, place, message: Vec<u8>| is_expected(call, &pool(), place, &message);
        assert!(is_good(Call::Unary, 1, answer(403).encode_to_vec()));
        assert!(!is_good(Call::Unary, 1, answer(200).encode_to_vec()));
        assert!(!is_good(Call::Stream, 0, Vec::new()));
        let batch = |statuses: &[i32]| {
            let responses = statuses.iter().copied().map(answer).collect();
            BatchAuthorizeResponse { responses }.encode_to_vec()
        };
        assert!(is_good(Call::Batch(2), 0, batch(&[200, 403])));
        for wrong in [&[200][..], &[200, 200], &[403, 200], &[200, 403, 200]] {
            assert!(!is_good(Call::Batch(2), 0, batch(wrong)), "{wrong:?}");
        }
    }
}
