//! What some server may take a target for: written without a look at how Keyward reads paths.

use std::collections::BTreeSet;

type Step = fn(&[u8]) -> Vec<u8>;

/// What servers do to a target before they look for what it names, each in an order of its own.
const STEPS: [Step; 11] = [
    without_authority,
    without_query,
    without_fragment,
    until_nul,
    decoded,
    with_long_forms_read,
    with_slashes_for_backslashes,
    without_parameters,
    with_slashes_merged,
    with_dots_resolved,
    with_ends_trimmed,
];

/// All paths that come of a target by any of the steps in any order.
pub(super) fn readings(target: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    let mut open = vec![without_fragment(&without_query(target))];
    while let Some(path) = open.pop() {
        if all.insert(path.clone()) {
            open.extend(STEPS.iter().map(|step| step(&path)));
        }
    }
    all
}

/// Whether all readings are what a key with the rules `/api/v2` and `=/exact` may.
pub(super) fn lies_within(target: &[u8]) -> bool {
    let readings = readings(target);
    let below = |path: &Vec<u8>| path == b"/api/v2" || path.starts_with(b"/api/v2/");
    readings.iter().all(below) || readings.iter().all(|path| path == b"/exact")
}

/// Whether a target can be read in one way only.
pub(super) fn is_clear(target: &[u8]) -> bool {
    readings(target).len() == 1
}

fn without_authority(path: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(path).to_ascii_lowercase();
    let begin = ["http://", "https://", "//"].into_iter().find(|begin| text.starts_with(begin));
    let Some(begin) = begin else { return path.to_vec() };
    let rest = &path[begin.len()..];
    let slash = rest.iter().position(|&byte| byte == b'/');
    slash.map_or_else(|| b"/".to_vec(), |slash| rest[slash..].to_vec())
}

fn until(path: &[u8], end: u8) -> Vec<u8> {
    path.split(|&byte| byte == end).next().unwrap_or_default().to_vec()
}

fn without_query(path: &[u8]) -> Vec<u8> {
    until(path, b'?')
}

fn without_fragment(path: &[u8]) -> Vec<u8> {
    until(path, b'#')
}

fn until_nul(path: &[u8]) -> Vec<u8> {
    until(path, 0)
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |at: usize| path.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut read = Vec::new();
    let mut at = 0;
    while at < path.len() {
        match (path[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                read.push(u8::try_from(high * 16 + low).unwrap());
                at += 3;
            }
            (byte, _, _) => {
                read.push(byte);
                at += 1;
            }
        }
    }
    read
}

/// Overlong forms of UTF-8, wide forms of Unicode and `%u`, as lenient decoders read them.
fn with_long_forms_read(path: &[u8]) -> Vec<u8> {
    const FORMS: [(&[u8], u8); 14] = [
        (b"\xc0\xaf", b'/'),
        (b"\xc0\xae", b'.'),
        (b"\xc1\x9c", b'\\'),
        (b"\xe0\x80\xaf", b'/'),
        (b"\xe0\x80\xae", b'.'),
        (b"\xf0\x80\x80\xaf", b'/'),
        (b"\xef\xbc\x8f", b'/'),
        (b"\xe2\x88\x95", b'/'),
        (b"\xef\xbc\x8e", b'.'),
        (b"\xef\xbc\xbc", b'\\'),
        (b"%u002f", b'/'),
        (b"%u2215", b'/'),
        (b"%uff0f", b'/'),
        (b"%u002e", b'.'),
    ];
    let mut read = Vec::new();
    let mut rest = path;
    while let [first, more @ ..] = rest {
        let form = FORMS.iter().find(|(form, _)| {
            rest.get(..form.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(form))
        });
        if let Some((form, meant)) = form {
            read.push(*meant);
            rest = &rest[form.len()..];
        } else {
            read.push(*first);
            rest = more;
        }
    }
    read
}

fn with_slashes_for_backslashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect()
}

fn each_segment(path: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let segments: Vec<_> = path.split(|&byte| byte == b'/').map(change).collect();
    segments.join(&b'/')
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    each_segment(path, |segment| until(segment, b';'))
}

fn with_ends_trimmed(path: &[u8]) -> Vec<u8> {
    each_segment(path, |segment| {
        let visible = |byte: &u8| *byte > b' ' && *byte != 0x7f && *byte != b'.';
        if let Some(last) = segment.iter().rposition(visible) {
            return segment[..=last].to_vec();
        }
        let dots: Vec<_> = segment.iter().copied().filter(|&byte| byte == b'.').collect();
        // one dot or two are resolved, not trimmed
        if dots.len() > 2 { Vec::new() } else { dots }
    })
}

fn with_slashes_merged(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|one, other| (*one, *other) == (b'/', b'/'));
    merged
}

fn with_dots_resolved(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = path.split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"." if last => kept.push(b""),
            b"." => {}
            b".." => {
                if kept.len() > 1 {
                    kept.pop();
                }
                if last {
                    kept.push(b"");
                }
            }
            other => kept.push(other),
        }
    }
    kept.join(&b'/')
}

#[test]
fn the_oracle_sees_through_known_tricks_and_trusts_plain_paths() {
    for plain in
        ["/api/v2", "/api/v2/", "/api/v2/a/b.c?x=/../y", "/exact", "/exact?..", "/api/v2/a%40b"]
    {
        assert!(lies_within(plain.as_bytes()), "{plain}: {:?}", readings(plain.as_bytes()));
    }
    for plain in ["/api/v2", "/api/v2/a/b.c", "/admin", "/api/v2/~x"] {
        assert!(is_clear(plain.as_bytes()), "{plain}: {:?}", readings(plain.as_bytes()));
    }
    for trick in [
        "/api",
        "/api/v20",
        "/exact/",
        "/exact/a",
        "/api/v2/../admin",
        "/api/v2/%2e%2e/admin",
        "/api/v2/%252e%252e%252fadmin",
        "/api/v2/..\\admin",
        "/api/v2\\..\\admin",
        "/api/v2/..;/admin",
        "/api/v2/..;x=1/admin",
        "/api/v2/.%00./../admin",
        "/api/v2/%c0%ae%c0%ae/admin",
        "/api/v2/..%2fadmin",
        "/api/v2/.. /admin",
        "//api/v2/x",
        "/./exact%00/x",
        "http://api.example/admin/../x",
        "/exact%2f",
        "/exact%20",
    ] {
        assert!(!lies_within(trick.as_bytes()), "{trick}: {:?}", readings(trick.as_bytes()));
        assert!(trick.len() < 11 || !is_clear(trick.as_bytes()), "{trick}");
    }
}
