//! All that a bench needs around it: a folder, a PostgreSQL of its own with keys, and servers.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use keyward::postgres::{Durability, Options, PrivatePostgres};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    admin::Access,
    envoy::{self, Asked, Guarded},
    fill::{Filled, KeyPlan, fill},
    keys::PEPPER,
    load::Target,
    machine::{Cores, Place, memory_max_of_process, memory_of_process, move_to},
    program::{Program, Sharing},
    redis::Redis,
    signals,
};

const START_TIME_MAX: Duration = Duration::from_secs(600);
const DATABASE_CONNECTIONS_MAX: u32 = 100;

/// Where the programs are, and how they are placed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the build of Keyward and of `echo`, and of the stock build of the others.
    pub keyward_folder: PathBuf,
    pub stock_folder: PathBuf,
    pub envoy_folder: PathBuf,
    pub cores: Cores,
}

/// How a server is started.
struct Start<'a> {
    program: Program,
    flags: &'a [String],
    place: Place,
    /// Where it listens, if it does not say so itself.
    address: Option<SocketAddr>,
}

/// A folder, a database and servers, gone when it is dropped.
#[derive(Debug)]
pub struct Site {
    settings: Settings,
    folder: PathBuf,
    postgres: Option<PrivatePostgres>,
    redis: Option<Redis>,
    /// The keys that the database has.
    pub plan: KeyPlan,
    started: u32,
}

impl Site {
    /// A site without a database.
    pub fn new(settings: Settings) -> Result<Self> {
        let folder = env::temp_dir().join(format!("keyward-bench-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let plan = KeyPlan { count: 0, limits: false, group: false };
        Ok(Self { settings, folder, postgres: None, redis: None, plan, started: 0 })
    }

    /// Starts the database with these keys, in place of the one before.
    pub fn fill(&mut self, plan: KeyPlan) -> Result<Filled> {
        self.postgres = None;
        move_to(self.settings.cores, Place::Rest)?;
        self.started += 1;
        let postgres = PrivatePostgres::start(&Options {
            data_dir: self.folder.join(format!("postgres-{}", self.started)),
            durability: Durability::Throwaway,
            max_connections: DATABASE_CONNECTIONS_MAX,
            bin_dir: env::var_os("PGBIN").map(PathBuf::from),
        })?;
        eprintln!("filling {} keys", plan.count);
        let filled = fill(&postgres.connection().url().parse()?, plan)?;
        eprintln!("  rows {:.1?}, indexes {:.1?}", filled.rows, filled.indexes);
        self.postgres = Some(postgres);
        self.plan = plan;
        Ok(filled)
    }

    /// The database.
    pub fn postgres(&self) -> Result<&PrivatePostgres> {
        self.postgres.as_ref().context("there is no database")
    }

    /// Makes a key that may do everything. Servers that are started after that know it from the start.
    pub fn root_token(&self) -> Result<String> {
        let output = Command::new(self.settings.keyward_folder.join("keyward"))
            .arg("bootstrap")
            .env("KEYWARD_PEPPER", PEPPER)
            .env("DATABASE_URL", self.postgres()?.connection().url())
            .output()
            .context("cannot run keyward")?;
        let printed = String::from_utf8(output.stdout)?;
        let token = printed.lines().find_map(|line| line.strip_prefix("export KEYWARD_TOKEN="));
        Ok(token.context("keyward bootstrap shows no token")?.to_owned())
    }

    /// Starts a server and waits until it can be asked.
    pub fn start(&mut self, program: Program) -> Result<Server> {
        let sharing = match program {
            Program::KeywardSharing(sharing) => sharing,
            Program::Envoy(guarded) => return self.start_guarded(guarded),
            Program::KeywardLogging(logging) => {
                return self.start_with(program, &[format!("--decision-log={}", logging.name())]);
            }
            Program::KeywardTracing(collector) => {
                move_to(self.settings.cores, Place::Rest)?;
                let address = collector.start()?;
                let flags = [
                    format!("--otlp-endpoint=http://{address}"),
                    "--trace-sample-ratio=0.01".into(),
                ];
                return self.start_with(program, &flags);
            }
            _ => return self.start_with(program, &[]),
        };
        let name = sharing.name();
        let mut flags = vec![format!("--limit-sharing={name}")];
        if sharing != Sharing::Local {
            move_to(self.settings.cores, Place::Rest)?;
            let redis = self.redis.take().map_or_else(Redis::start, Ok)?;
            // servers with the same prefix would be replicas of each other
            flags
                .extend([format!("--redis-url={}", redis.url()), format!("--redis-prefix={name}")]);
            self.redis = Some(redis);
        }
        self.start_with(program, &flags)
    }

    /// The same with more flags.
    pub fn start_with(&mut self, program: Program, flags: &[String]) -> Result<Server> {
        self.launch(&Start { program, flags, place: Place::Server, address: None })
    }

    /// Starts an Envoy, and before it whom it asks.
    fn start_guarded(&mut self, guarded: Guarded) -> Result<Server> {
        let place = guarded.place_of_asked();
        let asked = match guarded.asked {
            Asked::Nobody => None,
            Asked::Keyward => Some((Program::Keyward, vec![])),
            Asked::Echo => Some((Program::Echo { limits: true }, envoy::echo_flags())),
            Asked::EchoStock => Some((Program::EchoStock { limits: true }, envoy::echo_flags())),
        };
        let asked = asked.map(|(program, flags)| {
            self.launch(&Start { program, flags: &flags, place, address: None })
        });
        let asked = asked.transpose()?;
        let address = free_address()?;
        let path = self.folder.join(format!("envoy-{}.json", self.started));
        let config = envoy::bootstrap(address, asked.as_ref().map(|asked| asked.address));
        fs::write(&path, config.to_string())?;
        let flags = ["--config-path".to_owned(), path.display().to_string()];
        let program = Program::Envoy(guarded);
        let address = Some(address);
        let mut server =
            self.launch(&Start { program, flags: &flags, place: Place::Server, address })?;
        server.asked = asked.map(Box::new);
        Ok(server)
    }

    fn launch(&mut self, start: &Start<'_>) -> Result<Server> {
        let Start { program, flags, place, address } = *start;
        self.started += 1;
        let folder = match program {
            _ if program.is_keyward() => self.settings.keyward_folder.clone(),
            Program::Echo { .. } => self.settings.keyward_folder.join("examples"),
            Program::Envoy(_) => self.settings.envoy_folder.clone(),
            _ => self.settings.stock_folder.join("examples"),
        };
        let log = self.folder.join(format!("{}-{}.log", program.name(), self.started));
        let mut command = Command::new(folder.join(program.name()));
        command.args(program.args()).args(flags);
        command.env("KEYWARD_PEPPER", PEPPER);
        match &self.postgres {
            Some(postgres) => command.env("DATABASE_URL", postgres.connection().url()),
            None => command.env_remove("DATABASE_URL"),
        };
        ensure!(
            self.postgres.is_some() || !program.needs_keys(),
            "{} needs the keys of a database",
            program.name()
        );
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(fs::File::create(&log)?);
        move_to(self.settings.cores, place)?;
        let begun = Instant::now();
        let spawned = command.spawn();
        move_to(self.settings.cores, Place::Rest)?;
        let child = spawned.with_context(|| format!("cannot start {}", program.name()))?;
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Server {
            child,
            log,
            begun,
            address: address.unwrap_or(unknown),
            ready: Duration::ZERO,
            asked: None,
        };
        server.address = server.wait(program)?;
        server.ready = begun.elapsed();
        Ok(server)
    }
}

/// Where nobody listens now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.postgres.take());
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

/// A running server, ended when it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: PathBuf,
    /// When it was started.
    pub begun: Instant,
    address: SocketAddr,
    /// From its start until it could be asked.
    pub ready: Duration,
    /// Whom it asks itself.
    asked: Option<Box<Self>>,
}

impl Server {
    /// Whom to ask.
    pub fn target(&self) -> Target {
        let asked = self.asked.as_ref().map(|asked| asked.child.id());
        Target { address: self.address, pid: self.child.id(), asked }
    }

    /// Where it can be asked whom it asks itself.
    pub fn asked_at(&self) -> Option<SocketAddr> {
        self.asked.as_ref().map(|asked| asked.address)
    }

    /// Keyward's admin API, with a key that the server knows.
    pub fn admin(&mut self, token: String) -> Result<Access> {
        Ok(Access { address: self.logged("listening", "admin")?.parse()?, token })
    }

    /// Ends it at once, without a word.
    pub fn kill(mut self) -> Result<()> {
        Ok(self.child.kill()?)
    }

    /// The most memory in RAM that it has had, in bytes.
    pub fn memory_max(&self) -> Result<u64> {
        memory_max_of_process(self.child.id())
    }

    /// Its memory in RAM, in bytes.
    pub fn memory(&self) -> Result<u64> {
        memory_of_process(self.child.id())
    }

    fn wait(&mut self, program: Program) -> Result<SocketAddr> {
        if program.is_keyward() {
            self.logged("loaded all keys", "took_ms")?;
            return Ok(self.logged("listening", "authorize")?.parse()?);
        }
        if matches!(program, Program::Envoy(_)) {
            self.until_listening(self.address)?;
            return Ok(self.address);
        }
        let output = self.child.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ");
        let address = address.with_context(|| format!("the server ended: {}", text(&self.log)))?;
        let address = address.parse()?;
        // tonic binds only when it begins to serve
        self.until_listening(address)?;
        Ok(address)
    }

    fn until_listening(&mut self, address: SocketAddr) -> Result<()> {
        while let Err(error) = TcpStream::connect(address) {
            ensure!(self.child.try_wait()?.is_none(), "the server ended: {}", text(&self.log));
            ensure!(self.begun.elapsed() < START_TIME_MAX, "the server does not listen: {error}");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// A field of a line of Keyward's log, once the line is there.
    pub fn logged(&mut self, message: &str, field: &str) -> Result<String> {
        while self.begun.elapsed() < START_TIME_MAX {
            signals::check()?;
            let text = text(&self.log);
            let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            let mut found = lines.filter(|line: &serde_json::Value| line["message"] == message);
            if let Some(line) = found.next() {
                let value = &line[field];
                return Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
            ensure!(self.child.try_wait()?.is_none(), "the server ended:\n{text}");
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("not logged in time: {message}");
    }
}

fn text(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(Err(error)) = pid.map(|pid| kill_process(pid, Signal::TERM)) {
            eprintln!("cannot end a server: {error}");
        }
        drop(self.child.wait());
    }
}
