//! At a terminal: questions, Ctrl-C, colours, pages, tables that fit.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex},
    thread,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use serde_json::json;

use super::User;
use crate::support::{eventually, operator::Site};

pub(super) const CTRL_C: &str = "\x03";

/// A program at a terminal of its own.
pub(super) struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts a program at a terminal of 80 columns.
    pub(super) fn start(command: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let inside: OwnedFd = File::options().read(true).write(true).open(path).unwrap().into();
        tcsetwinsize(&inside, size).unwrap();
        // makes it the terminal that Ctrl-C comes from
        let mut setsid = Command::new("setsid");
        setsid.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
        setsid.env_clear().env("TERM", "xterm");
        setsid.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let [input, output] = [(), ()].map(|()| inside.try_clone().unwrap());
        let child = setsid.stdin(input).stdout(output).stderr(inside).spawn().unwrap();
        drop(setsid);
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut reader, shown) = (File::from(master.try_clone().unwrap()), Arc::clone(&screen));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // a terminal that nobody has open any more is an error to read
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { child, keyboard: master.into(), screen }
    }

    pub(super) fn shown(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    pub(super) async fn until(&self, text: &str) {
        eventually(text, async || self.shown().contains(text).then_some(())).await;
    }

    pub(super) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.keyboard).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    pub(super) async fn ended(&mut self) -> ExitStatus {
        eventually("the command ends", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn login(user: &User) -> Terminal {
    Terminal::start(&user.bare(&["login", "--server", &user.server]))
}

#[tokio::test]
async fn a_token_is_not_shown_while_it_is_typed() {
    let site = Site::shared();
    let user = User::of(&site);
    let mut terminal = login(&user);
    terminal.until("Token of an admin key for").await;
    assert!(!terminal.echoes());
    terminal.press(&format!("{}\n", user.token));
    terminal.until("Logged in").await;
    assert_eq!(terminal.ended().await.code(), Some(0));
    assert!(terminal.echoes());
    assert!(!terminal.shown().contains(&user.token));
    assert!(user.contexts().exists());
}

#[tokio::test]
async fn ctrl_c_at_the_token_leaves_an_echo_and_nothing_else() {
    let site = Site::shared();
    let user = User::of(&site);
    let mut terminal = login(&user);
    terminal.until("Token of an admin key for").await;
    terminal.press("half");
    terminal.press(CTRL_C);
    assert_eq!(terminal.ended().await.code(), Some(130));
    assert!(terminal.echoes());
    assert!(!user.contexts().exists());
}

#[tokio::test]
async fn revoking_asks_and_no_means_no() {
    let site = Site::shared();
    let user = User::of(&site);
    let (id, _) = user.make("Asked about").await;
    let revoke = user.command(&["keys", "revoke", &id, "--reason", "abuse"]);
    for answer in ["\n", "no\n", CTRL_C] {
        let mut terminal = Terminal::start(&revoke);
        terminal.until("[y/N]").await;
        terminal.press(answer);
        assert_ne!(terminal.ended().await.code(), Some(0), "{answer:?}");
        assert_eq!(user.json(&["keys", "show", &id]).await["state"], json!("KEY_STATE_ACTIVE"));
    }
    let mut terminal = Terminal::start(&revoke);
    terminal.until("Revoke Asked about (key_").await;
    terminal.press("y\n");
    assert_eq!(terminal.ended().await.code(), Some(0), "{}", terminal.shown());
    assert_eq!(user.json(&["keys", "show", &id]).await["state"], json!("KEY_STATE_REVOKED"));
}

#[tokio::test]
async fn deleting_wants_the_name() {
    let site = Site::shared();
    let user = User::of(&site);
    let (id, _) = user.make("Named Zoë").await;
    let delete = user.command(&["keys", "delete", &id]);
    let mut terminal = Terminal::start(&delete);
    terminal.until("type its name").await;
    terminal.press("Named Zoe\n");
    assert_eq!(terminal.ended().await.code(), Some(1));
    assert!(terminal.shown().contains("nothing was deleted"), "{}", terminal.shown());
    let mut terminal = Terminal::start(&delete);
    terminal.until("type its name").await;
    terminal.press("Named Zoë\n");
    assert_eq!(terminal.ended().await.code(), Some(0), "{}", terminal.shown());
    assert_eq!(user.json(&["keys", "show", &id]).await["state"], json!("KEY_STATE_DELETED"));
}

#[tokio::test]
async fn a_new_token_comes_with_a_hint_to_copy_it() {
    let site = Site::shared();
    let user = User::of(&site);
    let create = user.command(&["keys", "create", "Copied", "-p", "a"]);
    let mut terminal = Terminal::start(&create);
    assert_eq!(terminal.ended().await.code(), Some(0));
    terminal.until("not shown again").await;
    assert_eq!(terminal.shown().matches("kw_prod_").count(), 1, "{}", terminal.shown());
}

#[tokio::test]
async fn a_table_fits_and_has_colours_unless_they_are_not_wanted() {
    let site = Site::shared();
    let user = User::of(&site);
    user.make(&format!("Fits {}", "日本".repeat(40))).await;
    let list = ["keys", "list", "--search", "Fits"];
    for (name, value, coloured) in [("TERM", "xterm", true), ("NO_COLOR", "1", false)] {
        let mut terminal = Terminal::start(user.command(&list).env(name, value).env("PAGER", ""));
        assert_eq!(terminal.ended().await.code(), Some(0));
        terminal.until("…").await;
        let shown = terminal.shown();
        assert_eq!(shown.contains("\x1b[32mactive\x1b[0m"), coloured, "{shown:?}");
        let plain = shown.replace("\x1b[32m", "").replace("\x1b[0m", "").replace("\x1b[2m", "");
        assert!(!plain.contains('\x1b'), "{plain:?}");
        for line in plain.lines() {
            // each of these takes two columns
            let wide = line.chars().filter(|char| "日本".contains(*char)).count();
            assert!(line.chars().count() + wide <= 80, "{line:?}");
        }
    }
}

#[tokio::test]
async fn a_table_goes_through_the_pager() {
    let site = Site::shared();
    let user = User::of(&site);
    user.make("Paged through").await;
    let mut list = user.command(&["keys", "list", "--search", "Paged through"]);
    let mut terminal = Terminal::start(list.env("PAGER", "sed s/^/PAGED/"));
    assert_eq!(terminal.ended().await.code(), Some(0));
    terminal.until("PAGEDkey_").await;
    let mut terminal = Terminal::start(list.env("PAGER", "no-such-pager 2>/dev/null"));
    assert_eq!(terminal.ended().await.code(), Some(0));
    terminal.until("Paged through").await;
}
