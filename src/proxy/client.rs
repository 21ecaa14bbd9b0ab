//! Where the client is, as far as proxies that are trusted say.

use std::net::{IpAddr, SocketAddr};

use crate::proxy::Inquiry;

/// Entries of `X-Forwarded-For` that are looked at, from the last.
const ENTRIES_MAX: usize = 100;

/// The client's address: the other end of the proxy's connection, or, if other proxies stand in front of
/// that, what the first of them saw. `None`: nobody who is trusted says.
pub(super) fn address(inquiry: &Inquiry<'_>, trusted_hops: u8) -> Option<IpAddr> {
    let peer = inquiry.peer?;
    if trusted_hops == 0 {
        return Some(peer);
    }
    let fields: Vec<&[u8]> = inquiry.values("x-forwarded-for").collect();
    let entries = fields.iter().rev().flat_map(|field| field.rsplit(|byte| *byte == b','));
    let mut entries = entries.take(ENTRIES_MAX).peekable();
    // some proxies have added their peer already when they ask
    let last = entries.peek().copied().and_then(parse);
    if last.is_some_and(|last| last.to_canonical() == peer.to_canonical()) {
        entries.next();
    }
    entries.nth(usize::from(trusted_hops) - 1).and_then(parse)
}

/// The last address of a field, which is what the proxy that sends it saw itself.
pub fn last(field: &[u8]) -> Option<IpAddr> {
    field.rsplit(|byte| *byte == b',').next().and_then(parse)
}

/// An address, with or without a port.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim_ascii();
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = bracketed.unwrap_or(text).parse().ok();
    address.or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
}
