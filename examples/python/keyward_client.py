"""Asks Keyward whether the API key of a request may do what the request asks for. Ready to copy.

It needs `grpcio` and what `grpc_tools.protoc` makes of `keyward/v1/authorize.proto`; the README says how.
"""

import json
import logging
import math
from dataclasses import dataclass, field

import grpc
from keyward.v1 import authorize_pb2, authorize_pb2_grpc

# How long a decision may take. Keyward mostly needs far less than a millisecond.
DEADLINE_SECONDS = 0.25

TITLES = {401: "Unauthorized", 403: "Forbidden", 429: "Too Many Requests", 500: "Internal Server Error",
          503: "Service Unavailable"}


@dataclass(frozen=True)
class Identity:
    """Whose key a request has."""

    key_id: str
    domain: str
    user: str
    labels: dict = field(default_factory=dict)


class Refused(Exception):
    """The request does not pass. `status` is HTTP's, `reason` for programs."""

    def __init__(self, status, reason, retry_after=None):
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    def header_fields(self):
        """What to send besides the body."""
        fields = {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
        if self.status == 401:
            fields["WWW-Authenticate"] = "Bearer"
        if self.retry_after is not None:
            # Whole seconds, rounded up (RFC 9110, 10.2.3).
            fields["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        return fields

    def body(self):
        """A problem in JSON (RFC 9457)."""
        problem = {"type": "about:blank", "title": TITLES[self.status], "status": self.status, "reason": self.reason}
        return json.dumps(problem).encode()


def presented_key(headers):
    """The key in `x-api-key` or `Authorization: Bearer`; empty if there is none. Two different ones are refused, since
    nobody could say whose request it is. `headers` has `get_all`, as those of `http.server` and `email.message` have."""
    keys = {value.strip() for value in headers.get_all("x-api-key", [])}
    for value in headers.get_all("authorization", []):
        scheme, _, key = value.partition(" ")
        if scheme.lower() == "bearer":
            keys.add(key.strip())
    if len(keys) > 1:
        raise Refused(401, "UNAUTHENTICATED")
    return keys.pop() if keys else ""


class Keyward:
    """One connection for all threads of a process; questions do not wait for each other on it."""

    def __init__(self, target, environment, deadline_seconds=DEADLINE_SECONDS):
        # After an outage of Keyward it is looked for again every second at least.
        options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)]
        self._stub = authorize_pb2_grpc.AuthorizeStub(grpc.insecure_channel(target, options=options))
        self._environment = environment
        self._deadline_seconds = deadline_seconds

    def authorize(self, headers, method, path, permission="", client_address=""):
        """Returns the Identity, or raises Refused. `path` is as it came over the wire. Without a permission the route
        map of the key's domain says which one the request needs."""
        question = authorize_pb2.AuthorizeRequest(
            key=presented_key(headers), environment=self._environment, route=path.partition("?")[0], method=method,
            permission=permission, client_address=client_address)
        try:
            answer = self._stub.Authorize(question, timeout=self._deadline_seconds)
        except grpc.RpcError as error:
            raise refused_by(error) from error
        # Only `allowed` allows: a reason that is not known is a denial, too.
        if not answer.allowed:
            raise denied_by(answer)
        return Identity(answer.key_id, answer.domain, answer.user, dict(answer.labels))


def denied_by(answer):
    """What a denial means. A 401 does not say why, so that nobody learns which keys exist."""
    if answer.http_status == 401:
        return Refused(401, "UNAUTHENTICATED")
    try:
        reason = authorize_pb2.Reason.Name(answer.reason).removeprefix("REASON_")
    except ValueError:
        reason = "DENIED"
    if answer.http_status != 429:
        return Refused(403, reason)
    wait = answer.retry_after.ToTimedelta().total_seconds() if answer.HasField("retry_after") else None
    return Refused(429, reason, wait)


def refused_by(error):
    """An error is never about the key: we have asked wrongly, or Keyward cannot know. That is no 401, so that clients do
    not throw good keys away."""
    if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
        logging.error("Keyward does not understand the question: %s", error.details())
        return Refused(500, "MISCONFIGURED")
    logging.warning("Keyward cannot be asked: %s %s", error.code().name, error.details())
    return Refused(503, "UNAVAILABLE", 1)
