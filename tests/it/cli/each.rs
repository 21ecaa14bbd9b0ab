//! Each noun refuses in the same way, and each command has an example.

use clap::CommandFactory;
use keyward::config::Cli;

use super::User;
use crate::support::operator::Site;

/// No job and no key that anybody has.
const JOB: &str = "job_01m7xstrfsfh0tx2xay5s0g0qv";
const KEY: &str = "key_01m7xstrfsfh0tx2xay5s0g0qv";

#[tokio::test]
async fn who_may_not_is_told_which_permission_is_missing() {
    let site = Site::shared();
    let nobody = site.operator(&["keyward.nothing.read"]).await;
    let nobody = User::with(site.server.admin, &nobody.made.token);
    for (arguments, permission) in [
        (&["groups", "show", "x"][..], "keyward.groups.read"),
        (&["groups", "create", "x"], "keyward.groups.write"),
        (&["groups", "delete", "x", "-y"], "keyward.groups.delete"),
        (&["users", "list"], "keyward.users.read"),
        (&["users", "disable", "x", "-y"], "keyward.users.write"),
        (&["domains", "create", "x"], "keyward.domains.write"),
        (&["domains", "routes", "get", "default"], "keyward.routes.read"),
        (&["environments", "delete", "x", "-y"], "keyward.environments.delete"),
        (&["customers", "create", "x"], "keyward.customers.write"),
        (&["templates", "list"], "keyward.templates.read"),
        (&["limits", "show", "--key", KEY], "keyward.keys.read"),
        (&["jobs", "list"], "keyward.jobs.read"),
        (&["jobs", "cancel", JOB, "-y"], "keyward.jobs."),
        (&["jobs", "start", "purge", "--days", "9", "--dry-run"], "keyward.keys.delete"),
        (&["usage"], "keyward.usage.read"),
        (&["decisions", "list"], "keyward.decisions.read"),
        (&["decisions", "list", "--follow"], "keyward.decisions.read"),
        (&["audit", "list"], "keyward.audit.read"),
        (&["audit", "verify"], "keyward.audit.read"),
        (&["audit", "export"], "keyward.audit.read"),
    ] {
        let ended = nobody.run(arguments).await;
        ended.assert_refusal(4, &["PERMISSION_MISSING", permission]);
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_told_by_its_flag() {
    let site = Site::shared();
    let user = User::of(&site);
    for (arguments, flag) in [
        (&["groups", "create", "Not a name"][..], "GROUP: "),
        (&["groups", "create", "x", "-p", "NO"], "--permission: "),
        (&["groups", "update", "x"], "nothing is to be changed"),
        (&["users", "create", "a b", "--kind", "person"], "USER: "),
        (&["users", "create", "x"], "--kind"),
        (&["domains", "create", "X"], "DOMAIN: "),
        (&["environments", "create", "x", "--tag", "far-too-long"], "--tag: "),
        (&["customers", "create", "x", "--rate", "A=1/1s"], "--rate, --quota, --concurrency: "),
        (&["templates", "create", "x", "--default-environment", "Z"], "--default-environment: "),
        (&["limits", "show"], "--domain"),
        (&["limits", "set", "--user", "x"], "no limit is given"),
        (&["jobs", "show", "x"], "JOB: "),
        (&["jobs", "start", "purge", "--days", "0", "--dry-run"], "--days: "),
        (&["usage", "--key", "key_x"], "--key: "),
        (&["usage", "--since", "soon"], "--since"),
        (&["decisions", "list", "--address", "here"], "--address: "),
        (&["decisions", "list", "--follow", "--since", "1h"], "--since"),
        (&["audit", "list", "--kind", "nothing"], "--kind: "),
        (&["audit", "verify", "--known-number", "1"], "--known-hash"),
    ] {
        user.run(arguments).await.assert_refusal(2, &[flag]);
    }
}

#[tokio::test]
async fn what_is_not_there_ends_with_3() {
    let site = Site::shared();
    let user = User::of(&site);
    for arguments in [
        &["groups", "show", "nobody"][..],
        &["users", "enable", "nobody"],
        &["domains", "show", "nobody"],
        &["domains", "catalogue", "get", "nobody"],
        &["environments", "update", "nobody", "--tag", "x"],
        &["customers", "delete", "nobody", "-y"],
        &["templates", "show", "nobody"],
        &["limits", "show", "--user", "nobody"],
        &["jobs", "show", JOB],
        &["jobs", "watch", JOB],
        &["jobs", "errors", JOB],
        &["usage", "--key", KEY],
    ] {
        user.run(arguments).await.assert_refusal(3, &["_NOT_FOUND"]);
    }
}

#[tokio::test]
async fn a_server_that_is_away_ends_with_5() {
    let site = Site::start(&[]).await;
    let user = User::of(&site);
    drop(site);
    for arguments in [
        &["groups", "list"][..],
        &["users", "create", "x", "--kind", "person"],
        &["domains", "list"],
        &["environments", "list"],
        &["customers", "list"],
        &["templates", "list"],
        &["limits", "show", "-d", "default"],
        &["jobs", "list"],
        &["usage"],
        &["decisions", "list"],
        &["decisions", "list", "--follow"],
        &["audit", "list"],
        &["audit", "verify"],
        &["audit", "export"],
    ] {
        user.run(arguments).await.assert_refusal(5, &["does not answer", &user.server]);
    }
}

#[test]
fn every_command_of_these_nouns_has_an_example() {
    const NOUNS: [&str; 12] = [
        "audit",
        "customers",
        "decisions",
        "doctor",
        "domains",
        "environments",
        "groups",
        "jobs",
        "limits",
        "templates",
        "usage",
        "users",
    ];
    let root = Cli::command();
    for noun in NOUNS {
        let mut open = vec![root.find_subcommand(noun).unwrap().clone()];
        while let Some(command) = open.pop() {
            if command.has_subcommands() {
                open.extend(command.get_subcommands().cloned());
                continue;
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            assert!(
                help.contains(&format!("keyward {noun}")) || help.contains("keyward doctor"),
                "{noun} {name}: {help}"
            );
            assert!(help.contains(name), "{noun} {name}: {help}");
        }
    }
}
