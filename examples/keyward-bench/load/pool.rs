//! Requests that were encoded beforehand.

use keyward::rpc::pb::AuthorizeRequest;
use prost::Message;

/// Requests in the order in which they are asked, with the answers that are expected. The order is
/// shuffled by whoever fills it, so that the server's memory is not asked in its own order.
#[derive(Debug, Default)]
pub struct Pool {
    bytes: Vec<u8>,
    /// Where each request ends in `bytes`.
    ends: Vec<usize>,
    /// The `http_status` of each answer, or of a browser's its status.
    expected: Vec<u16>,
    /// The next to be asked: a run goes on where the one before ended.
    next: usize,
}

impl Pool {
    /// Adds a request.
    pub fn push(&mut self, request: &AuthorizeRequest, expected: u16) {
        self.push_fields(&request.encode_to_vec(), expected);
    }

    /// Adds a request of a browser, with these fields of its own.
    pub fn push_fields(&mut self, fields: &[u8], expected: u16) {
        self.bytes.extend_from_slice(fields);
        self.ends.push(self.bytes.len());
        self.expected.push(expected);
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Takes the next so many; says the place of the first.
    pub fn take(&mut self, count: usize) -> usize {
        let first = self.next;
        self.next = (first + count) % self.ends.len();
        first
    }

    /// The message at a place, which may be beyond the end: then it begins anew.
    pub fn message(&self, place: usize) -> &[u8] {
        let place = place % self.ends.len();
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.bytes[start..self.ends[place]]
    }

    /// What its answer is to say.
    pub fn expected(&self, place: usize) -> u16 {
        self.expected[place % self.ends.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_in_their_order_and_again_from_the_first() {
        let mut pool = Pool::default();
        let request = |key: &str| AuthorizeRequest { key: key.into(), ..Default::default() };
        pool.push(&request("first"), 200);
        pool.push(&request("second"), 403);
        let asked: Vec<(String, u16)> = (0..3)
            .map(|_| {
                let place = pool.take(1);
                let message = AuthorizeRequest::decode(pool.message(place)).unwrap();
                (message.key, pool.expected(place))
            })
            .collect();
        let (first, second) = (("first".into(), 200), ("second".into(), 403));
        assert_eq!(asked, [first.clone(), second, first]);
    }
}
