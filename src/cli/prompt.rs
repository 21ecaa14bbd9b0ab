//! Asking the person at the terminal.
//!
//! Questions go to standard error, so that standard output has what was asked for and nothing else.

use std::io::{self, IsTerminal, Read, Stdin, Write};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use super::{error::CliError, output::text::plain, read::Secret};

/// More is no token.
const SECRET_BYTES_MAX: usize = 4096;
const LINE_BYTES_MAX: u64 = 4096;

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const DELETE: u8 = 0x7f;

/// Whether there is somebody to ask.
pub fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a secret, which is not shown while it is typed.
pub fn secret(question: &str) -> Result<Secret, CliError> {
    let typed = without_echo(question).map_err(failed)?;
    let typed = typed.ok_or(CliError::Interrupted)?;
    Secret::new(typed.to_string())
        .ok_or_else(|| CliError::usage("nothing was typed", "paste the token and press Enter"))
}

/// Whether the answer is "yes".
pub fn confirm(question: &str) -> Result<bool, CliError> {
    let answer = line(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// One line, without its end. Ctrl-C ends the program as it always does.
pub fn line(question: &str) -> Result<String, CliError> {
    ask(question).map_err(failed)?;
    let mut bytes = Vec::new();
    let mut input = io::BufReader::new(io::stdin().lock().take(LINE_BYTES_MAX));
    io::BufRead::read_until(&mut input, b'\n', &mut bytes).map_err(failed)?;
    if bytes.is_empty() {
        return Err(CliError::Interrupted);
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn failed(source: io::Error) -> CliError {
    CliError::io("the terminal cannot be read", source)
}

fn ask(question: &str) -> io::Result<()> {
    let mut terminal = io::stderr().lock();
    write!(terminal, "{}", plain(question))?;
    terminal.flush()
}

/// What is typed until Enter; nothing after Ctrl-C or Ctrl-D.
fn without_echo(question: &str) -> io::Result<Option<Zeroizing<String>>> {
    let input = io::stdin();
    let quiet = Quiet::begin(&input)?;
    ask(question)?;
    let typed = typed(input.lock());
    drop(quiet);
    writeln!(io::stderr())?;
    typed
}

fn typed(input: impl Read) -> io::Result<Option<Zeroizing<String>>> {
    let mut typed = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX));
    for byte in io::BufReader::new(input).bytes() {
        match byte? {
            b'\n' | b'\r' => {
                let text = String::from_utf8_lossy(&typed).into_owned();
                return Ok(Some(Zeroizing::new(text)));
            }
            CTRL_C | CTRL_D => return Ok(None),
            BACKSPACE | DELETE => {
                let _gone = typed.pop();
            }
            CTRL_U => typed.clear(),
            byte if typed.len() < SECRET_BYTES_MAX => typed.push(byte),
            _ => {}
        }
    }
    Ok(None)
}

/// A terminal that shows nothing of what is typed and takes Ctrl-C as a character, until this is dropped.
struct Quiet<'a> {
    terminal: &'a Stdin,
    usual: Termios,
}

impl<'a> Quiet<'a> {
    fn begin(terminal: &'a Stdin) -> io::Result<Self> {
        let usual = tcgetattr(terminal)?;
        let mut quiet = usual.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        let begun = Self { terminal, usual };
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(begun)
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // a terminal that is gone needs no mending
        let _mended = tcsetattr(self.terminal, OptionalActions::Now, &self.usual);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_ends_with_enter_and_can_be_corrected() {
        for (keys, meant) in [
            ("abc\n", Some("abc")),
            ("abx\x7fc\r", Some("abc")),
            ("wrong\x15abc\n", Some("abc")),
            ("ab\x03c\n", None),
            ("ab", None),
        ] {
            let typed = typed(keys.as_bytes()).unwrap();
            assert_eq!(typed.as_ref().map(|text| text.as_str()), meant, "{keys:?}");
        }
    }
}
