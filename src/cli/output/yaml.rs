//! YAML 1.2 of JSON values: block style, and every text quoted that could be read as something else.

use serde_json::Value;

/// A whole document.
pub fn document(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(object) if !object.is_empty() => write(value, 0, &mut text),
        Value::Array(array) if !array.is_empty() => write(value, 0, &mut text),
        _ => {
            text.push_str(&scalar(value));
            text.push('\n');
        }
    }
    text
}

fn write(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                indent(depth, text);
                text.push_str(&word(name));
                text.push(':');
                below(value, depth, text);
            }
        }
        Value::Array(array) => {
            for value in array {
                indent(depth, text);
                let from = text.len();
                text.push('-');
                below(value, depth, text);
                join(text, from, depth);
            }
        }
        _ => {}
    }
}

/// What stands after a name or a dash.
fn below(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            text.push('\n');
            write(value, depth + 1, text);
        }
        Value::Array(array) if !array.is_empty() => {
            text.push('\n');
            write(value, depth + 1, text);
        }
        _ => {
            text.push(' ');
            text.push_str(&scalar(value));
            text.push('\n');
        }
    }
}

/// The first line below a dash stands beside it.
fn join(text: &mut String, from: usize, depth: usize) {
    let blanks = 2 * (depth + 1);
    let below = format!("-\n{}", " ".repeat(blanks));
    if text.get(from..).is_some_and(|rest| rest.starts_with(&below)) {
        text.replace_range(from..from + below.len(), "- ");
    }
}

fn indent(depth: usize, text: &mut String) {
    text.push_str(&"  ".repeat(depth));
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(string) => word(string),
        Value::Object(_) => String::from("{}"),
        Value::Array(_) => String::from("[]"),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A text without quotes if it is a plain word that means nothing else, else as JSON has it.
fn word(text: &str) -> String {
    const MEANING_MORE: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|char| char.is_ascii_alphanumeric() || "_-./".contains(char));
    if is_word && !MEANING_MORE.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    super::messages::quoted(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_in_blocks() {
        let value = json!({
            "id": "key_1",
            "limits": [{"name": "a", "rate": {"burst": "5"}}, {"name": "b"}],
            "empty": {},
            "names": ["x: y", "yes", "1"],
            "nested": [["a", "b"], []],
            "live": true,
        });
        assert_eq!(
            document(&value),
            "empty: {}\n\
             id: key_1\n\
             limits:\n\
             \x20 - name: a\n\
             \x20   rate:\n\
             \x20     burst: \"5\"\n\
             \x20 - name: b\n\
             live: true\n\
             names:\n\
             \x20 - \"x: y\"\n\
             \x20 - \"yes\"\n\
             \x20 - \"1\"\n\
             nested:\n\
             \x20 - - a\n\
             \x20   - b\n\
             \x20 - []\n"
        );
        assert_eq!(document(&json!([])), "[]\n");
    }
}
