//! Methods of services whose messages are read and written by hand.

use std::task::{Context, Poll};

use tonic::{codec::Codec, codegen::Service, server::Grpc};

/// What serves a method whose requests have so many bytes at most.
pub(super) fn grpc<C: Codec>(codec: C, message_bytes_max: usize) -> Grpc<C> {
    Grpc::new(codec).max_decoding_message_size(message_bytes_max)
}

/// A function as what tonic calls for a method.
pub(super) struct Method<F>(pub(super) F);

impl<F, Q, W, A, E> Service<Q> for Method<F>
where
    F: FnMut(Q) -> W,
    W: Future<Output = Result<A, E>>,
{
    type Response = A;
    type Error = E;
    type Future = W;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Q) -> W {
        (self.0)(request)
    }
}
