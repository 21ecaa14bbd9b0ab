//! Form, digests and hints of tokens.

use proptest::prelude::*;
use ring::rand::SystemRandom;

use super::*;

fn brand() -> Brand {
    Brand::parse("kw").unwrap()
}

fn token() -> Token {
    let tag = EnvironmentTag::parse("prod").unwrap();
    Token::generate(&brand(), &tag, &SystemRandom::new()).unwrap()
}

fn pepper() -> Pepper {
    Pepper::parse(&[7; 32]).unwrap()
}

#[test]
fn a_new_token_is_well_formed_and_fits_one_block_of_sha_256() {
    let token = token();
    assert!(token.reveal().starts_with("kw_prod_") && token.reveal().len() == 46);
    let presented = PresentedKey::parse(token.reveal(), &brand()).unwrap();
    assert_eq!(presented.digest(&pepper()), token.digest(&pepper()));
}

#[test]
fn the_longest_brand_and_tag_fit_one_block_of_sha_256() {
    let tag = EnvironmentTag::parse("1234567").unwrap();
    let brand = Brand::parse("7654321").unwrap();
    let token = Token::generate(&brand, &tag, &SystemRandom::new()).unwrap();
    assert!(token.reveal().len() <= 55);
}

#[test]
fn one_wrong_letter_is_malformed() {
    let token = token();
    for position in 3..token.reveal().len() {
        let mut bytes = token.reveal().as_bytes().to_vec();
        bytes[position] = if bytes[position] == b'x' { b'y' } else { b'x' };
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(PresentedKey::parse(&text, &brand()).err(), Some(MalformedKey), "{position}");
    }
}

#[test]
fn a_text_of_another_brand_passes() {
    for text in ["sk_live_x", "kwprod", "k", "0e2b", "kw"] {
        assert!(PresentedKey::parse(text, &brand()).is_ok(), "{text}");
    }
}

#[test]
fn an_over_long_text_is_malformed_whatever_its_brand() {
    assert!(PresentedKey::parse(&"x".repeat(513), &brand()).is_err());
    assert!(PresentedKey::parse(&"x".repeat(512), &brand()).is_ok());
}

#[test]
fn debug_shows_no_secret() {
    let token = token();
    let presented = PresentedKey::parse(token.reveal(), &brand()).unwrap();
    let shown = format!("{token:?} {presented:?} {:?} {:?}", pepper(), token.digest(&pepper()));
    assert_eq!(shown, "Token(..) PresentedKey(..) Pepper(..) Digest(..)");
}

#[test]
fn a_hint_shows_the_prefix_four_random_characters_and_the_last_four() {
    let token = token();
    let (head, tail) = (&token.reveal()[..12], &token.reveal()[42..]);
    assert_eq!(token.hint().as_str(), format!("{head}…{tail}"));
}

#[test]
fn digests_and_checksums_never_change_between_versions() {
    assert_eq!(checksum_of("kw_prod_00000000000000000000000000000000"), *b"2TAhDl");
    let digest = pepper().digest("kw_prod_000000000000000000000000000000002TAhDl");
    assert_eq!(digest.bytes()[..4], [115, 37, 146, 214]);
}

#[test]
fn another_pepper_gives_another_digest_and_verifier() {
    let other = Pepper::parse(&[8; 32]).unwrap();
    assert_ne!(pepper().digest("x"), other.digest("x"));
    assert_ne!(pepper().verifier(), other.verifier());
}

#[test]
fn a_short_pepper_is_refused() {
    assert_eq!(
        Pepper::parse(b"                 short                  ").err(),
        Some(InvalidPepper)
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(kw_)?.*") {
        drop(PresentedKey::parse(&text, &brand()).map(|key| key.digest(&pepper())));
    }
}

#[test]
fn a_digest_of_sha_256_is_that_of_the_token() {
    let sha256: [u8; 32] = Sha256::digest("legacy").into();
    assert_eq!(pepper().digest_of_sha256(&sha256), pepper().digest("legacy"));
}

#[test]
fn a_foreign_token_shows_eight_characters_only_if_most_remain_hidden() {
    assert_eq!(Hint::of_foreign("sk_live_0123456789ab").as_str(), "sk_l…89ab");
    assert_eq!(Hint::of_foreign("sk_live_0123456789a").as_str(), "");
    assert_eq!(Hint::of_foreign("").as_str(), "");
    assert_eq!(Hint::parse("a\nb"), Err(InvalidHint));
    assert_eq!(Hint::parse(&"x".repeat(41)), Err(InvalidHint));
}
