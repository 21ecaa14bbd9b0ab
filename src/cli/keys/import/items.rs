//! Items of an import, from lines of JSON or from CSV.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use prost::Message;
use serde_json::{Map, Value, json};

use super::{
    csv,
    line::{Place, tidy},
};
use crate::{
    cli::{error::CliError, output::messages},
    rpc::pb::ImportKeyItem,
};

/// The server takes 1000 items and 256 KiB in a message.
const ITEMS_MAX: usize = 500;
const BYTES_MAX: usize = 128 * 1024;
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// How items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A line of JSON for each: the protobuf message `keyward.v1.ImportKeyItem`
    Jsonl,
    /// Comma-separated values below a line with the names of fields
    Csv,
}

/// Reads items.
pub(super) struct Items {
    input: Box<dyn BufRead + Send>,
    form: Form,
    place: Place,
    /// The line that was read last, from 1.
    line: usize,
    /// The names of the columns of CSV.
    columns: Vec<String>,
    /// Read, but for the next message.
    held: Option<ImportKeyItem>,
}

impl Items {
    /// Opens a file; `-` is standard input. Without a form, `.csv` is CSV.
    pub(super) fn open(file: &Path, form: Option<Form>, place: Place) -> Result<Self, CliError> {
        let input: Box<dyn BufRead + Send> = if file.as_os_str() == "-" {
            Box::new(BufReader::new(io::stdin()))
        } else {
            let opened = File::open(file).map_err(|source| {
                CliError::io(format!("{} cannot be read", file.display()), source)
            })?;
            Box::new(BufReader::new(opened))
        };
        let is_csv = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        let form = form.unwrap_or(if is_csv { Form::Csv } else { Form::Jsonl });
        Self::new(input, form, place)
    }

    fn new(input: Box<dyn BufRead + Send>, form: Form, place: Place) -> Result<Self, CliError> {
        let mut items = Self { input, form, place, line: 0, columns: Vec::new(), held: None };
        if form == Form::Csv {
            let record =
                csv::record(&mut items.input).map_err(|error| items.wrong(&error.to_string()))?;
            let (columns, lines) = record.unwrap_or_default();
            items.line = lines;
            items.columns = columns.iter().map(|name| name.trim().to_owned()).collect();
            if let Some(first) = items.columns.first_mut() {
                // some programs begin a file with a byte order mark
                *first = first.trim_start_matches('\u{feff}').to_owned();
            }
        }
        Ok(items)
    }

    /// As many items as go into a message; none at the end.
    pub(super) fn some(&mut self) -> Result<Vec<ImportKeyItem>, CliError> {
        let mut items = Vec::new();
        let mut bytes = 0;
        while items.len() < ITEMS_MAX {
            let next = match self.held.take() {
                Some(held) => Some(held),
                None => self.next()?,
            };
            let Some(item) = next else {
                break;
            };
            bytes += item.encoded_len();
            if bytes > BYTES_MAX && !items.is_empty() {
                self.held = Some(item);
                break;
            }
            items.push(item);
        }
        Ok(items)
    }

    fn next(&mut self) -> Result<Option<ImportKeyItem>, CliError> {
        let value = match self.form {
            Form::Jsonl => self.next_json()?,
            Form::Csv => self.next_csv()?,
        };
        let Some(mut object) = value else {
            return Ok(None);
        };
        tidy(&mut object, &self.place).map_err(|problem| self.wrong(&problem))?;
        let item = messages::read(Value::Object(object));
        item.map(Some).map_err(|error| self.wrong(&error.to_string()))
    }

    fn next_json(&mut self) -> Result<Option<Map<String, Value>>, CliError> {
        loop {
            let mut text = String::new();
            let read = (&mut self.input).take(LINE_BYTES_MAX).read_line(&mut text);
            self.line += 1;
            if read.map_err(|error| self.wrong(&error.to_string()))? == 0 {
                return Ok(None);
            }
            if text.trim().is_empty() {
                continue;
            }
            return match serde_json::from_str(&text) {
                Ok(Value::Object(object)) => Ok(Some(object)),
                Ok(_) => Err(self.wrong("must be a JSON object")),
                // what stands there may be a token
                Err(error) => Err(self.wrong(&format!("is no JSON: {error}"))),
            };
        }
    }

    fn next_csv(&mut self) -> Result<Option<Map<String, Value>>, CliError> {
        let record = csv::record(&mut self.input);
        let record = record.map_err(|error| self.wrong(&error.to_string()))?;
        let Some((fields, lines)) = record else {
            return Ok(None);
        };
        self.line += lines;
        if fields.len() != self.columns.len() {
            let (has, names) = (fields.len(), self.columns.len());
            return Err(self.wrong(&format!("has {has} fields, and the first line names {names}")));
        }
        let mut object = Map::new();
        for (name, text) in self.columns.iter().zip(fields) {
            if !text.is_empty() {
                put(&mut object, name, text);
            }
        }
        Ok(Some(object))
    }

    fn wrong(&self, problem: &str) -> CliError {
        CliError::usage(
            format!("line {}: {problem}", self.line),
            "nothing was imported; `keyward keys import --help` says what lines are like",
        )
    }
}

/// A field of CSV: lists are separated by blanks, a label is a column `label:NAME`.
fn put(object: &mut Map<String, Value>, name: &str, text: String) {
    if let Some(label) = name.strip_prefix("label:") {
        let labels = object.entry("labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.insert(label.to_owned(), text.into());
        }
        return;
    }
    let value = match name {
        "permissions" | "groups" => text.split_whitespace().collect::<Vec<_>>().into(),
        _ => Value::from(text),
    };
    object.insert(name.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str, form: Form) -> Result<Vec<ImportKeyItem>, CliError> {
        let place = Place { domain: "default".into(), environment: "production".into() };
        Items::new(Box::new(text.as_bytes()), form, place)?.some()
    }

    #[test]
    fn lines_of_json_and_csv_say_the_same() {
        let json = r#"{"displayName": "A, \"b\"", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "permissions": ["x", "y.z"], "labels": {"team": "t"}, "expire_time": "2030-01-01"}"#;
        let csv = "display_name,sha256,permissions,label:team,expire_time\n\
            \"A, \"\"b\"\"\",e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855,x y.z,t,2030-01-01T00:00:00Z\n";
        let items = read(json, Form::Jsonl).unwrap();
        assert_eq!(items, read(csv, Form::Csv).unwrap());
        let hashed = ring::digest::digest(&ring::digest::SHA256, b"");
        assert_eq!(items[0].sha256, hashed.as_ref());
        assert_eq!(items[0].display_name, "A, \"b\"");
    }

    #[test]
    fn what_an_export_has_of_a_key_besides_is_left_out() {
        let line = r#"{"id": "key_1", "displayName": "A", "hint": "x…y", "state": "KEY_STATE_ACTIVE", "etag": "v1", "environment": "production", "token": "t"}"#;
        let items = read(line, Form::Jsonl).unwrap();
        assert_eq!(items[0].display_name, "A");
        assert!(items[0].hint.is_empty());
    }

    #[test]
    fn a_line_that_is_wrong_is_named_and_not_shown() {
        for (text, form, told) in [
            ("{\"displayName\": \"a\"}\n\nsecret", Form::Jsonl, "line 3"),
            ("[\"secret\"]", Form::Jsonl, "line 1"),
            ("{\"colour\": \"secret\"}", Form::Jsonl, "colour"),
            ("display_name,token\na,b,secret\n", Form::Csv, "line 2"),
            ("display_name,colour\na,secret\n", Form::Csv, "colour"),
            ("display_name,customers\na,secret\n", Form::Csv, "line 2: customers"),
            ("{\"domain\": \"secret\"}", Form::Jsonl, "line 1: domain"),
        ] {
            let error = read(text, form).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains("secret"), "{error}");
        }
    }
}
