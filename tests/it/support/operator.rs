//! Sites and operators: a server with its database, and admin keys with the permissions of one's
//! choice.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{
    client::{Admin, Made, create, new_admin_key},
    database::Database,
    server::Server,
};

/// For a server whose reports of uses do not change keys while they are looked at.
pub(crate) const NO_USES: [&str; 2] = ["--usage-flush-interval", "30m"];

/// For a server that all tests ask from one address, also with bad keys.
const SHARED_BY_ALL: [&str; 4] = [NO_USES[0], NO_USES[1], "--failure-limit", "off"];

/// A server and its database.
pub(crate) struct Site {
    /// The database.
    pub(crate) database: Database,
    /// The server.
    pub(crate) server: Server,
}

impl Site {
    /// A site of one's own, with more arguments for the server.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let database = Database::new();
        let server = Server::start_with(&database, arguments).await;
        Self { database, server }
    }

    /// The site of all tests that keep to keys of their own. It ends with the last of them.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Site>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let site = Arc::new(apart(async || Self::start(&SHARED_BY_ALL).await));
            *shared = Arc::downgrade(&site);
            site
        })
    }

    /// An operator with the root admin key.
    pub(crate) fn admin(&self) -> Admin {
        self.server.admin()
    }

    /// The id of the root admin key.
    pub(crate) async fn root_id(&self) -> String {
        let request =
            keyward::rpc::pb::LookupKeyRequest { token: self.database.root_token.clone() };
        let found = self.admin().lookup_key(request).await.unwrap();
        found.into_inner().key.unwrap().id
    }

    /// An operator with a new admin key that has these permissions.
    pub(crate) async fn operator(&self, permissions: &[&str]) -> Operator {
        let request = new_admin_key("Operator", permissions);
        let made = create(&mut self.admin(), request).await;
        self.knows(made.revision).await;
        Operator { admin: self.server.admin_as(&made.token), made }
    }

    /// Waits until the server decides with knowledge of a revision.
    pub(crate) async fn knows(&self, revision: i64) {
        self.server.asker().verdict("", revision).await;
    }
}

/// Does work on a runtime that does not end with the test that happens to come first.
fn apart<T: Send>(work: impl AsyncFnOnce() -> T + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work())
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// An admin key and a client that uses it.
pub(crate) struct Operator {
    /// The key.
    pub(crate) made: Made,
    /// The client.
    pub(crate) admin: Admin,
}
