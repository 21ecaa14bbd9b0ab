//! Servers: the real program as a process of its own.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{
    TIME_MAX,
    client::{
        Access, Admin, Asker, Explainer, Holder, Insight, access_with, admin_with, explainer_with,
        holder_with, insight_with,
    },
    database::{Database, PEPPER},
    eventually, log_folder,
    program::{anywhere, program},
};

static SERVERS: AtomicU32 = AtomicU32::new(0);

/// A running `keyward serve`; killed when dropped.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    root_token: String,
    /// Where it decides.
    pub(crate) authorize: SocketAddr,
    /// Where it is administered.
    pub(crate) admin: SocketAddr,
    /// Where proxies ask that speak HTTP/1.
    pub(crate) http: SocketAddr,
}

impl Server {
    /// Starts a server on a database and waits until it serves.
    pub(crate) async fn start(database: &Database) -> Self {
        Self::start_with(database, &[]).await
    }

    /// The same with more arguments.
    pub(crate) async fn start_with(database: &Database, arguments: &[&str]) -> Self {
        let server = Self::launch(database, arguments).await;
        server.until_serving().await;
        server
    }

    /// Starts a server and waits until it listens; it may not serve yet.
    pub(crate) async fn launch(database: &Database, arguments: &[&str]) -> Self {
        let mut command = program(&["serve"]);
        command.env("DATABASE_URL", &database.url).env("KEYWARD_PEPPER", PEPPER).args(arguments);
        Self::spawn(command, database.root_token.clone()).await
    }

    /// Starts a server by a command line of one's own.
    pub(crate) async fn spawn(mut command: Command, root_token: String) -> Self {
        let number = SERVERS.fetch_add(1, Relaxed);
        let log = log_folder().join(format!("{}-{number}.log", std::process::id()));
        anywhere(&mut command);
        let child = command
            .env("KEYWARD_LOG_FORMAT", "json")
            .env("KEYWARD_LOG_LEVEL", "trace")
            .stdin(Stdio::null())
            .stdout(File::create(log.with_extension("out")).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server =
            Self { child, log, root_token, authorize: nowhere, admin: nowhere, http: nowhere };
        let listening = eventually("the server listens", async || {
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", server.logged());
            }
            server.log_line("\"message\":\"listening\"")
        })
        .await;
        let address = |name: &str| {
            let (_, rest) = listening.split_once(&format!("\"{name}\":\"")).unwrap();
            rest.split('"').next().unwrap().parse().unwrap()
        };
        server.authorize = address("authorize");
        server.admin = address("admin");
        server.http = address("http");
        server
    }

    /// All that it has logged.
    pub(crate) fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// All that it has printed for people.
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(self.log.with_extension("out")).unwrap()
    }

    /// The token of the root admin key that a first start shows.
    pub(crate) fn root_token_from_print(&self) -> String {
        let printed = self.printed();
        let token = printed.lines().find_map(|line| line.strip_prefix("export KEYWARD_TOKEN="));
        token.expect("a first start shows a token").to_owned()
    }

    /// The first whole line of the log that has this text.
    pub(crate) fn log_line(&self, text: &str) -> Option<String> {
        let logged = self.logged();
        let (whole, _) = logged.rsplit_once('\n')?;
        whole.lines().find(|line| line.contains(text)).map(str::to_owned)
    }

    /// Waits until the log has a line with this text, and returns it.
    pub(crate) async fn until_logged(&self, text: &str) -> String {
        eventually(text, async || self.log_line(text)).await
    }

    /// How many lines of the log have this text.
    pub(crate) fn count_logged(&self, text: &str) -> usize {
        self.logged().matches(text).count()
    }

    /// Waits until health says that it serves.
    pub(crate) async fn until_serving(&self) {
        eventually("the server serves", async || {
            (self.health(self.authorize, "").await == Some(ServingStatus::Serving)).then_some(())
        })
        .await;
    }

    /// What health says of a service; `None` if nobody answers.
    pub(crate) async fn health(&self, at: SocketAddr, service: &str) -> Option<ServingStatus> {
        let channel = endpoint(at).connect().await.ok()?;
        let request = HealthCheckRequest { service: service.to_owned() };
        let response = HealthClient::new(channel).check(request).await.ok()?;
        ServingStatus::try_from(response.into_inner().status).ok()
    }

    /// A client that asks for decisions.
    pub(crate) fn asker(&self) -> Asker {
        Asker::new(connect(self.authorize))
    }

    /// An operator with the root admin key.
    pub(crate) fn admin(&self) -> Admin {
        self.admin_as(&self.root_token)
    }

    /// An operator with another key.
    pub(crate) fn admin_as(&self, token: &str) -> Admin {
        admin_with(connect(self.admin), token)
    }

    /// A client of `AccessAdmin` with this admin key.
    pub(crate) fn access_as(&self, token: &str) -> Access {
        access_with(connect(self.admin), token)
    }

    /// A client of `AccessAdmin` with the root admin key.
    pub(crate) fn access(&self) -> Access {
        self.access_as(&self.root_token)
    }

    /// A client of `Insight` with this admin key.
    pub(crate) fn insight_as(&self, token: &str) -> Insight {
        insight_with(connect(self.admin), token)
    }

    /// A client of `Insight` with the root admin key.
    pub(crate) fn insight(&self) -> Insight {
        self.insight_as(&self.root_token)
    }

    /// A client of `SelfService` with any key.
    pub(crate) fn holder(&self, token: &str) -> Holder {
        holder_with(connect(self.admin), token)
    }

    /// A client of `Authorize` on the admin listener, which may ask for explanations.
    pub(crate) fn explainer_as(&self, token: &str) -> Explainer {
        explainer_with(connect(self.admin), token)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Ends it in order, as a service manager does.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        assert!(status.success(), "{status}:\n{}", self.logged());
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Halts it: connections are accepted by the system and stay open, but nothing is answered.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
        // the signal is sent before it has its effect
        let news = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.pid()), news).unwrap().unwrap();
        assert!(status.stopped(), "it ended before it was halted:\n{}", self.logged());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        eventually("the server ends", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How to reach a listener.
pub(crate) fn endpoint(at: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{at}")).unwrap().timeout(TIME_MAX)
}

/// A connection that is made when it is first needed, and again when it is lost.
pub(crate) fn connect(at: SocketAddr) -> Channel {
    endpoint(at).connect_lazy()
}
