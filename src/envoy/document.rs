//! A configuration as a tree whose nodes know their lines.
//!
//! YAML 1.2, and with it JSON. Everything has a bound, since the file may be anybody's.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScanError, Span};
use thiserror::Error;

/// The largest file that is read, in bytes.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;

/// How deep lists and maps may be in each other.
const DEPTH_MAX: usize = 100;

/// How many nodes a file may have. What an alias stands for counts each time, so that a few lines
/// cannot grow without end.
const NODES_MAX: usize = 1_000_000;

/// How long the name of a field may be: names make up the paths of findings.
const NAME_BYTES_MAX: usize = 256;

/// One value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// The line, from 1; of a field, the line of its name.
    pub(super) line: usize,
    /// What it is.
    pub(super) value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A text, number, boolean or nothing: which of these, the field that has it says.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// Names and what they have, in the order of the file.
    Map(Vec<(String, Node)>),
}

/// Why a file cannot be read.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// Above [`BYTES_MAX`].
    #[error("is larger than 16 MiB")]
    TooLarge,
    /// Not YAML.
    #[error("is not YAML")]
    Yaml(#[source] ScanError),
    /// Lists and maps deeper in each other than is read.
    #[error("line {line}: lists and maps are more than {DEPTH_MAX} deep")]
    TooDeep {
        /// Where.
        line: usize,
    },
    /// More values than are read.
    #[error("line {line}: has more than {NODES_MAX} values, with what its aliases stand for")]
    TooMany {
        /// Where.
        line: usize,
    },
    /// A name that is a list or a map, or too long.
    #[error("line {line}: the name of a field must be a text of {NAME_BYTES_MAX} bytes at most")]
    Name {
        /// Where.
        line: usize,
    },
    /// Two fields of one name. Envoy takes one of them, and says nothing.
    #[error(
        "line {line}: `{name}` is given twice, perhaps in two spellings; Envoy takes one of them"
    )]
    Twice {
        /// Where the second is.
        line: usize,
        /// Its name.
        name: String,
    },
    /// An alias of something that is not complete.
    #[error("line {line}: an alias of what it is itself a part of")]
    Alias {
        /// Where.
        line: usize,
    },
    /// YAML, but nothing of Envoy's.
    #[error(
        "has nothing of an Envoy configuration: no static_resources, listener, \
         HttpConnectionManager or route configuration"
    )]
    NotEnvoy,
}

impl From<ScanError> for Unreadable {
    fn from(error: ScanError) -> Self {
        Self::Yaml(error)
    }
}

/// Whether two names are one field's, in one spelling or two.
pub(super) fn is_same_name(one: &str, other: &str) -> bool {
    one == other || camel(one).eq(camel(other))
}

/// The characters of a name in the spelling of JSON.
fn camel(name: &str) -> impl Iterator<Item = char> + '_ {
    let mut after_underscore = false;
    name.chars().filter_map(move |char| {
        if char == '_' {
            after_underscore = true;
            return None;
        }
        let raised = if after_underscore { char.to_ascii_uppercase() } else { char };
        after_underscore = false;
        Some(raised)
    })
}

/// Reads all documents of a file.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, Unreadable> {
    if text.len() > BYTES_MAX {
        return Err(Unreadable::TooLarge);
    }
    let mut reading = Reading::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event?;
        reading.take(event, span)?;
    }
    Ok(reading.documents)
}

/// A list or map that is not complete.
struct Open {
    anchor: usize,
    node: Node,
    /// The name of the field that comes next, and its line.
    name: Option<(String, usize)>,
    /// The names so far in the spelling of JSON, to find those that are given twice.
    names: HashSet<String>,
    nodes: usize,
}

#[derive(Default)]
struct Reading {
    documents: Vec<Node>,
    open: Vec<Open>,
    /// What aliases stand for, with how many nodes each is.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl Reading {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Unreadable> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, _, anchor, _) => {
                let node = Node { line, value: Value::Scalar(text.into_owned()) };
                self.complete(anchor, node, 1)
            }
            Event::SequenceStart(anchor, _) => self.begin(anchor, line, Value::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.begin(anchor, line, Value::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.put(open.anchor, open.node, open.nodes),
                None => Ok(()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((_, nodes)) if self.nodes + nodes > NODES_MAX => {
                    Err(Unreadable::TooMany { line })
                }
                Some((node, nodes)) => {
                    let (node, nodes) = (Node { line, ..node.clone() }, *nodes);
                    self.complete(0, node, nodes)
                }
                None => Err(Unreadable::Alias { line }),
            },
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, line: usize, value: Value) -> Result<(), Unreadable> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Unreadable::TooDeep { line });
        }
        self.count(1, line)?;
        let node = Node { line, value };
        self.open.push(Open { anchor, node, name: None, names: HashSet::new(), nodes: 1 });
        Ok(())
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), Unreadable> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX { Err(Unreadable::TooMany { line }) } else { Ok(()) }
    }

    fn complete(&mut self, anchor: usize, node: Node, nodes: usize) -> Result<(), Unreadable> {
        self.count(nodes, node.line)?;
        self.put(anchor, node, nodes)
    }

    /// Puts a complete node where it belongs.
    fn put(&mut self, anchor: usize, mut node: Node, nodes: usize) -> Result<(), Unreadable> {
        if anchor > 0 {
            self.remember(anchor, &node, nodes)?;
        }
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        parent.nodes += nodes;
        match (&mut parent.node.value, parent.name.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(fields), Some((name, line))) => {
                node.line = line;
                fields.push((name, node));
            }
            (Value::Map(_), None) => {
                let line = node.line;
                let name = match node.value {
                    Value::Scalar(name) if name.len() <= NAME_BYTES_MAX => name,
                    Value::Scalar(_) | Value::List(_) | Value::Map(_) => {
                        return Err(Unreadable::Name { line });
                    }
                };
                if !parent.names.insert(camel(&name).collect()) {
                    return Err(Unreadable::Twice { line, name });
                }
                parent.name = Some((name, line));
            }
            (Value::Scalar(_), _) => {}
        }
        Ok(())
    }

    /// Keeps what an alias may stand for. The copy counts as well.
    fn remember(&mut self, anchor: usize, node: &Node, nodes: usize) -> Result<(), Unreadable> {
        self.count(nodes, node.line)?;
        self.anchors.insert(anchor, (node.clone(), nodes));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::{super::place::Place, *};

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_field_has_the_line_of_its_name_and_both_spellings() {
        let documents =
            parse("a: 1\nroute_config:\n\n  virtualHosts:\n  - x\n---\n{b: [2]}").unwrap();
        let top = Place::top(String::new(), &documents[0]);
        let hosts = top.find("routeConfig.virtual_hosts").unwrap();
        assert_eq!((hosts.path.as_str(), hosts.node.line), ("route_config.virtualHosts", 4));
        let item = hosts.items().next().unwrap();
        assert_eq!((item.node.line, item.text()), (5, Some("x")));
        assert_eq!(documents[1], Node { line: 7, value: documents[1].value.clone() });
        assert!(top.get("b").is_none());
    }

    #[test]
    fn an_alias_has_what_it_stands_for() {
        let documents = parse("a: &x {b: 1}\nc: *x").unwrap();
        let again = Place::top(String::new(), &documents[0]).get("c").unwrap();
        assert_eq!((again.node.line, again.text_of("b")), (2, Some("1")));
    }

    #[test]
    fn a_name_that_is_given_twice_is_refused_in_whatever_spelling() {
        assert!(refusal("a: 1\na: 2").contains("line 2: `a` is given twice"));
        assert!(refusal("x_y: 1\nb: 2\nxY: 2").contains("line 3: `xY` is given twice"));
    }

    #[test]
    fn aliases_that_grow_without_end_are_refused() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for n in 1..20 {
            let before = format!("*a{}", n - 1);
            let ten = [before.as_str(); 10].join(",");
            writeln!(bomb, "a{n}: &a{n} [{ten}]").unwrap();
        }
        assert!(refusal(&bomb).contains("values, with what its aliases stand for"));
    }

    #[test]
    fn depth_and_size_have_bounds() {
        assert!(refusal(&("[".repeat(150) + &"]".repeat(150))).contains("more than 100 deep"));
        assert!(refusal(&"- ".repeat(10_000)).contains("more than 100 deep"));
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        assert!(refusal(&format!("? {long}\n: 1")).contains("256 bytes at most"));
        assert!(refusal(&" ".repeat(BYTES_MAX + 1)).contains("larger than 16 MiB"));
        assert!(refusal(&"- x\n".repeat(NODES_MAX + 1)).contains("more than 1000000 values"));
    }

    #[test]
    fn what_is_not_yaml_is_refused() {
        for text in ["a: [", "\"", "a: b: c", "{a", "*x", "? [a]\n: b"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-\\[\\]{}:,&*!|>'\"%@`#? a-c0-1\n\t]{0,60}") {
            let _read = parse(&text).is_ok();
        }

        #[test]
        fn any_characters_are_read_or_refused(text in "\\PC{0,60}") {
            let _read = parse(&text).is_ok();
        }
    }
}
