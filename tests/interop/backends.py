"""The examples of backends, asked over HTTP as their clients would: both must answer the same."""

import http.client
import json
import os
import select
import signal
import subprocess
import time

START_SECONDS_MAX = 30
ANSWER_SECONDS_MAX = 10


class Backend:
    """A backend that runs. Use it in a `with` statement."""

    def __init__(self, command, folder, environment, log):
        self.command, self.folder = command, folder
        self.environment = {**environment, "LISTEN": "127.0.0.1:0"}
        self.log = log
        self.process = None
        self.port = None

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE,
                                            stderr=log, stdin=subprocess.DEVNULL, text=True)
        ready, _, _ = select.select([self.process.stdout], [], [], START_SECONDS_MAX)
        line = self.process.stdout.readline() if ready else ""
        if not line.startswith("listening on "):
            self.__exit__()
            raise RuntimeError(f"{self.command[0]} does not listen; see {self.log}")
        self.port = int(line.rsplit(":", 1)[1])
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def get(self, path, *fields, method="GET"):
        """Status, header fields and the body's JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS_MAX)
        connection.putrequest(method, path)
        for name, value in fields:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        is_json = "json" in (answer.getheader("content-type") or "")
        return answer.status, answer.headers, json.loads(body) if is_json else body


def until(claim, is_so):
    """Waits until it is so."""
    limit = time.monotonic() + ANSWER_SECONDS_MAX
    while not is_so():
        assert time.monotonic() < limit, claim
        time.sleep(0.05)


def keys(admin):
    """A key that may read reports and systems, one that may nothing, and one that may read reports once."""
    admin("AccessAdmin/UpdateRouteMap", {"route_map": {"entries": [
        {"path_template": "/api/systems/{id}", "permission": "systems.{action}"}]}})
    common = {"environment": "production", "display_name": "Backend"}
    good = admin("KeyAdmin/CreateKey", {**common, "permissions": ["reports.read", "systems.read"]})
    poor = admin("KeyAdmin/CreateKey", common)
    limit = {"name": "hourly", "rate": {"limit": 1, "period": "3600s"}}
    limited = admin("KeyAdmin/CreateKey", {**common, "permissions": ["reports.read"], "limits": [limit]})
    return good, poor["token"], limited["token"]


def check(backend, server, admin):
    """Raises AssertionError where a backend answers otherwise than it should."""
    good, poor, limited = keys(admin)
    token, key_id = good["token"], good["key"]["id"]
    expect(backend, 200, "/healthz")
    refused(backend, 401, "UNAUTHENTICATED", "/reports")
    refused(backend, 401, "UNAUTHENTICATED", "/reports", ("x-api-key", "kw_prod_nonsense"))
    refused(backend, 401, "UNAUTHENTICATED", "/reports", ("x-api-key", token), ("authorization", f"Bearer {poor}"))
    refused(backend, 403, "PERMISSION_DENIED", "/reports", ("x-api-key", poor))
    for field in (("x-api-key", token), ("authorization", f"Bearer {token}")):
        assert expect(backend, 200, "/reports?page=1", field)["key"] == key_id
    assert expect(backend, 200, "/api/systems/7", ("x-api-key", token))["system"] == "7"
    refused(backend, 403, "PERMISSION_DENIED", "/api/systems/7", ("x-api-key", token), method="POST")
    expect(backend, 200, "/reports", ("x-api-key", limited))
    wait = refused(backend, 429, "RATE_LIMITED", "/reports", ("x-api-key", limited))["retry-after"]
    assert wait and 0 < int(wait) <= 3600, f"Retry-After: {wait}"
    outages(backend, server, token)


def outages(backend, server, token):
    """A Keyward that does not answer or is not there is a 503, never a 401."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        wait = refused(backend, 503, "UNAVAILABLE", "/reports", ("x-api-key", token))["retry-after"]
        assert wait == "1", f"Retry-After: {wait}"
        expect(backend, 200, "/healthz")
    finally:
        server.process.send_signal(signal.SIGCONT)
    until("it is allowed again", lambda: backend.get("/reports", ("x-api-key", token))[0] == 200)
    server.stop()
    refused(backend, 503, "UNAVAILABLE", "/reports", ("x-api-key", token))


def expect(backend, status, path, *fields):
    """The body of an answer with this status."""
    found, _, body = backend.get(path, *fields)
    assert found == status, f"{path}: {found} in place of {status}: {body}"
    return body


def refused(backend, status, reason, path, *fields, method="GET"):
    """The header fields of a refusal with this status and reason."""
    found, headers, body = backend.get(path, *fields, method=method)
    shown = f"{method} {path}: {found} in place of {status}: {body}"
    assert (found, headers["content-type"]) == (status, "application/problem+json"), shown
    assert (body["status"], body["reason"]) == (status, reason), shown
    return headers


def run(command, folder, server, admin, logs, name):
    """What is wrong with the backend."""
    address = f"127.0.0.1:{server.ports['authorize']}"
    environment = {**server.environment(), "KEYWARD_TARGET": address, "KEYWARD_URL": f"http://{address}"}
    try:
        with Backend(command, folder, environment, os.path.join(logs, f"{name}.log")) as backend:
            check(backend, server, admin)
    except (AssertionError, RuntimeError, OSError) as failure:
        return [f"examples/{name}: {failure!r}"]
    return []
