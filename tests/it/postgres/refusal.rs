//! Where a start is refused or takes another way.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use keyward::postgres::{Options, PostgresError, PrivatePostgres};

use super::support::{Scratch, as_root, options, refusal, sql, start};

#[test]
fn a_half_made_cluster_is_made_anew() {
    let scratch = Scratch::new("half");
    let half = scratch.data().join("pg.new");
    fs::create_dir_all(half.join("base")).expect("half a cluster");
    fs::write(half.join("PG_VERSION"), "15\n").expect("half a cluster");
    let postgres = start(&scratch.data());
    assert!(postgres.started().first_start);
    assert!(!half.exists());
}

#[test]
fn a_closed_folder_above_is_named() {
    if !as_root() {
        return; // An ordinary user's server runs as that user, who got there already.
    }
    let scratch = Scratch::new("closed");
    let closed = scratch.0.join("closed");
    fs::create_dir(&closed).expect("a folder");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("closed");
    let (error, text) = refusal(&options(&closed.join("data")));
    assert!(matches!(error, PostgresError::NotReachable { .. }), "{text}");
    assert!(text.contains(&format!("may not enter {} ", closed.display())), "{text}");
    assert!(text.contains("--data-dir"), "{text}");
}

#[test]
fn missing_binaries_are_told_with_the_remedies() {
    let scratch = Scratch::new("nothing");
    let empty = scratch.0.join("empty");
    fs::create_dir(&empty).expect("a folder");
    let (error, text) =
        refusal(&Options { bin_dir: Some(empty.clone()), ..options(&scratch.data()) });
    assert!(matches!(error, PostgresError::NoBinaries { .. }), "{text}");
    for word in [
        &empty.display().to_string(),
        "apt-get install postgresql",
        "make run",
        "PGBIN=",
        "DATABASE_URL=",
    ] {
        assert!(text.contains(word), "{word} is missing in: {text}");
    }
}

#[test]
fn a_cluster_of_another_version_is_left_alone() {
    let scratch = Scratch::new("version");
    let cluster = scratch.data().join("pg");
    fs::create_dir_all(cluster.join("base")).expect("a cluster");
    fs::write(cluster.join("PG_VERSION"), "12\n").expect("a cluster");
    fs::write(cluster.join("base/precious"), "data").expect("a cluster");
    let (error, text) = refusal(&options(&scratch.data()));
    assert!(matches!(error, PostgresError::MajorMismatch { data: 12, .. }), "{text}");
    assert!(text.contains("pg_upgrade") && text.contains("PostgreSQL 12"), "{text}");
    let kept = fs::read_to_string(cluster.join("base/precious"));
    assert_eq!(kept.expect("kept"), "data");
    assert_eq!(fs::read_dir(&cluster).expect("kept").count(), 2);

    fs::remove_file(cluster.join("PG_VERSION")).expect("removed");
    let (error, text) = refusal(&options(&scratch.data()));
    assert!(matches!(error, PostgresError::NotACluster { .. }), "{text}");
    assert!(cluster.join("base/precious").exists());
}

#[test]
fn a_long_path_gets_a_short_socket() {
    let scratch = Scratch::new("long");
    let data = scratch.0.join("x".repeat(60)).join("y".repeat(60));
    let postgres = start(&data);
    let socket_dir = postgres.connection().socket_dir.clone();
    assert!(!socket_dir.starts_with(&data) && socket_dir.exists());
    assert_eq!(sql(&postgres, "SELECT 1"), "1");
    let attached = PrivatePostgres::attach(&data).expect("a running server");
    assert_eq!(attached.socket_dir, socket_dir);
    drop(postgres);
    assert!(!socket_dir.exists());
}

#[test]
fn a_server_that_cannot_start_shows_its_log() {
    let scratch = Scratch::new("broken");
    let data = scratch.data();
    drop(start(&data));
    let conf = data.join("pg/postgresql.conf");
    fs::write(&conf, "no_such_setting = on\n").expect("a broken setting");
    let (error, text) = refusal(&options(&data));
    assert!(matches!(error, PostgresError::NotReady { .. }), "{text}");
    assert!(text.contains("no_such_setting") && text.contains("postgres.log"), "{text}");
}
