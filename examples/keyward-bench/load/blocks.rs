//! Header blocks that were made beforehand (RFC 7541), and what must be read of those of answers.

use super::wire::put_text;

/// A field whose name and value are in the table.
const INDEXED: u8 = 0x80;
/// A field that is put into the table.
const KEPT: u8 = 0x40;
/// A field that nobody is to put into a table (RFC 7541, 7.1.3), as is right for a key.
const NEVER_KEPT: u8 = 0x10;
/// A field that is not put into the table.
const NOT_KEPT: u8 = 0x00;
const METHOD_GET: u8 = INDEXED + 2;
const METHOD_POST: u8 = INDEXED + 3;
const SCHEME_HTTP: u8 = INDEXED + 6;
// numbers of names in the static table (RFC 7541, appendix A)
const AUTHORITY: u8 = 1;
const PATH: u8 = 4;
const CONTENT_TYPE: u8 = 31;
const USER_AGENT: u8 = 58;
/// No number: the name is written out.
const OTHER: u8 = 0;
/// The first number after those of the static table.
const KEPT_LAST: u8 = 62;

/// What a browser sends with each request, besides the key and the path.
const BROWSER: [(u8, &str, &str); 11] = [
    (USER_AGENT, "", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    (19, "", "application/json, text/plain, */*"),
    (17, "", "en-GB,en;q=0.8,de;q=0.5"),
    (16, "", "gzip, deflate, br, zstd"),
    (51, "", "https://console.example.com/projects/4711/overview"),
    (32, "", "session=6f1c5b7e0a9d4c2f8b3e; theme=dark"),
    (24, "", "no-cache"),
    (OTHER, "origin", "https://console.example.com"),
    (OTHER, "sec-fetch-mode", "cors"),
    (OTHER, "sec-fetch-site", "same-site"),
    (OTHER, "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
];

/// A header block, around what only one call has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    pub before: Vec<u8>,
    pub after: Vec<u8>,
}

/// The header blocks of all calls of one kind on one connection.
#[derive(Clone, Debug)]
pub struct HeaderBlocks {
    /// Of the first call, which puts the fields into the server's table (RFC 7541, 6.2.1).
    pub first: Block,
    /// Of those after it, which name them by their numbers there (RFC 7541, 6.1).
    pub later: Block,
}

impl HeaderBlocks {
    /// What a gRPC client sends.
    pub fn of_grpc(path: &str, authority: &str) -> Self {
        let fields = [
            (PATH, "", path),
            (AUTHORITY, "", authority),
            (CONTENT_TYPE, "", "application/grpc"),
            (OTHER, "te", "trailers"),
            (USER_AGENT, "", "keyward-bench"),
        ];
        Self::new(METHOD_POST, &fields, &[])
    }

    /// What a browser sends, around [`own_fields`].
    pub fn of_browser(authority: &str) -> Self {
        Self::new(METHOD_GET, &[(AUTHORITY, "", authority)], &BROWSER)
    }

    fn new(method: u8, before: &[(u8, &str, &str)], after: &[(u8, &str, &str)]) -> Self {
        let mut block = Block { before: vec![method, SCHEME_HTTP], after: Vec::new() };
        let mut later = block.clone();
        // the last that is put into the table has the first number
        let mut number = usize::from(INDEXED + KEPT_LAST) + before.len() + after.len();
        for (fields, first, later) in [
            (before, &mut block.before, &mut later.before),
            (after, &mut block.after, &mut later.after),
        ] {
            for (name_number, name, value) in fields {
                first.push(KEPT | name_number);
                if *name_number == OTHER {
                    put_text(first, name);
                }
                put_text(first, value);
                number -= 1;
                later.push(u8::try_from(number).unwrap());
            }
        }
        Self { first: block, later }
    }
}

/// The fields that only one call of a browser has: the path, and its key. The key's name is written out
/// each time.
pub fn own_fields(path: &str, key: &str) -> Vec<u8> {
    let mut fields = vec![NOT_KEPT | PATH];
    put_text(&mut fields, path);
    fields.push(NEVER_KEPT);
    put_text(&mut fields, "x-api-key");
    put_text(&mut fields, key);
    fields
}

/// The status that a header block begins with, if it is one of the static table: 200 is. No table of what
/// was sent before is kept here.
pub fn status(mut block: &[u8]) -> Option<u16> {
    const STATUS: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    const STATUS_FIRST: u8 = INDEXED + 8;
    // what a table's size becomes comes before everything else (RFC 7541, 4.2)
    while let Some((0x20..=0x3f, rest)) = block.split_first().map(|(first, rest)| (*first, rest)) {
        let goes_on = block[0] == 0x3f;
        let more = rest.iter().take_while(|byte| goes_on && **byte & 0x80 != 0).count();
        block = rest.get(more + usize::from(goes_on)..)?;
    }
    let number = block.first()?.checked_sub(STATUS_FIRST)?;
    STATUS.get(usize::from(number)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_grpc_are_the_bytes_of_rfc_7541() {
        let blocks = HeaderBlocks::of_grpc("/a", "b");
        let expected = b"\x83\x86\x44\x02/a\x41\x01b\x5f\x10application/grpc\x40\x02te\x08trailers\x7a\x0dkeyward-bench";
        let block = |before: &[u8]| Block { before: before.to_vec(), after: Vec::new() };
        assert_eq!(blocks.first, block(expected));
        assert_eq!(blocks.later, block(&[0x83, 0x86, 0xc2, 0xc1, 0xc0, 0xbf, 0xbe]));
    }

    #[test]
    fn blocks_of_a_browser_name_the_fields_of_the_first_in_their_order() {
        let HeaderBlocks { first, later } = HeaderBlocks::of_browser("b");
        assert_eq!(first.before, b"\x82\x86\x41\x01b");
        assert_eq!(first.after[..2], [KEPT + USER_AGENT, 70]);
        // one field before and eleven after: numbers 62 to 73, of which the first has the last
        assert_eq!(later.before, [0x82, 0x86, 0x80 + 73]);
        assert_eq!(later.after, (62..73).rev().map(|number| 0x80 + number).collect::<Vec<u8>>());
    }

    #[test]
    fn a_key_is_not_for_tables() {
        let fields = own_fields("/p", "kw_1");
        assert_eq!(fields, b"\x04\x02/p\x10\x09x-api-key\x04kw_1");
    }

    #[test]
    fn a_status_is_read_after_changes_of_the_tables_size_only_if_it_is_in_the_static_table() {
        for (block, expected) in [
            (&[0x88, 0xbe][..], Some(200)),
            (&[0x8e], Some(500)),
            (&[0x20, 0x3f, 0xe1, 0x1f, 0x88], Some(200)),
            (&[0x3f, 0xe1], None),
            (b"\x48\x03401", None),
            (&[0x8f], None),
            (&[0x87], None),
            (&[], None),
        ] {
            assert_eq!(status(block), expected, "{block:?}");
        }
    }
}
