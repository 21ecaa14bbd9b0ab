//! Text for terminals: nothing in a name can move the cursor, hide what follows or turn it around.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Tone;

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// A text in one line, with everything escaped that is no visible character.
pub fn plain(text: &str) -> String {
    escape(text, |_| false)
}

/// The same in lines.
pub fn paragraphs(text: &str) -> String {
    escape(text, |char| char == '\n')
}

fn escape(text: &str, kept: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            char if kept(char) => shown.push(char),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            char if is_harmful(char) => shown.extend(char.escape_unicode()),
            char => shown.push(char),
        }
    }
    shown
}

/// Control characters, and those without a shape that turn text around, hide or join it: a name with them can
/// look like another one.
pub fn is_harmful(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200c}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A text of at most so many columns: a longer one ends in `…`.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut shown = String::new();
    for char in text.chars() {
        // what a character takes depends on those before it, so the whole is measured
        let longer = format!("{shown}{char}…");
        if width(&longer) > columns || char.width().is_none() {
            break;
        }
        shown.push(char);
    }
    if columns > 0 {
        shown.push('…');
    }
    shown
}

/// Blanks up to so many columns.
pub fn padded(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// A text in the colour of its meaning (ECMA-48, SGR), if there are colours.
pub fn styled(text: &str, tone: Tone, has_colours: bool) -> String {
    let code = match tone {
        Tone::Usual => return text.to_owned(),
        Tone::Good => "32",
        Tone::Caution => "33",
        Tone::Bad => "31",
        Tone::Faint => "2",
    };
    if has_colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_moves_the_cursor_or_turns_text_around_is_escaped() {
        for (given, shown) in [
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("a\u{9b}2J", "a\\u{9b}2J"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\nb\tc", "a\\nb\\tc"),
            ("Zoë 日本 👩‍🚀", "Zoë 日本 👩‍🚀"),
        ] {
            assert_eq!(plain(given), shown);
        }
        assert_eq!(paragraphs("a\nb\r"), "a\nb\\r");
    }

    proptest! {
        #[test]
        fn a_text_that_is_cut_fits(text in any::<String>(), columns in 0_usize..40) {
            let shown = cut(&plain(&text), columns);
            prop_assert!(width(&shown) <= columns, "{shown:?}");
            prop_assert!(!shown.chars().any(is_harmful));
        }
    }
}
