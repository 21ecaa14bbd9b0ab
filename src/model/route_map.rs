//! Route maps: which permission a request to a domain needs, by its method and path.
//!
//! A path is looked up segment by segment in a tree, so that a lookup does not try every entry; it
//! allocates nothing. Of the entries that match, the most specific decides: compared
//! from the left, a literal segment comes before `{name}` and that before `**`; then an entry that names
//! the method comes before one for all.

use std::{collections::BTreeMap, fmt};

use thiserror::Error;

use crate::model::{
    permission::{ActionPermission, InvalidPermission, Permission},
    route::{AmbiguousPath, Methods, Path, unescaped},
};

const ENTRIES_MAX: usize = 1000;
const TEMPLATE_BYTES_MAX: usize = 512;
const SEGMENTS_MAX: usize = 32;
const ANY_METHOD: &str = "*";
const REST: &str = "**";

/// One entry: requests with these methods to paths of this form need this permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMapEntry {
    methods: Methods,
    template: Box<str>,
    permission: ActionPermission,
}

/// A text that is not an entry of a route map.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidRouteMapEntry {
    /// Not of three parts.
    #[error("must be methods, a path and a permission, e.g. GET,HEAD /api/{{id}} api.{{action}}")]
    Form,
    /// A method of another form, twice, too many, or `*` beside others.
    #[error("methods must be up to 10 different words of A-Z, e.g. GET,HEAD, or * for all")]
    Method,
    /// A longer or deeper template than a map takes.
    #[error("the path must be {TEMPLATE_BYTES_MAX} bytes and {SEGMENTS_MAX} segments at most")]
    Size,
    /// A path that could not be matched safely.
    #[error("the path {AmbiguousPath}")]
    Path,
    /// A `{`, `}` or `*` in another place than a template may have it.
    #[error(
        "a segment that is not literal must be {{name}} (of a-z, 0-9 and _), or ** and the last one"
    )]
    Wild,
    /// A permission of another form.
    #[error("the permission {0}; a whole word may be {{action}}")]
    Permission(InvalidPermission),
    /// Two entries, neither of which is more specific.
    #[error("has a method in common with an entry before it whose path is of the same form")]
    Duplicate,
    /// More entries than a map takes.
    #[error("must be {ENTRIES_MAX} at most")]
    TooMany,
}

/// What a segment of a template stands for.
enum Segment<'a> {
    /// Itself, however it is escaped; empty: the trailing slash of `/a/`.
    Literal(&'a str),
    /// One segment that is not empty.
    Wild,
    /// All further segments, also none.
    Rest,
}

impl RouteMapEntry {
    /// Checks the parts of an entry. Methods are for all if there are none, or `*` alone.
    pub fn new(
        methods: &[impl AsRef<str>],
        template: &str,
        permission: &str,
    ) -> Result<Self, InvalidRouteMapEntry> {
        let methods = match methods {
            [any] if any.as_ref() == ANY_METHOD => Methods::default(),
            words => Methods::parse(words).ok_or(InvalidRouteMapEntry::Method)?,
        };
        check_template(template)?;
        let permission =
            ActionPermission::parse(permission).map_err(InvalidRouteMapEntry::Permission)?;
        Ok(Self { methods, template: template.into(), permission })
    }

    /// Reads an entry from its line: `GET,HEAD /api/systems/{id} systems.{action}`, or
    /// `* /files/** files.read` for all methods.
    pub fn parse(line: &str) -> Result<Self, InvalidRouteMapEntry> {
        let parts = line.split_once(' ').and_then(|(methods, rest)| {
            let (template, permission) = rest.split_once(' ')?;
            Some((methods, template, permission))
        });
        let (methods, template, permission) = parts.ok_or(InvalidRouteMapEntry::Form)?;
        let methods: Vec<&str> = methods.split(',').collect();
        Self::new(&methods, template, permission)
    }

    /// The methods that it is for. None: all, also none.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.methods.iter()
    }

    /// The form of the paths that it is for.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// The permission as it was given, perhaps with `{action}`.
    pub fn permission(&self) -> &str {
        self.permission.as_str()
    }

    /// What it needs for reading and for writing; the same if there is no `{action}`.
    pub fn permissions(&self) -> [Permission<'_>; 2] {
        [self.permission.read(), self.permission.write()]
    }

    /// What it needs for a method. A request that names none might write.
    fn permission_for(&self, method: &str) -> Permission<'_> {
        match method {
            "GET" | "HEAD" | "OPTIONS" => self.permission.read(),
            _ => self.permission.write(),
        }
    }
}

impl fmt::Display for RouteMapEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.methods.is_any() {
            f.write_str(ANY_METHOD)?;
        } else {
            write!(f, "{}", self.methods)?;
        }
        write!(f, " {} {}", self.template, self.permission.as_str())
    }
}

fn check_template(template: &str) -> Result<(), InvalidRouteMapEntry> {
    let inner = template.strip_prefix('/').ok_or(InvalidRouteMapEntry::Path)?;
    let count = inner.split('/').count();
    if template.len() > TEMPLATE_BYTES_MAX || count > SEGMENTS_MAX {
        return Err(InvalidRouteMapEntry::Size);
    }
    for (position, segment) in segments(template).enumerate() {
        let last = position + 1 == count;
        match segment {
            Segment::Literal("") if last => {}
            Segment::Literal("") => return Err(InvalidRouteMapEntry::Path),
            Segment::Literal(text) if text.contains(['*', '{', '}']) => {
                return Err(InvalidRouteMapEntry::Wild);
            }
            Segment::Literal(text) if Path::parse(&format!("/{text}")).is_err() => {
                return Err(InvalidRouteMapEntry::Path);
            }
            Segment::Rest if !last => return Err(InvalidRouteMapEntry::Wild),
            Segment::Literal(_) | Segment::Wild | Segment::Rest => {}
        }
    }
    Ok(())
}

fn segments(template: &str) -> impl Iterator<Item = Segment<'_>> {
    template.split('/').skip(1).map(|segment| {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match name {
            _ if segment == REST => Segment::Rest,
            Some(name) if is_name(name) => Segment::Wild,
            Some(_) | None => Segment::Literal(segment),
        }
    })
}

fn is_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !text.is_empty() && text.bytes().all(word)
}

/// All entries of a domain. None: requests say themselves what they need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteMap {
    entries: Box<[RouteMapEntry]>,
    root: Node,
}

/// Where the same first segments lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// By what they stand for without their escapes: `%40me` and `@me` are one to most servers, and
    /// neither way to write it may lead around the entry for it.
    literals: BTreeMap<Box<[u8]>, Self>,
    wild: Option<Box<Self>>,
    /// The entries whose template ends here.
    end: Leaf,
    /// The entries that go on with `**`.
    rest: Leaf,
}

/// The positions of the entries with one form of path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Leaf {
    /// In the order of methods, each of which is there once.
    by_method: Vec<(Box<str>, usize)>,
    any: Option<usize>,
}

impl RouteMap {
    /// Reads a map from the lines of its entries; an error says which of them is wrong.
    pub fn parse<T: AsRef<str>>(lines: &[T]) -> Result<Self, (usize, InvalidRouteMapEntry)> {
        // before anything is read, so that a list without end costs nothing
        if lines.len() > ENTRIES_MAX {
            return Err((ENTRIES_MAX, InvalidRouteMapEntry::TooMany));
        }
        let mut entries = Vec::with_capacity(lines.len());
        for (position, line) in lines.iter().enumerate() {
            entries.push(RouteMapEntry::parse(line.as_ref()).map_err(|error| (position, error))?);
        }
        Self::new(entries)
    }

    /// Makes a map of entries; an error says which of them is wrong.
    pub fn new(entries: Vec<RouteMapEntry>) -> Result<Self, (usize, InvalidRouteMapEntry)> {
        if entries.len() > ENTRIES_MAX {
            return Err((ENTRIES_MAX, InvalidRouteMapEntry::TooMany));
        }
        let mut root = Node::default();
        for (position, entry) in entries.iter().enumerate() {
            let leaf = root.leaf_for(segments(&entry.template));
            leaf.add(&entry.methods, position)
                .ok_or((position, InvalidRouteMapEntry::Duplicate))?;
        }
        Ok(Self { entries: entries.into(), root })
    }

    /// What a request with this method (empty: it names none) and path needs. None: no entry matches.
    pub fn permission(&self, method: &str, path: Path<'_>) -> Option<Permission<'_>> {
        let position = self.root.find(method, path.as_str().strip_prefix('/'))?;
        Some(self.entries.get(position)?.permission_for(method))
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in their order.
    pub fn iter(&self) -> impl Iterator<Item = &RouteMapEntry> {
        self.entries.iter()
    }
}

impl Node {
    /// The place for entries with these segments.
    fn leaf_for<'a>(&mut self, segments: impl Iterator<Item = Segment<'a>>) -> &mut Leaf {
        let mut node = self;
        for segment in segments {
            node = match segment {
                Segment::Literal(text) => node.literal_child(text),
                Segment::Wild => &mut **node.wild.get_or_insert_default(),
                // the last one
                Segment::Rest => return &mut node.rest,
            };
        }
        &mut node.end
    }

    fn literal_child(&mut self, text: &str) -> &mut Self {
        self.literals.entry(unescaped(text).collect()).or_default()
    }

    /// The most specific entry for the segments that are left of a path, if there are any left.
    /// No node has two parents, so each is visited once at most, and none is deeper than a template.
    fn find(&self, method: &str, left: Option<&str>) -> Option<usize> {
        let Some(left) = left else {
            return self.end.find(method).or_else(|| self.rest.find(method));
        };
        let (segment, left) = match left.split_once('/') {
            Some((segment, left)) => (segment, Some(left)),
            None => (left, None),
        };
        let by_literal = || self.literal(segment)?.find(method, left);
        let wild = || self.wild.as_ref().filter(|_| !segment.is_empty())?.find(method, left);
        by_literal().or_else(wild).or_else(|| self.rest.find(method))
    }

    fn literal(&self, segment: &str) -> Option<&Self> {
        if !segment.contains('%') {
            return self.literals.get(segment.as_bytes());
        }
        // seldom, and to search in order would need the text without its escapes in one piece
        let mut literals = self.literals.iter();
        let found = literals.find(|(name, _)| name.iter().copied().eq(unescaped(segment)));
        found.map(|(_, node)| node)
    }
}

impl Leaf {
    /// Adds the entry at a position. None: another one has one of these methods.
    fn add(&mut self, methods: &Methods, position: usize) -> Option<()> {
        if methods.is_any() {
            return self.any.replace(position).is_none().then_some(());
        }
        for method in methods.iter() {
            let place =
                self.by_method.binary_search_by(|(known, _)| (**known).cmp(method)).err()?;
            self.by_method.insert(place, (method.into(), position));
        }
        Some(())
    }

    fn find(&self, method: &str) -> Option<usize> {
        let place = self.by_method.binary_search_by(|(known, _)| (**known).cmp(method)).ok();
        let named = place.and_then(|place| self.by_method.get(place));
        named.map(|(_, position)| *position).or(self.any)
    }
}

#[cfg(test)]
mod tests;
