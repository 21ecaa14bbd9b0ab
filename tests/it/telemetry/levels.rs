//! Another log level for a while.

use crate::{
    postgres::support::Scratch,
    support::{database::Database, eventually, server::Server},
};

#[tokio::test]
async fn a_file_changes_the_level_and_its_end_brings_the_usual_one_back() {
    let folder = Scratch::new("log-level");
    let file = folder.0.join("level");
    let server =
        Server::start_with(&Database::new(), &["--log-level-file", file.to_str().unwrap()]).await;
    std::fs::write(&file, "nonsense").unwrap();
    server.until_logged("the file sets no log level").await;
    // a level that says of its own change, and little else
    std::fs::write(&file, "error,keyward::app::levels=info for 2s").unwrap();
    server.until_logged("error,keyward::app::levels=info").await;
    eventually("the usual level is back", async || {
        (server.count_logged("another log level") == 2).then_some(())
    })
    .await;
}
