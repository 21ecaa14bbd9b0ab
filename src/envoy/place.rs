//! A node together with the way to it from the top of the file, as findings name it.

use super::document::{Node, Value, is_same_name};

/// How many nanoseconds are a second.
const NANOS: f64 = 1e9;

/// A node and its path.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    /// Such as `static_resources.listeners[0]`; empty for a whole document.
    pub(super) path: String,
    /// What is there.
    pub(super) node: &'a Node,
}

impl<'a> Place<'a> {
    /// The top of a document.
    pub(super) fn top(path: String, node: &'a Node) -> Self {
        Self { path, node }
    }

    /// The field of this name, as the file spells it.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        self.field(|key| is_same_name(key, name))
    }

    /// The field at the end of a path such as `a.b.c`.
    pub(super) fn find(&self, path: &str) -> Option<Self> {
        path.split('.').try_fold(self.clone(), |at, name| at.get(name))
    }

    /// The field of exactly this name, for maps whose names are data.
    pub(super) fn entry(&self, name: &str) -> Option<Self> {
        self.field(|key| key == name)
    }

    fn field(&self, is_it: impl Fn(&str) -> bool) -> Option<Self> {
        let Value::Map(fields) = &self.node.value else {
            return None;
        };
        let (name, node) = fields.iter().find(|(key, _)| is_it(key))?;
        Some(Self { path: step(&self.path, name), node })
    }

    /// All fields; none if this is no map.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let fields = match &self.node.value {
            Value::Map(fields) => fields.as_slice(),
            Value::Scalar(_) | Value::List(_) => &[],
        };
        let path = self.path.clone();
        fields.iter().map(move |(name, node)| {
            let at = Self { path: step(&path, name), node };
            (name.as_str(), at)
        })
    }

    /// All items; none if this is no list.
    pub(super) fn items(&self) -> impl Iterator<Item = Self> + use<'a> {
        let items = match &self.node.value {
            Value::List(items) => items.as_slice(),
            Value::Scalar(_) | Value::Map(_) => &[],
        };
        let path = self.path.clone();
        items.iter().enumerate().map(move |(n, node)| Self { path: format!("{path}[{n}]"), node })
    }

    /// The items of the list in this field; none if there is none.
    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = Self> + use<'a> {
        self.get(name).into_iter().flat_map(|list| list.items())
    }

    /// The text; nothing for lists and maps. What protobuf wraps (`BoolValue`) may be written with
    /// its wrapping, as in `{value: true}`.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar(text) => Some(text),
            Value::Map(fields) => match fields.as_slice() {
                [(name, Node { value: Value::Scalar(text), .. })] if name == "value" => Some(text),
                _ => None,
            },
            Value::List(_) => None,
        }
    }

    /// The text in the field at the end of a path.
    pub(super) fn text_of(&self, path: &str) -> Option<&'a str> {
        self.find(path)?.text()
    }

    /// Whether the field is true. Envoy takes the words of YAML 1.1 too.
    pub(super) fn is_true(&self, path: &str) -> bool {
        let text = self.text_of(path).unwrap_or_default();
        ["true", "yes", "on", "y"].iter().any(|word| text.eq_ignore_ascii_case(word))
    }

    /// The whole number in the field at the end of a path.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        number(self.text_of(path)?)
    }

    /// Whether the field has this value of an enumeration, by its name or number. Envoy does not care
    /// about case.
    pub(super) fn is_one(&self, path: &str, name: &str, number: &str) -> bool {
        let is_it = |text: &str| text.eq_ignore_ascii_case(name) || text == number;
        self.text_of(path).is_some_and(is_it)
    }

    /// The time in the field, in seconds: `0.25s`, or `{seconds: 1, nanos: 5}`.
    pub(super) fn seconds(&self, path: &str) -> Option<f64> {
        let time = self.find(path)?;
        if let Some(text) = time.text() {
            return text.strip_suffix('s')?.parse().ok();
        }
        let part = |name| match time.text_of(name) {
            Some(text) => text.parse::<f64>().ok(),
            None => Some(0.0),
        };
        Some(part("seconds")? + part("nanos")? / NANOS)
    }

    /// The last word of `@type`, such as `connection manager`; empty without one.
    pub(super) fn kind(&self) -> &'a str {
        let url = self.entry("@type").and_then(|at| at.text()).unwrap_or_default();
        url.rsplit(['.', '/']).next().unwrap_or_default()
    }
}

/// A whole number, in decimal or, as YAML has it too, hexadecimal.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn step(path: &str, name: &str) -> String {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match (path.is_empty(), name.bytes().all(is_word)) {
        (true, true) => name.into(),
        (false, true) => format!("{path}.{name}"),
        (_, false) => format!("{path}[{name:?}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envoy::document::parse;

    #[test]
    fn values_are_read_in_all_spellings_that_envoy_takes() {
        let text = "
            {a: yes, b: \"true\", c: {value: true}, d: On, e: 1, f: false, g: {value: false}, h: [true],
             t: 0.25s, u: {seconds: 2}, v: {nanos: 500000000}, w: 250ms, x: {seconds: x}, n: 0x10, m: 16,
             v1: v3, v2: V3, v3: 2, v4: V2}";
        let documents = parse(text).unwrap();
        let top = Place::top(String::new(), &documents[0]);
        let which = |names: &str, is: &dyn Fn(&str) -> bool| {
            names.split(' ').filter(|name| is(name)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(which("a b c d e f g h i", &|name| top.is_true(name)), "a b c d");
        let seconds: Vec<_> = ["t", "u", "v", "w", "x"].map(|name| top.seconds(name)).into();
        assert_eq!(seconds, [Some(0.25), Some(2.0), Some(0.5), None, None]);
        assert_eq!((top.number("n"), top.number("m"), top.number("a")), (Some(16), Some(16), None));
        assert_eq!(which("v1 v2 v3 v4 v5", &|name| top.is_one(name, "V3", "2")), "v1 v2 v3");
    }

    #[test]
    fn paths_are_those_of_the_file() {
        let documents = parse("a_b:\n- cD: {\"x.y\": 1}").unwrap();
        let top = Place::top(String::new(), &documents[0]);
        let inner = top.list("aB").next().and_then(|at| at.get("c_d")?.entry("x.y")).unwrap();
        assert_eq!(inner.path, "a_b[0].cD[\"x.y\"]");
    }
}
