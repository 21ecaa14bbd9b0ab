//! `keyward pepper`: which peppers there are and how much needs them; the end of one that nothing needs.

use std::fmt::Write;

use anyhow::{bail, ensure};

use crate::{
    app::{
        banner,
        commands::{run_with_store, shown},
    },
    clock,
    config::peppers::{PepperArgs, PepperCommand, RetireArgs},
    model::{caller::Actor, pepper::PepperId, time::Timestamp},
    store::{
        Store,
        peppers::{KnownPepper, PepperUse, retire::Retirement},
        write::Intent,
    },
};

/// Runs `keyward pepper`.
pub fn pepper(args: &PepperArgs) -> anyhow::Result<()> {
    match &args.command {
        PepperCommand::Status(args) => run_with_store(&args.database, status),
        PepperCommand::Retire(args) => {
            run_with_store(&args.database, async |store| retire(&store, args).await)
        }
    }
}

async fn status(store: Store) -> anyhow::Result<()> {
    let known = store.known_peppers().await?;
    let uses = store.pepper_uses().await?;
    let last_uses = store.pepper_last_uses().await?;
    if known.is_empty() {
        banner::say("The database has no pepper yet: the first `keyward serve` brings it.")?;
        return Ok(());
    }
    let mut text = String::new();
    for pepper in &known {
        let found = uses.iter().find(|found| found.id == pepper.id);
        let last_use = last_uses.iter().find(|(id, _)| *id == pepper.id).map(|(_, time)| *time);
        writeln!(text, "{}", line(pepper, found, last_use))?;
    }
    let waiting = known.iter().any(|pepper| {
        let is_needed = uses.iter().any(|found| found.id == pepper.id && found.secrets > 0);
        pepper.retire_time.is_none() && !pepper.is_target && is_needed
    });
    if waiting {
        text.push_str(
            "Keys move when they are used. Those that are never used keep theirs: list them by \
             `last_used_before` of `ListKeys`, and regenerate, or delete and purge them; or keep the \
             pepper.\n",
        );
    }
    banner::say(text.trim_end())?;
    Ok(())
}

fn line(pepper: &KnownPepper, found: Option<&PepperUse>, last_use: Option<Timestamp>) -> String {
    let state = match pepper.retire_time {
        Some(time) => format!("retired {}", shown(time)),
        None if pepper.is_target => String::from("keys move to it"),
        None => String::from("other"),
    };
    let time = |time: Option<Timestamp>| time.map_or_else(|| String::from("never"), shown);
    let secrets = found.map_or(0, |found| found.secrets);
    let deleted = found.map_or(0, |found| found.deleted);
    let staged = found.map_or(0, |found| found.staged);
    format!(
        "{}  {state}; {secrets} secret(s), of which {deleted} of deleted keys and {staged} of imports \
         under way; its keys last used: {}; replicas last had it: {}, as current: {}",
        pepper.id,
        time(last_use),
        time(pepper.seen_time),
        time(pepper.current_time),
    )
}

async fn retire(store: &Store, args: &RetireArgs) -> anyhow::Result<()> {
    let mut session = store.session().await?;
    let mut tx = session.write(intent()).await?;
    let Some(retirement) = tx.weigh_retirement(args.id).await? else {
        bail!("there is no pepper {}; `keyward pepper status` shows which there are", args.id);
    };
    let secrets = secrets(&retirement);
    check(&retirement, args.id)?;
    ensure!(
        secrets == 0 || args.force,
        "{secrets} secret(s) need the pepper {}, as `keyward pepper status` shows; wait until their keys \
         are used, or regenerate or purge them; with --force they become unknown",
        args.id
    );
    tx.retire_pepper(&retirement).await?;
    tx.commit().await?;
    let lost = if secrets == 0 {
        String::from("Nothing needed it.")
    } else {
        format!("{secrets} secret(s) are unknown from now on wherever it is not given.")
    };
    banner::say(&format!(
        "The pepper {} is retired. {lost} Take its file away from all replicas; keep a copy for as long \
         as you keep backups of the database that are older than this.",
        args.id
    ))?;
    Ok(())
}

fn secrets(retirement: &Retirement) -> i64 {
    retirement.found.map_or(0, |found| found.secrets)
}

/// What not even `--force` is for.
fn check(retirement: &Retirement, id: PepperId) -> anyhow::Result<()> {
    ensure!(retirement.known.retire_time.is_none(), "the pepper {id} is retired already");
    ensure!(
        !retirement.known.is_target,
        "the pepper {id} cannot be retired: keys are moved to it; bring a third pepper and make that \
         current"
    );
    ensure!(
        !retirement.is_current,
        "a replica still makes digests with the pepper {id}, or did within 5 minutes; make another one \
         current in all replicas first"
    );
    Ok(())
}

fn intent() -> Intent {
    Intent {
        action: String::from("peppers.retire"),
        actor: Actor::Bootstrap,
        peer: None,
        time: clock::wall(),
        request: None,
    }
}
