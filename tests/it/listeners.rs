//! What listens where, within which bounds, from when to when; and what makes a start fail.

mod bounds;
mod health;
mod http2;
mod private;
mod refusal;
mod services;
mod settings;
