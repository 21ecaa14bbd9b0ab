//! Comma-separated values (RFC 4180).

use std::io::{self, BufRead, Read};

/// A record of a file is no longer than this.
const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// The next record, and how many lines of the file it takes; nothing at the end. Empty lines are left out.
pub(super) fn record(input: &mut impl BufRead) -> io::Result<Option<(Vec<String>, usize)>> {
    let mut lines = 0;
    let mut text = String::new();
    loop {
        // a line may have no end
        let left = RECORD_BYTES_MAX.saturating_sub(text.len()).saturating_add(1);
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        let read = input.by_ref().take(left).read_line(&mut text)?;
        lines += usize::from(read > 0);
        if text.len() > RECORD_BYTES_MAX {
            return Err(invalid("the record is too long"));
        }
        // a quote that is open goes on in the next line
        let is_open = text.matches('"').count() % 2 == 1;
        if is_open && read == 0 {
            return Err(invalid("a quote is not closed"));
        }
        if is_open {
            continue;
        }
        let line = text.trim_end_matches(['\n', '\r']);
        if read == 0 && line.is_empty() {
            return Ok(None);
        }
        if line.is_empty() {
            text.clear();
            continue;
        }
        return split(line).map(|fields| Some((fields, lines)));
    }
}

fn split(line: &str) -> io::Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut chars = line.chars().peekable();
    let mut is_quoted = false;
    while let Some(char) = chars.next() {
        match char {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' if is_quoted => is_quoted = false,
            '"' if field.is_empty() => is_quoted = true,
            '"' => return Err(invalid("a quote within a field must be within quotes, twice")),
            ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            char => field.push(char),
        }
    }
    fields.push(field);
    Ok(fields)
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn records(text: &str) -> Vec<Vec<String>> {
        let mut input = text.as_bytes();
        std::iter::from_fn(|| record(&mut input).unwrap()).map(|(fields, _)| fields).collect()
    }

    #[test]
    fn quotes_keep_commas_line_breaks_and_quotes() {
        assert_eq!(
            records("a,b\r\n\n\"x, \"\"y\"\"\nz\",\r\nlast,one"),
            [vec!["a", "b"], vec!["x, \"y\"\nz", ""], vec!["last", "one"]]
        );
        let mut open = "\"a,b\n".as_bytes();
        assert!(record(&mut open).is_err());
    }

    #[test]
    fn a_line_that_does_not_end_is_refused_without_reading_all_of_it() {
        for char in *b"x\"" {
            let mut endless = BufReader::new(io::repeat(char).take(64 << 20));
            assert!(record(&mut endless).unwrap_err().to_string().contains("too long"));
            assert!(endless.get_ref().limit() > 60 << 20);
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_as_it_was(
            fields in prop::collection::vec("[^\r\n]{1,9}|[a\"\n,]{1,9}", 1..5)
        ) {
            let quoted = fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
            let line = quoted.collect::<Vec<_>>().join(",");
            prop_assert_eq!(records(&line), vec![fields]);
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let mut input = text.as_bytes();
            while let Ok(Some(_)) = record(&mut input) {}
        }
    }
}
