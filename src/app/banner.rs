//! What is written to standard output for people: the one place where a token is shown by this
//! program itself.

use std::{
    io::{self, Write},
    net::SocketAddr,
};

use crate::{
    admin::Opened,
    config::tls::{Described, Security},
};

/// Writes one line.
pub fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Shows a new root admin key, and what to try with it if the service is there.
pub fn show_root_key(made: &Opened, service: Option<Addresses>) -> io::Result<()> {
    let token = made.token.as_ref().map_or("", |token| token.reveal());
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "\n\
         A root admin key was made ({}). Its token is shown only now; keep it safe:\n\
         \n\
         export KEYWARD_TOKEN={token}\n",
        made.changed.key.id
    )?;
    if let Some(Addresses { authorize, admin, tls, .. }) = service {
        let (to_authorize, to_admin) = (way(tls.authorize), way(tls.admin));
        writeln!(
            out,
            "Make a key, then ask whether it may (put its token in place of TOKEN):\n\
             \n\
             grpcurl {to_admin} -H \"authorization: Bearer $KEYWARD_TOKEN\" -d '{{\"environment\": \
             \"production\", \"display_name\": \"First key\", \"permissions\": [\"systems.read\"]}}' \
             {admin} keyward.v1.KeyAdmin/CreateKey\n\
             grpcurl {to_authorize} -import-path proto -proto keyward/v1/authorize.proto -d '{{\"key\": \"TOKEN\", \"environment\": \"production\", \
             \"permission\": \"systems.read\"}}' {authorize} keyward.v1.Authorize/Authorize\n"
        )?;
    }
    out.flush()
}

/// How `grpcurl` is to speak to a listener.
const fn way(tls: Security) -> &'static str {
    match tls {
        Security::None => "-plaintext",
        Security::Server => "-cacert AUTHORITY.pem",
        Security::Mutual => "-cacert AUTHORITY.pem -cert YOURS.pem -key YOURS.key",
    }
}

/// Where a service listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// For backends.
    pub authorize: SocketAddr,
    /// For operators.
    pub admin: SocketAddr,
    /// For proxies that speak HTTP/1.
    pub http: SocketAddr,
    /// What TLS there is.
    pub tls: Described,
}
