use super::*;

#[test]
fn ids_of_users_are_kept_as_they_are() {
    let long = "a".repeat(128);
    for text in ["alice", "A", "7", "a.b_c@d.example", "user:42+x", "-", &long] {
        let id = UserId::parse(text).unwrap();
        assert_eq!((id.as_str(), id.to_string()), (text, text.to_owned()));
    }
    assert_ne!(UserId::parse("alice"), UserId::parse("Alice"));
}

#[test]
fn other_texts_are_no_ids_of_users() {
    let long = "a".repeat(129);
    for text in ["", " ", "a b", "alice ", "a/b", "a*", "ä", "a\n", "a,b", "a=b", "\u{0}", &long] {
        assert_eq!(UserId::parse(text), Err(InvalidUserId), "{text:?}");
    }
}
