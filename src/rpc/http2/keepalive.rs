//! Pings (RFC 9113, 6.7) find out clients that vanished.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

use super::Times;

/// Pings one client, again and again.
pub(super) struct Keepalive {
    pings: PingPong,
    times: Times,
    /// Until the next ping, or for the answer to the last.
    alarm: Pin<Box<Sleep>>,
    awaits_answer: bool,
}

impl Keepalive {
    pub(super) fn new(pings: PingPong, times: &Times) -> Self {
        let alarm = Box::pin(sleep(times.keepalive_every));
        Self { pings, times: *times, alarm, awaits_answer: false }
    }

    #[cfg(test)]
    pub(super) const fn awaits_answer(&self) -> bool {
        self.awaits_answer
    }

    /// Ready when an answer did not come in time.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.awaits_answer && self.pings.poll_pong(context).is_ready() {
                self.awaits_answer = false;
                self.alarm.as_mut().reset(Instant::now() + self.times.keepalive_every);
            }
            ready!(self.alarm.as_mut().poll(context));
            if self.awaits_answer {
                return Poll::Ready(());
            }
            // it cannot be sent where the connection ends anyway
            self.awaits_answer = self.pings.send_ping(Ping::opaque()).is_ok();
            self.alarm.as_mut().reset(Instant::now() + self.times.keepalive_max);
        }
    }
}
