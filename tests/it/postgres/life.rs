//! Birth, death and what is left behind.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use keyward::postgres::{PostgresError, PrivatePostgres};

use super::support::{
    Helper, PATIENCE, Scratch, as_root, as_server, kill, lives, options, query, refusal, sql,
    start, until,
};

#[test]
fn a_restart_keeps_the_data() {
    let scratch = Scratch::new("restart");
    let data = scratch.data();
    let first = start(&data);
    assert!(first.started().first_start && !first.started().recovered);
    sql(&first, "CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 50)");
    assert_eq!(sql(&first, "SHOW listen_addresses"), "");
    assert_eq!(sql(&first, "SELECT current_user || ' ' || current_database()"), "keyward keyward");
    let attached = PrivatePostgres::attach(&data).expect("a running server");
    assert_eq!(&attached, first.connection());
    let end = first.stop(PATIENCE);
    assert!(end.asked && end.status.is_some_and(|status| status.success()), "{end}");
    assert!(PrivatePostgres::attach(&data).is_none());
    drop(first);

    let second = start(&data);
    assert!(!second.started().first_start && !second.started().recovered);
    assert!(!second.started().stale_pid_file && second.started().ended_orphan.is_none());
    assert_eq!(sql(&second, "SELECT count(*) FROM t"), "50");
}

#[test]
fn the_folders_are_closed_to_others() {
    let scratch = Scratch::new("modes");
    let postgres = start(&scratch.data());
    let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
    assert_eq!(mode(&postgres.connection().socket_dir), 0o700);
    assert_eq!(mode(&scratch.data().join("pg")), 0o700);
    if as_root() {
        // The server's user may walk through, but neither list nor replace the service's own files.
        assert_eq!(mode(&scratch.data()), 0o710);
        assert_eq!(fs::metadata(scratch.data()).expect("there").uid(), 0);
        assert!(postgres.started().runs_as.is_some());
    } else {
        assert_eq!(mode(&scratch.data()), 0o700);
    }
}

#[test]
fn dropping_it_ends_the_server() {
    let scratch = Scratch::new("drop");
    let postgres = start(&scratch.data());
    let pid = postgres.pid();
    assert!(lives(pid));
    drop(postgres);
    assert!(!lives(pid));
}

#[test]
fn killing_the_parent_leaves_no_server() {
    for durability in ["durable", "throwaway"] {
        let scratch = Scratch::new(&format!("orphan-{durability}"));
        let mut helper = Helper::spawn(&scratch.data(), durability);
        let postmaster = helper.postmaster();
        assert!(lives(postmaster));
        helper.kill();
        until("the server follows its parent", || !lives(postmaster));
        // Durable means a shutdown in order, throw-away a quick end.
        let next = start(&scratch.data());
        assert_eq!(next.started().recovered, durability == "throwaway");
    }
}

#[test]
fn killing_both_keeps_what_was_committed() {
    let scratch = Scratch::new("double");
    let data = scratch.data();
    let first = start(&data);
    sql(&first, "CREATE TABLE t (n int)");
    drop(first);
    for round in 1..=3 {
        let mut helper = Helper::spawn(&data, "durable");
        let postmaster = helper.postmaster();
        let connection = PrivatePostgres::attach(&data).expect("the helper's server");
        query(&connection, "INSERT INTO t SELECT generate_series(1, 1000)");
        // Stopped first, so that neither sees the other's death.
        kill("STOP", helper.process.id());
        kill("KILL", postmaster);
        helper.kill();
        let next = start(&data);
        assert!(next.started().recovered);
        assert!(next.started().stale_pid_file);
        assert_eq!(sql(&next, "SELECT count(*) FROM t"), (round * 1000).to_string());
    }
}

#[test]
fn a_second_owner_is_refused_by_pid() {
    let scratch = Scratch::new("second");
    let mut helper = Helper::spawn(&scratch.data(), "throwaway");
    let postmaster = helper.postmaster();
    let (error, text) = refusal(&options(&scratch.data()));
    assert!(matches!(error, PostgresError::InUse { .. }), "{text}");
    assert!(text.contains(&format!("pid {}.", helper.process.id())), "{text}");
    assert!(lives(postmaster));
    helper.kill();
    until("the server follows its parent", || !lives(postmaster));
}

#[test]
fn a_start_killed_on_the_way_can_be_repeated() {
    let scratch = Scratch::new("killed");
    let data = scratch.data();
    // Each at another moment of the making.
    for landmark in ["pg.new", "pg.new/postgresql.conf", "pg.new/base/1/PG_VERSION"] {
        let mut helper = Helper::spawn(&data, "throwaway");
        until("initdb is at work", || data.join(landmark).exists());
        helper.kill();
        assert!(!data.join("pg").exists(), "too late to prove anything: {landmark}");
    }
    let postgres = start(&data);
    assert!(postgres.started().first_start);
    assert_eq!(sql(&postgres, "SELECT 1"), "1");
}

#[test]
fn the_thread_that_starts_it_may_end() {
    let scratch = Scratch::new("thread");
    let data = scratch.data();
    let starter = thread::spawn(move || (start(&data), thread_id()));
    let (postgres, starter_id) = starter.join().expect("started");
    until("the thread is gone", || !Path::new(&format!("/proc/self/task/{starter_id}")).exists());
    // A death signal would have been sent by now, and the server would take no new sessions.
    assert_eq!(sql(&postgres, "SELECT 1"), "1");
    assert!(lives(postgres.pid()));
}

/// The kernel's id of this thread.
fn thread_id() -> u32 {
    let link = fs::read_link("/proc/thread-self").expect("proc");
    let name = link.file_name().and_then(|name| name.to_str());
    name.and_then(|id| id.parse().ok()).expect("an id")
}

#[test]
fn a_pid_file_that_names_somebody_else_is_healed() {
    let scratch = Scratch::new("stale");
    let data = scratch.data();
    let cluster = data.join("pg");
    let pid_file = cluster.join("postmaster.pid");
    drop(start(&data));
    // A zombie of the server's user, and a living process that has nothing to do with the server.
    let mut sleep = Command::new("sleep");
    sleep.arg("600");
    for (command, is_zombie) in [(Command::new("true"), true), (sleep, false)] {
        let mut other = as_server(command, &cluster);
        let pid = other.id();
        if is_zombie {
            until("it is a zombie", || !lives(pid));
        }
        let text = format!("{pid}\n{}\n1700000000\n5432\n\n\n", cluster.display());
        fs::write(&pid_file, text).expect("a stale file");
        let postgres = start(&data);
        assert!(postgres.started().stale_pid_file);
        assert_eq!(postgres.started().ended_orphan, None);
        assert!(is_zombie || lives(pid), "somebody else's process was harmed");
        drop(postgres);
        other.kill().ok();
        other.wait().expect("its end");
    }
}

#[test]
fn a_living_orphan_is_shut_down_first() {
    let scratch = Scratch::new("alive");
    let data = scratch.data();
    let cluster = data.join("pg");
    let first = start(&data);
    let mut command = Command::new(first.started().bin_dir.join("postgres"));
    command.arg("-D").arg(&cluster);
    command.arg("-k").arg(&first.connection().socket_dir);
    command.args(["-c", "listen_addresses="]);
    drop(first);
    let mut orphan = as_server(command, &cluster);
    until("the orphan is up", || PrivatePostgres::attach(&data).is_some());
    let second = start(&data);
    assert_eq!(second.started().ended_orphan, Some(orphan.id()));
    assert!(!second.started().recovered, "it was shut down in order");
    assert!(!lives(orphan.id()));
    orphan.wait().expect("its end");
    assert_eq!(sql(&second, "SELECT 1"), "1");
}

#[test]
fn an_unexpected_death_is_told_apart_from_a_stop() {
    let scratch = Scratch::new("death");
    let data = scratch.data();
    for (unexpected, signal) in [(true, "KILL"), (false, "")] {
        let postgres = Arc::new(start(&data));
        let theirs = Arc::clone(&postgres);
        let watcher = thread::spawn(move || theirs.wait_exit());
        if unexpected {
            kill(signal, postgres.pid());
        } else {
            postgres.stop(PATIENCE);
        }
        let end = watcher.join().expect("an end");
        assert_eq!(end.asked, !unexpected, "{end}");
        assert_eq!(end.to_string().contains("signal: 9"), unexpected, "{end}");
        // Stopping what is gone already is no harm.
        postgres.stop(PATIENCE);
    }
}

#[test]
fn a_ctrl_c_does_not_reach_it() {
    let scratch = Scratch::new("group");
    let postgres = start(&scratch.data());
    // After the name in brackets: state, parent, process group. A terminal signals whole groups.
    let stat = fs::read_to_string(format!("/proc/{}/stat", postgres.pid())).expect("proc");
    let (_, rest) = stat.rsplit_once(") ").expect("a name");
    let group = rest.split(' ').nth(2).and_then(|group| group.parse().ok());
    assert_eq!(group, Some(postgres.pid()));
}

#[test]
fn a_cluster_behind_a_link_is_known() {
    let scratch = Scratch::new("link");
    let data = scratch.data();
    drop(start(&data));
    fs::rename(data.join("pg"), scratch.0.join("elsewhere")).expect("moved");
    std::os::unix::fs::symlink(scratch.0.join("elsewhere"), data.join("pg")).expect("linked");
    let postgres = start(&data);
    assert!(!postgres.started().first_start);
    let attached = PrivatePostgres::attach(&data).expect("a running server");
    assert_eq!(&attached, postgres.connection());
}
