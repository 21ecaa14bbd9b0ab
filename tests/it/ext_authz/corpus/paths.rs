//! Targets that try to be one path for Keyward and another one for whom it protects.

/// Ways to write a slash, and what may stand beside one.
const SLASHES: [&str; 24] = [
    "/",
    "//",
    "///",
    "%2f",
    "%2F",
    "%252f",
    "%25252f",
    "%5c",
    "%5C",
    "%255c",
    "\\",
    "\\/",
    "%c0%af",
    "%e0%80%af",
    "%ef%bc%8f",
    "%u2215",
    "%00/",
    "/%00/",
    ";/",
    "/;x=1/",
    "%3b/",
    "/./",
    "/%2e/",
    "%2%66",
];

/// Ways to write two dots, and what may stand beside them.
const DOTS: [&str; 15] = [
    "..",
    "%2e%2e",
    "%2E%2E",
    ".%2e",
    "%2e.",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "%ef%bc%8e%ef%bc%8e",
    "..;",
    "..;x=1",
    "..%00",
    "..%20",
    "..%09",
    "..%0d%0a",
    "...",
];

/// What a key for `/api/v2` and `=/exact` may, each in one reading.
pub(super) const GOOD: [&str; 14] = [
    "/api/v2",
    "/api/v2/",
    "/api/v2/a",
    "/api/v2/a/b/c",
    "/api/v2/a.b",
    "/api/v2/.a",
    "/api/v2/a~b_c-d",
    "/api/v2/a%40b",
    "/api/v2/%c3%a4",
    "/api/v2/a?b=/../c",
    "/api/v2?x",
    "/api/v2/a?b?c=//d",
    "/exact",
    "/exact?a=%2f..",
];

/// What it may not, some of it because there are two readings.
const MORE: [&[u8]; 92] = [
    b"/",
    b"/api",
    b"/api/",
    b"/api/v1",
    b"/api/v20",
    b"/api/v2.0",
    b"/api/v2%20",
    b"/api/v2.",
    b"/api/v2./a",
    b"/api/v2 /a",
    b"/api/v2%00",
    b"/api/v2%00/a",
    b"/api/v2%2fa",
    b"/api%2fv2/a",
    b"/api%2Fv2",
    b"/%61pi/v2",
    b"/ap%69/v2/a",
    b"/API/V2",
    b"/Api/v2/a",
    b"/api//v2",
    b"//api/v2",
    b"///api/v2",
    b"/api/v2//",
    b"/api/v2//a",
    b"/api/./v2",
    b"/./api/v2",
    b"/../api/v2",
    b"/api/../api/v2",
    b"/a/../api/v2",
    b"/api/v2/.",
    b"/api/v2/..",
    b"/api/v2/...",
    b"/api/v2/a/..",
    b"/api/v2/a/../b",
    b"/api/v2;x",
    b"/api/v2;x=1/a",
    b"/api;x/v2/a",
    b"/;/api/v2",
    b"/api/v2/a;b",
    b"/api/v2/a;b=/../../c",
    b"/api/v2/a%3bb",
    b"/api/v2\\a",
    b"/api\\v2",
    b"\\api\\v2",
    b"/api/v2/a%5cb",
    b"/api/v2%5c..%5cadmin",
    b"/api/v2#",
    b"/api/v2#/../admin",
    b"/admin#/api/v2",
    b"/admin%23/api/v2",
    b"/admin?/api/v2",
    b"/admin?/../api/v2",
    b"/admin%3f/api/v2",
    b"/api/v2%3f/../../admin",
    b"/admin;/api/v2",
    b"/admin/..;/api/v2",
    b"/admin/../api/v2",
    b"/admin/%2e%2e/api/v2",
    b"/admin//../api/v2",
    b"//admin/api/v2",
    b"//host/api/v2",
    b"//api.example/admin",
    b"/\\host/api/v2",
    b"http://api.example/api/v2/../../admin",
    b"http://api.example/admin",
    b"http://api.example//api/v2",
    b"http://api.example/admin?/api/v2",
    b"https://api.example/admin",
    b"HTTP://api.example/api/v2/%2e%2e/x",
    b"http://user@api.example/api/v2",
    b"http://api.example",
    b"http:/api/v2",
    b"http:api/v2",
    b"ftp://api.example/api/v2/../x",
    b"*",
    b"api/v2",
    b"?/api/v2",
    b"./api/v2",
    b"/api/v2/\t../x",
    b"/api/v2/\x0b..",
    b"/api/v2/\x7f",
    b"/api/v2/\xff",
    b"/api/v2/\xc0\xaf..\xc0\xafadmin",
    b"/api/v2/\xe2\x80\xae",
    b"/exact/",
    b"/exact//",
    b"/exact/a",
    b"/exact/.",
    b"/exact%2f",
    b"/exact%20",
    b"/exact;x",
    b"/EXACT",
];

/// All targets, good ones among them.
pub(super) fn all() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = GOOD.iter().map(|target| target.as_bytes().to_vec()).collect();
    all.extend(MORE.iter().map(|target| target.to_vec()));
    for slash in SLASHES {
        for dots in DOTS {
            all.push(format!("/api/v2{slash}{dots}{slash}admin").into_bytes());
        }
        all.push(format!("/api/v2{slash}a").into_bytes());
        all.push(format!("{slash}api/v2/a").into_bytes());
        all.push(format!("/admin/..{slash}api/v2").into_bytes());
        all.push(format!("/exact{slash}").into_bytes());
    }
    let deep = "../".repeat(50);
    all.push(format!("/api/v2/{deep}admin").into_bytes());
    all.push(format!("/api/v2/{}", "a/".repeat(3000)).into_bytes());
    all.push(format!("/api/v2/{}/../../../admin", "a".repeat(5000)).into_bytes());
    all.push(format!("/api/v2/{}", "a".repeat(20_000)).into_bytes());
    all
}
