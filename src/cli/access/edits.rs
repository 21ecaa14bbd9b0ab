//! Which fields a change is about.

use clap::Args;
use prost_types::FieldMask;

use crate::cli::error::CliError;

/// Collects the fields that are changed or cleared.
#[derive(Debug)]
pub struct Mask<'a> {
    paths: Vec<String>,
    clear: &'a [String],
    contradiction: Option<&'static str>,
}

impl<'a> Mask<'a> {
    /// With the fields that are to be cleared, as flags have them: `display-name`.
    pub const fn new(clear: &'a [String]) -> Self {
        Self { paths: Vec::new(), clear, contradiction: None }
    }

    /// A field's new value, if it was given; its absence if it is to be cleared.
    pub fn field<T: Default>(&mut self, path: &'static str, given: Option<T>) -> T {
        let clear = self.clear.iter().any(|name| name.replace('-', "_") == path);
        if clear && given.is_some() {
            self.contradiction = Some(path);
        }
        if clear || given.is_some() {
            self.paths.push(path.to_owned());
        }
        given.unwrap_or_default()
    }

    /// The fields; one at least.
    pub fn finish(self) -> Result<Option<FieldMask>, CliError> {
        if let Some(path) = self.contradiction {
            return Err(CliError::usage(
                format!("{} is set and cleared at once", path.replace('_', "-")),
                "leave out --clear, or the new value",
            ));
        }
        if self.paths.is_empty() {
            return Err(CliError::usage("nothing is to be changed", "--help lists what can be"));
        }
        Ok(Some(FieldMask { paths: self.paths }))
    }
}

/// What becomes of a list.
#[derive(Clone, Copy, Debug)]
pub struct Edits<'a> {
    /// The new list, unless it is empty.
    pub whole: &'a [String],
    /// What is added to the present one.
    pub add: &'a [String],
    /// What is taken from it.
    pub remove: &'a [String],
}

impl Edits<'_> {
    /// Whether the list of now must be known.
    pub const fn need_present(self) -> bool {
        !self.add.is_empty() || !self.remove.is_empty()
    }

    /// The new list, unless nothing was said of it.
    pub fn apply(self, present: &[String]) -> Option<Vec<String>> {
        if !self.whole.is_empty() {
            return Some(self.whole.to_vec());
        }
        if !self.need_present() {
            return None;
        }
        let kept = present.iter().chain(self.add).filter(|&one| !self.remove.contains(one));
        let mut edited: Vec<String> = Vec::new();
        for one in kept {
            if !edited.contains(one) {
                edited.push(one.clone());
            }
        }
        Some(edited)
    }
}

/// What becomes of permissions.
#[derive(Clone, Debug, Args)]
pub struct PermissionEdits {
    /// In place of those there are, which may be given several times
    #[arg(
        id = "permissions",
        long = "permission",
        short,
        value_delimiter = ',',
        value_name = "PERMISSION",
        conflicts_with_all = ["add_permissions", "remove_permissions"],
    )]
    pub whole: Vec<String>,

    /// Besides those there are
    #[arg(
        id = "add_permissions",
        long = "add-permission",
        value_name = "PERMISSION",
        value_delimiter = ','
    )]
    pub add: Vec<String>,

    /// No longer
    #[arg(
        id = "remove_permissions",
        long = "remove-permission",
        value_name = "PERMISSION",
        value_delimiter = ','
    )]
    pub remove: Vec<String>,
}

impl PermissionEdits {
    /// The edits.
    pub fn edits(&self) -> Edits<'_> {
        Edits { whole: &self.whole, add: &self.add, remove: &self.remove }
    }
}

/// What becomes of groups.
#[derive(Clone, Debug, Args)]
pub struct GroupEdits {
    /// In place of those there are, which may be given several times
    #[arg(
        id = "groups",
        long = "group",
        short,
        value_delimiter = ',',
        value_name = "GROUP",
        conflicts_with_all = ["add_groups", "remove_groups"],
    )]
    pub whole: Vec<String>,

    /// Besides those there are
    #[arg(id = "add_groups", long = "add-group", value_name = "GROUP", value_delimiter = ',')]
    pub add: Vec<String>,

    /// No longer
    #[arg(
        id = "remove_groups",
        long = "remove-group",
        value_name = "GROUP",
        value_delimiter = ','
    )]
    pub remove: Vec<String>,
}

impl GroupEdits {
    /// The edits.
    pub fn edits(&self) -> Edits<'_> {
        Edits { whole: &self.whole, add: &self.add, remove: &self.remove }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().copied().map(String::from).collect()
    }

    #[test]
    fn a_list_is_replaced_or_added_to_and_taken_from() {
        let (present, both) = (texts(&["a", "b"]), (texts(&["c", "a"]), texts(&["b"])));
        let edit = Edits { whole: &[], add: &both.0, remove: &both.1 };
        assert_eq!(edit.apply(&present), Some(texts(&["a", "c"])));
        let whole = texts(&["x"]);
        let edit = Edits { whole: &whole, add: &[], remove: &[] };
        assert_eq!(edit.apply(&present), Some(texts(&["x"])));
        let edit = Edits { whole: &[], add: &[], remove: &[] };
        assert_eq!((edit.apply(&present), edit.need_present()), (None, false));
    }

    #[test]
    fn a_mask_names_what_is_given_or_cleared() {
        let clear = texts(&["display-name"]);
        let mut mask = Mask::new(&clear);
        assert_eq!(mask.field("display_name", None::<String>), "");
        assert_eq!(mask.field("description", Some("x")), "x");
        assert_eq!(mask.field("tag", None::<String>), "");
        let paths = mask.finish().unwrap().unwrap().paths;
        assert_eq!(paths, texts(&["display_name", "description"]));
        assert_eq!(Mask::new(&[]).finish().unwrap_err().exit_code(), 2);
        let mut mask = Mask::new(&clear);
        let _both = mask.field("display_name", Some("x"));
        assert_eq!(mask.finish().unwrap_err().exit_code(), 2);
    }
}
