//! Reads YAML as the tools do that these files are for: with anchors, and with `<<` of maps.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// All documents of a text but empty ones.
pub(crate) fn parse(text: &str) -> Vec<Value> {
    let mut documents = Vec::new();
    let mut reader = Reader { events: Vec::new(), anchors: HashMap::new() };
    for event in Parser::new_from_str(text) {
        let (event, _place) = event.unwrap_or_else(|error| panic!("{error}\n{text}"));
        reader.events.push(event);
    }
    reader.events.reverse();
    while let Some(event) = reader.events.pop() {
        if matches!(event, Event::DocumentStart(_)) {
            documents.push(reader.value());
        }
    }
    documents.retain(|document| !document.is_null());
    documents
}

/// The only document of a text.
pub(crate) fn parse_one(text: &str) -> Value {
    let mut documents = parse(text);
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

struct Reader<'a> {
    /// What comes next is last.
    events: Vec<Event<'a>>,
    anchors: HashMap<usize, Value>,
}

impl Reader<'_> {
    fn value(&mut self) -> Value {
        let (value, anchor) = match self.events.pop().unwrap() {
            Event::Scalar(text, style, anchor, _tag) => (scalar(&text, style), anchor),
            Event::SequenceStart(anchor, _tag) => (self.list(), anchor),
            Event::MappingStart(anchor, _tag) => (self.map(), anchor),
            Event::Alias(anchor) => return self.anchors[&anchor].clone(),
            other => panic!("{other:?}"),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        value
    }

    fn list(&mut self) -> Value {
        let mut list = Vec::new();
        while !matches!(self.events.last(), Some(Event::SequenceEnd)) {
            list.push(self.value());
        }
        self.events.pop();
        Value::Array(list)
    }

    fn map(&mut self) -> Value {
        let (mut own, mut merged) = (Map::new(), Map::new());
        while !matches!(self.events.last(), Some(Event::MappingEnd)) {
            let name = match self.value() {
                Value::String(name) => name,
                other => other.to_string(),
            };
            match self.value() {
                Value::Object(more) if name == "<<" => merged.extend(more),
                value => {
                    let twice = own.insert(name, value);
                    assert_eq!(twice, None, "given twice");
                }
            }
        }
        self.events.pop();
        merged.extend(own);
        Value::Object(merged)
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::from(text);
    }
    match text {
        "" | "null" | "~" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => text.parse::<i64>().map_or_else(|_not_a_number| Value::from(text), Value::from),
    }
}

#[test]
fn anchors_and_merged_maps_are_read() {
    let read = parse_one("a: &a {x: 1, y: 'no'}\nb:\n  <<: *a\n  x: true\n");
    let wanted = serde_json::json!({"a": {"x": 1, "y": "no"}, "b": {"x": true, "y": "no"}});
    assert_eq!(read, wanted);
}
