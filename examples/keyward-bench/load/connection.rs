//! One connection of the generator: what is to be asked goes out, what was answered is checked.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    Call,
    blocks::{HeaderBlocks, status},
    message::{encode, is_expected, whole_messages},
    pool::Pool,
    wire::{self, Frame, PAYLOAD_BYTES_MAX, WINDOW_AT_START, WINDOW_MAX},
};

const INPUT_BYTES: usize = 256 * 1024;
/// Places for open calls; a power of two, and more than servers let be open.
const OPEN_MAX: usize = 2048;
/// Where a window is topped up: long before the server sees its end.
const TOP_UP_BYTES: u32 = 1 << 29;

/// A call that was answered, or a message of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// When it was due.
    pub due: u64,
    /// Whether the answer was another one than expected.
    pub bad: bool,
}

/// A call that waits for its answer.
#[derive(Debug, Default)]
struct Open {
    /// 0: this place is free.
    stream: u32,
    due: u64,
    /// Where its requests are in the pool.
    place: usize,
    answered: bool,
    bad: bool,
    /// What has arrived of a message that is not whole.
    partial: Vec<u8>,
}

/// The one stream of a connection that asks by messages on it.
#[derive(Debug)]
struct Lasting {
    id: u32,
    /// What may be sent on it.
    window: i64,
    /// What was asked and is not answered: when it was due, and its place in the pool.
    asked: VecDeque<(u64, usize)>,
    /// What has arrived since its window was topped up.
    received: u32,
    partial: Vec<u8>,
    ended: bool,
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    pub socket: TcpStream,
    call: Call,
    blocks: HeaderBlocks,
    input: Vec<u8>,
    filled: usize,
    output: Vec<u8>,
    sent: usize,
    next_stream: u32,
    /// What may be sent on the connection, and what on a new stream.
    window: i64,
    stream_window: i64,
    streams_max: usize,
    received: u32,
    /// Calls that are due and not sent yet.
    waiting: VecDeque<u64>,
    open: Vec<Open>,
    opened: usize,
    lasting: Option<Lasting>,
    /// What only the next call has: its body, or without a body its own header fields.
    message: Vec<u8>,
}

impl Connection {
    /// Connects and greets.
    pub fn open(address: SocketAddr, call: Call) -> Result<Self> {
        let socket = TcpStream::connect(address).context("cannot connect to the server")?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut connection = Self {
            socket,
            call,
            blocks: call.blocks(&address.to_string()),
            input: vec![0; INPUT_BYTES],
            filled: 0,
            output: wire::greeting(),
            sent: 0,
            next_stream: 1,
            window: WINDOW_AT_START.into(),
            stream_window: WINDOW_AT_START.into(),
            streams_max: OPEN_MAX,
            received: 0,
            waiting: VecDeque::new(),
            open: std::iter::repeat_with(Open::default).take(OPEN_MAX).collect(),
            opened: 0,
            lasting: None,
            message: Vec::new(),
        };
        if matches!(call, Call::Stream) {
            let id = connection.put_headers();
            connection.lasting = Some(Lasting {
                id,
                window: WINDOW_AT_START.into(),
                asked: VecDeque::new(),
                received: 0,
                partial: Vec::new(),
                ended: false,
            });
        }
        Ok(connection)
    }

    /// Lets a call be made as soon as windows and the server's limits permit.
    pub fn offer(&mut self, due: u64) {
        self.waiting.push_back(due);
    }

    /// Calls that are not answered, sent or not.
    pub fn unanswered(&self) -> usize {
        let asked = self.lasting.as_ref().map_or(0, |lasting| lasting.asked.len());
        self.waiting.len() + self.opened + asked
    }

    /// Ends the stream, if there is one.
    pub fn end_stream(&mut self) {
        if let Some(lasting) = &self.lasting {
            wire::put_head(&mut self.output, 0, wire::DATA, wire::END_STREAM, lasting.id);
        }
    }

    /// Whether the server has ended the stream, if there is one.
    pub fn has_ended(&self) -> bool {
        self.lasting.as_ref().is_none_or(|lasting| lasting.ended)
    }

    /// Sends what can be sent. Says whether the socket took all.
    pub fn send(&mut self, pool: &mut Pool) -> Result<bool> {
        while let Some(due) = self.waiting.front().copied() {
            if !self.put_call(due, pool)? {
                break;
            }
            self.waiting.pop_front();
        }
        while self.sent < self.output.len() {
            match self.socket.write(&self.output[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error).context("cannot send to the server"),
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(true)
    }

    /// Puts one call into the output; says whether there was room.
    fn put_call(&mut self, due: u64, pool: &mut Pool) -> Result<bool> {
        let at = self.next_stream as usize / 2 % OPEN_MAX;
        let is_full = self.opened >= self.streams_max || self.open[at].stream != 0;
        if self.lasting.is_none() && is_full {
            return Ok(false);
        }
        if self.message.is_empty() {
            // one that did not fit the window is still there, and is not taken again
            let place = pool.take(self.call.decisions());
            encode(self.call, pool, place, &mut self.message);
            self.open[at].place = place;
        }
        let has_body = self.call != Call::Get;
        let length = if has_body { i64::try_from(self.message.len())? } else { 0 };
        let stream_window =
            self.lasting.as_ref().map_or(self.stream_window, |lasting| lasting.window);
        ensure!(
            length <= self.stream_window,
            "a request of {length} bytes does not fit the server's window for a stream"
        );
        if length > self.window || length > stream_window {
            return Ok(false);
        }
        self.window -= length;
        let place = self.open[at].place;
        let (stream, last) = if let Some(lasting) = &mut self.lasting {
            lasting.window -= length;
            lasting.asked.push_back((due, place));
            (lasting.id, 0)
        } else {
            let stream = self.put_headers();
            let open = &mut self.open[at];
            (open.stream, open.due) = (stream, due);
            (open.answered, open.bad) = (false, false);
            self.opened += 1;
            (stream, wire::END_STREAM)
        };
        let body = if has_body { &*self.message } else { &[] };
        let mut parts = body.chunks(PAYLOAD_BYTES_MAX).peekable();
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() { last } else { 0 };
            wire::put_head(&mut self.output, part.len(), wire::DATA, flags, stream);
            self.output.extend_from_slice(part);
        }
        self.message.clear();
        Ok(true)
    }

    /// Opens a stream; says which.
    fn put_headers(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        let block = if stream == 1 { &self.blocks.first } else { &self.blocks.later };
        let (own, end) = match self.call {
            Call::Get => (&*self.message, wire::END_STREAM),
            Call::Unary | Call::Batch(_) | Call::Stream => (&[][..], 0),
        };
        let length = block.before.len() + own.len() + block.after.len();
        let flags = wire::END_HEADERS | end;
        wire::put_head(&mut self.output, length, wire::HEADERS, flags, stream);
        for part in [&block.before, own, &block.after] {
            self.output.extend_from_slice(part);
        }
        stream
    }

    /// Takes what has arrived; appends the calls that it answers.
    pub fn receive(&mut self, pool: &Pool, done: &mut Vec<Done>) -> Result<()> {
        match self.socket.read(&mut self.input[self.filled..]) {
            Ok(0) => bail!("the server closed the connection"),
            Ok(received) => self.filled += received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("cannot receive from the server"),
        }
        let input = std::mem::take(&mut self.input);
        let mut taken = 0;
        while let Some((frame, bytes)) = Frame::split(&input[taken..self.filled])? {
            taken += bytes;
            self.take_frame(&frame, pool, done)?;
        }
        self.input = input;
        self.input.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        if self.received > TOP_UP_BYTES {
            wire::put_window(&mut self.output, 0, std::mem::take(&mut self.received));
        }
        Ok(())
    }

    fn take_frame(&mut self, frame: &Frame<'_>, pool: &Pool, done: &mut Vec<Done>) -> Result<()> {
        match frame.kind {
            wire::DATA => {
                self.received += u32::try_from(frame.payload.len())?;
                ensure!(!frame.has(wire::PADDED), "padding, which is not understood here");
                self.take_data(frame, pool, done)?;
                self.take_end(frame, done);
            }
            wire::HEADERS => {
                self.take_headers(frame, pool)?;
                self.take_end(frame, done);
            }
            wire::SETTINGS if !frame.has(wire::ACK) => self.take_settings(frame.payload),
            wire::WINDOW_UPDATE => {
                let more = i64::from(frame.number()? & WINDOW_MAX);
                match &mut self.lasting {
                    _ if frame.stream == 0 => self.window += more,
                    Some(lasting) => lasting.window += more,
                    None => {} // a call is one message, which was within the window
                }
            }
            wire::PING if !frame.has(wire::ACK) => {
                wire::put_head(&mut self.output, frame.payload.len(), wire::PING, wire::ACK, 0);
                self.output.extend_from_slice(frame.payload);
            }
            wire::GOAWAY => bail!("the server said GOAWAY: {:?}", frame.payload),
            wire::RST_STREAM => bail!("the server reset a call: error {}", frame.number()?),
            _ => {}
        }
        Ok(())
    }

    fn take_settings(&mut self, payload: &[u8]) {
        for setting in payload.as_chunks::<6>().0 {
            let [high, low, value @ ..] = *setting;
            let value = u32::from_be_bytes(value);
            match u16::from_be_bytes([high, low]) {
                wire::SETTING_STREAMS_MAX => {
                    self.streams_max = OPEN_MAX.min(usize::try_from(value).unwrap_or(OPEN_MAX));
                }
                wire::SETTING_WINDOW => {
                    let difference = i64::from(value) - self.stream_window;
                    self.stream_window += difference;
                    if let Some(lasting) = &mut self.lasting {
                        lasting.window += difference; // RFC 9113, 6.9.2
                    }
                }
                _ => {}
            }
        }
        wire::put_head(&mut self.output, 0, wire::SETTINGS, wire::ACK, 0);
    }

    /// The status of an answer to a request without gRPC; gRPC has its own in messages.
    fn take_headers(&mut self, frame: &Frame<'_>, pool: &Pool) -> Result<()> {
        let open = &mut self.open[frame.stream as usize / 2 % OPEN_MAX];
        if self.call != Call::Get || open.stream != frame.stream || open.answered {
            return Ok(());
        }
        let is_plain = !frame.has(wire::PADDED) && !frame.has(wire::PRIORITY);
        ensure!(is_plain, "padding or priorities, which are not understood here");
        open.answered = true;
        open.bad = status(frame.payload) != Some(pool.expected(open.place));
        Ok(())
    }

    fn take_data(&mut self, frame: &Frame<'_>, pool: &Pool, done: &mut Vec<Done>) -> Result<()> {
        if let Some(lasting) = &mut self.lasting {
            lasting.received += u32::try_from(frame.payload.len())?;
            if lasting.received > TOP_UP_BYTES {
                let more = std::mem::take(&mut lasting.received);
                wire::put_window(&mut self.output, lasting.id, more);
            }
            return whole_messages(&mut lasting.partial, frame.payload, |message| {
                let (due, place) = lasting.asked.pop_front().context("an answer to nothing")?;
                done.push(Done { due, bad: !is_expected(Call::Stream, pool, place, message) });
                Ok(())
            });
        }
        let open = &mut self.open[frame.stream as usize / 2 % OPEN_MAX];
        ensure!(open.stream == frame.stream, "data of a call that is not open");
        if self.call == Call::Get {
            return Ok(()); // only its status counts
        }
        let (answered, bad, place) = (&mut open.answered, &mut open.bad, open.place);
        whole_messages(&mut open.partial, frame.payload, |message| {
            *bad |= *answered || !is_expected(self.call, pool, place, message);
            *answered = true;
            Ok(())
        })
    }

    /// The end of a stream, if this frame is one.
    fn take_end(&mut self, frame: &Frame<'_>, done: &mut Vec<Done>) {
        if !frame.has(wire::END_STREAM) {
            return;
        }
        if let Some(lasting) = &mut self.lasting {
            lasting.ended = true;
            // what was not answered before the end never is
            done.extend(lasting.asked.drain(..).map(|(due, _)| Done { due, bad: true }));
            return;
        }
        let open = &mut self.open[frame.stream as usize / 2 % OPEN_MAX];
        if open.stream == frame.stream {
            let bad = open.bad || !open.answered || !open.partial.is_empty();
            done.push(Done { due: open.due, bad });
            open.stream = 0;
            open.partial.clear();
            self.opened -= 1;
        }
    }
}
