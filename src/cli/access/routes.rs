//! `keyward domains routes` and `keyward domains catalogue`: what a domain has as one file.
//!
//! A file is in JSON as `--output json` prints it, or in lines that people write: blank ones and those with
//! `#` are skipped.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use super::{ChangeArgs, EtagArgs, SureArgs, line, tell};
use crate::{
    cli::{
        error::CliError,
        output::{
            Cell, Field, Fit,
            messages::{self, Shown},
            note,
        },
        read::text_within,
        session::Session,
    },
    rpc::pb::{
        Catalogue, CataloguePermission, GetCatalogueRequest, GetRouteMapRequest, RouteMap,
        RouteMapEntry, UpdateCatalogueRequest, UpdateRouteMapRequest,
    },
};

/// A server reads no larger request.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What to do with a route map.
#[derive(Debug, Subcommand)]
pub enum RoutesCommand {
    /// Show the route map of a domain
    #[command(after_help = "Example: keyward domains routes get acme --output json > routes.json")]
    Get(Named),
    /// Replace the route map of a domain
    ///
    /// The file has lines of methods, path and permission, such as `GET,HEAD /api/systems/{id} systems.read`,
    /// with `*` for all methods; or JSON as `get --output json` prints it.
    #[command(after_help = "Example: keyward domains routes set acme routes.txt")]
    Set(SetArgs),
}

/// What to do with a catalogue.
#[derive(Debug, Subcommand)]
pub enum CatalogueCommand {
    /// Show the permissions that a domain knows
    #[command(after_help = "Example: keyward domains catalogue get acme")]
    Get(Named),
    /// Replace the permissions that a domain knows; without any, it takes all
    ///
    /// The file has lines of a permission and what people call it, such as `systems.read Read systems`;
    /// or JSON as `get --output json` prints it.
    #[command(after_help = "Example: keyward domains catalogue set acme permissions.txt")]
    Set(SetArgs),
}

/// A domain.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// Its name
    #[arg(value_name = "DOMAIN")]
    pub domain: String,
}

/// Settings of the commands `set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// If it is still so.
    #[command(flatten)]
    pub etag: EtagArgs,

    /// That it is meant.
    #[command(flatten)]
    pub sure: SureArgs,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

const ROUTES: [Field<RouteMapEntry>; 3] = [
    Field { name: "Methods", cell: |entry, _| methods(entry), fit: Fit::Whole },
    line!("Path", path_template, Fit::Cut),
    line!("Permission", permission, Fit::Cut),
];

const PERMISSIONS: [Field<CataloguePermission>; 3] = [
    line!("Permission", name),
    line!("Name", display_name, Fit::Cut),
    line!("Description", description, Fit::Spare(1)),
];

fn methods(entry: &RouteMapEntry) -> Cell {
    if entry.methods.is_empty() { Cell::text("*") } else { Cell::text(entry.methods.join(",")) }
}

pub(super) async fn route_map(session: &Session, command: &RoutesCommand) -> Result<(), CliError> {
    let (map, done) = match command {
        RoutesCommand::Get(named) => {
            let request = GetRouteMapRequest { domain: named.domain.clone() };
            let ask = async |request| session.access().get_route_map(request).await;
            (session.ask(request, ask).await?.route_map, None)
        }
        RoutesCommand::Set(args) => {
            let mut map: RouteMap = read(&args.file, routes)?;
            map.domain.clone_from(&args.named.domain);
            map.etag = args.etag.text();
            let dry = confirm(args, &format!("{} route(s)", map.entries.len()))?;
            let request = UpdateRouteMapRequest { route_map: Some(map), validate_only: dry };
            let send = async |request| session.access().update_route_map(request).await;
            let answer = session.change(request, send).await?;
            (answer.route_map, Some((dry, answer.revision)))
        }
    };
    let map = map.unwrap_or_default();
    show(session, &map, (&map.entries, &ROUTES))?;
    if let Some((dry, revision)) = done {
        tell("The route map was replaced", dry, revision);
    }
    Ok(())
}

pub(super) async fn catalogue(
    session: &Session,
    command: &CatalogueCommand,
) -> Result<(), CliError> {
    let (catalogue, done) = match command {
        CatalogueCommand::Get(named) => {
            let request = GetCatalogueRequest { domain: named.domain.clone() };
            let ask = async |request| session.access().get_catalogue(request).await;
            (session.ask(request, ask).await?.catalogue, None)
        }
        CatalogueCommand::Set(args) => {
            let mut catalogue: Catalogue = read(&args.file, |text| Ok(permissions(text)))?;
            catalogue.domain.clone_from(&args.named.domain);
            catalogue.etag = args.etag.text();
            let dry = confirm(args, &format!("{} permission(s)", catalogue.permissions.len()))?;
            let request = UpdateCatalogueRequest { catalogue: Some(catalogue), validate_only: dry };
            let send = async |request| session.access().update_catalogue(request).await;
            let answer = session.change(request, send).await?;
            (answer.catalogue, Some((dry, answer.revision)))
        }
    };
    let catalogue = catalogue.unwrap_or_default();
    show(session, &catalogue, (&catalogue.permissions, &PERMISSIONS))?;
    if let Some((dry, revision)) = done {
        tell("The catalogue was replaced", dry, revision);
    }
    Ok(())
}

/// People see the entries, programs all of it.
fn show<W: Shown, E: Shown>(
    session: &Session,
    whole: &W,
    (entries, fields): (&[E], &[Field<E>]),
) -> Result<(), CliError> {
    if !session.out.is_for_people() {
        return session.out.value(whole);
    }
    if entries.is_empty() {
        note("There are none.");
        return Ok(());
    }
    session.out.list(entries, fields)
}

fn confirm(args: &SetArgs, what: &str) -> Result<bool, CliError> {
    let dry = args.change.dry_run;
    // who pipes a file in means it, and cannot be asked
    if !dry && args.file.as_os_str() != "-" {
        let domain = &args.named.domain;
        args.sure.ask(&format!("Replace what domain {domain} has by {what}?"))?;
    }
    Ok(dry)
}

fn read<T: Shown>(file: &Path, lines: fn(&str) -> Result<T, String>) -> Result<T, CliError> {
    let failed = |source| CliError::io(format!("FILE: {} cannot be read", file.display()), source);
    let text = text_of(file).map_err(failed)?;
    let wrong = |problem: String| {
        CliError::usage(
            format!("FILE: {}: {problem}", file.display()),
            "--help shows what is in it",
        )
    };
    if text.trim_start().starts_with('{') {
        let value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        return messages::read(value);
    }
    lines(&text).map_err(wrong)
}

fn text_of(file: &Path) -> io::Result<String> {
    if file.as_os_str() == "-" {
        return text_within(io::stdin().lock(), FILE_BYTES_MAX);
    }
    text_within(File::open(file)?, FILE_BYTES_MAX)
}

/// The lines that say something, with their numbers.
fn telling(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn routes(text: &str) -> Result<RouteMap, String> {
    let entries = telling(text).map(|(number, line)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [methods, path, permission] = words[..] else {
            return Err(format!("line {number} must have methods, path and permission"));
        };
        let methods = if methods == "*" { "" } else { methods };
        let methods = methods.split(',').filter(|method| !method.is_empty());
        Ok(RouteMapEntry {
            methods: methods.map(str::to_uppercase).collect(),
            path_template: path.to_owned(),
            permission: permission.to_owned(),
        })
    });
    Ok(RouteMap { entries: entries.collect::<Result<_, _>>()?, ..RouteMap::default() })
}

fn permissions(text: &str) -> Catalogue {
    let permissions = telling(text).map(|(_, line)| {
        let (name, display_name) = line.split_once(char::is_whitespace).unwrap_or((line, line));
        CataloguePermission {
            name: name.to_owned(),
            display_name: display_name.trim().to_owned(),
            description: String::new(),
        }
    });
    Catalogue { permissions: permissions.collect(), ..Catalogue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_map_is_read_from_lines() {
        let map = routes("# all\n\nget,HEAD  /a/{id}\tsystems.read\n* /b/** x.{action}\n").unwrap();
        let entry = |methods: &[&str], path: &str, permission: &str| RouteMapEntry {
            methods: methods.iter().copied().map(String::from).collect(),
            path_template: path.into(),
            permission: permission.into(),
        };
        let expected =
            [entry(&["GET", "HEAD"], "/a/{id}", "systems.read"), entry(&[], "/b/**", "x.{action}")];
        assert_eq!(map.entries, expected);
        assert!(routes("\nGET /a\n").unwrap_err().contains("line 2"));
    }

    #[test]
    fn a_catalogue_is_read_from_lines() {
        let found = permissions("systems.read  Read systems\nsystems\n").permissions;
        let names: Vec<_> = found.iter().map(|it| (&*it.name, &*it.display_name)).collect();
        assert_eq!(names, [("systems.read", "Read systems"), ("systems", "systems")]);
    }
}
