"""The checks, each of a Keyward of its own. Each returns what is wrong."""

import json
import os
import re
import subprocess
import unittest

import backends
import documents
import test_documents
import test_tools
from server import Keyward

TEST_SECONDS_MAX = 3600
LOAD_REQUESTS = 5000
TOKEN = re.compile(rb"kw_[a-z0-9]{1,7}_[0-9A-Za-z]{38}")
# Reflection does not list what only Envoy calls, nor itself.
UNLISTED = {"envoy.service.auth.v3.Authorization/Check", "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"}


class Place:
    """What the checks share."""

    def __init__(self, root, target, grpcurl):
        self.root = root
        self.folder = os.path.join(target, "interop")
        self.logs = os.path.join(self.folder, "logs")
        self.programs = os.path.join(target, "debug")
        self.grpcurl = grpcurl
        os.makedirs(self.logs, exist_ok=True)
        # Only in the shells of documents: there calls are noted.
        self.noting = os.path.join(self.folder, "noting")
        os.makedirs(self.noting, exist_ok=True)
        link = os.path.join(self.noting, "grpcurl")
        if os.path.lexists(link):
            os.remove(link)
        os.symlink(os.path.join(root, "tests/interop/noting-grpcurl"), link)
        os.environ["INTEROP_GRPCURL"] = grpcurl

    def keyward(self, name):
        """A server that nobody has used."""
        return Keyward(os.path.join(self.programs, "keyward"), self.logs, name.replace("/", "-"))

    def ask(self, server, *words):
        """What grpcurl prints for a call of the admin listener, or for another command."""
        address = f"127.0.0.1:{server.ports['admin']}"
        *options, what = words
        command = [self.grpcurl, "-plaintext", "-H", f"authorization: Bearer {server.token}", *options, address, *what]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"grpcurl {' '.join(what)}: {done.stderr.strip()}")
        return done.stdout

    def admin(self, server):
        """A function that makes admin calls: `admin("KeyAdmin/CreateKey", {…})`."""
        return lambda method, request: json.loads(
            self.ask(server, "-d", json.dumps(request), [f"keyward.v1.{method}"]))


def run_own_tests():
    """What runs the documents does find faults, and what runs the steps ends."""
    load = unittest.defaultTestLoader.loadTestsFromModule
    tests = unittest.TestSuite(load(module) for module in (test_documents, test_tools))
    result = unittest.TextTestRunner(stream=open(os.devnull, "w", encoding="utf-8")).run(tests)
    complaints = [f"tests/interop: {test.id()}\n{trace}" for test, trace in result.failures + result.errors]
    return f"{result.testsRun} tests of what runs documents and steps", complaints


def run_document(place, document):
    """Runs a document. Returns its outcome."""
    with place.keyward(document) as server:
        return documents.run(place.root, document, server, [place.noting, place.programs])


def rpcs(place):
    """Every RPC that the server tells of, and complaints about what it cannot describe."""
    found, complaints = set(UNLISTED), []
    with place.keyward("reflection") as server:
        for service in place.ask(server, ["list"]).split():
            methods = place.ask(server, ["list", service]).split()
            for symbol in (service, *methods):
                if symbol.rpartition(".")[2] not in place.ask(server, ["describe", symbol]):
                    complaints.append(f"grpcurl describe {symbol} does not show it")
            found.update("/".join(method.rsplit(".", 1)) for method in methods)
    return found, complaints


def uncalled(expected, calls):
    """Complaints about RPCs of which no call came out as docs/api.md says."""
    good = {call["method"] for call in calls if call.get("as_told")}
    return [f"docs/api.md: no call of {method} that ends well" for method in sorted(expected - good)]


def check_health(place, probe):
    """grpc_health_probe says what is so, on both listeners."""
    complaints = []
    with place.keyward("health") as server:
        for listener in ("authorize", "admin"):
            for service, expected in (("", 0), ("keyward.v1.Authorize", 0), ("nothing.of.ours", None)):
                command = [probe, f"-addr=127.0.0.1:{server.ports[listener]}", f"-service={service}"]
                status = subprocess.run(command, capture_output=True, timeout=30, check=False).returncode
                if (status == 0) != (expected == 0):
                    complaints.append(f"{' '.join(command)}: ended with {status}")
    return complaints


def check_load(place, program):
    """h2load sends thousands of calls of Authorize; all are answered, and all are allowed."""
    with place.keyward("h2load") as server:
        made = place.admin(server)("KeyAdmin/CreateKey", {
            "environment": "production", "display_name": "Load", "permissions": ["systems.read"]})
        body = os.path.join(server.folder, "body")
        with open(body, "wb") as file:
            file.write(grpc_body({1: made["token"], 2: "production", 4: "systems.read"}))
        command = [program, f"-n{LOAD_REQUESTS}", "-c4", "-m16", "-d", body, "-H", "content-type: application/grpc",
                   "-H", "te: trailers", f"http://127.0.0.1:{server.ports['authorize']}/keyward.v1.Authorize/Authorize"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        allowed = sum(float(value) for value in re.findall(
            r'^keyward_decisions_total\{[^}]*reason="ALLOW"[^}]*\} (\S+)', server.get("/metrics"), re.MULTILINE))
    complaints = []
    for expected in (f"{LOAD_REQUESTS} succeeded, 0 failed, 0 errored", f"status codes: {LOAD_REQUESTS} 2xx"):
        if expected not in done.stdout:
            complaints.append(f"h2load: not {expected!r} in\n{done.stdout[-1500:]}{done.stderr[-500:]}")
    if allowed != LOAD_REQUESTS:
        complaints.append(f"h2load: keyward has allowed {allowed:.0f} of {LOAD_REQUESTS}")
    return complaints


def grpc_body(fields):
    """A gRPC message that is not compressed, of texts by their numbers, each shorter than 128 bytes."""
    message = b""
    for number, text in fields.items():
        encoded = text.encode()
        assert len(encoded) < 128
        message += bytes([number << 3 | 2, len(encoded)]) + encoded
    return b"\0" + len(message).to_bytes(4, "big") + message


def check_python_client(place, python):
    """Runs python_client.py. Returns how many tests there were, and complaints."""
    with place.keyward("python-client") as server:
        environment = {**server.environment(), "KEYWARD_TOKEN": server.token}
        for listener in ("authorize", "admin"):
            environment[f"INTEROP_{listener.upper()}"] = f"127.0.0.1:{server.ports[listener]}"
        done = subprocess.run([python, os.path.join(place.root, "tests/interop/python_client.py")], env=environment,
                              capture_output=True, text=True, timeout=300, check=False)
    count = re.search(r"Ran (\d+) tests", done.stderr)
    good = done.returncode == 0 and count
    return count.group(1) if count else "0", [] if good else [f"python_client.py:\n{done.stderr[-6000:]}"]


def check_backend(place, name, command, folder):
    """Asks a backend that asks Keyward."""
    with place.keyward(f"for-{name}") as server:
        return backends.run(command, folder, server, place.admin(server), place.logs, name)


def build_axum(place):
    """Builds and tests examples/axum. Returns the program, and complaints."""
    folder = os.path.join(place.root, "examples/axum")
    target = os.path.join(place.folder, "axum")
    complaints = []
    for name in ("authorize", "limit"):
        path = f"proto/keyward/v1/{name}.proto"
        with open(os.path.join(place.root, path), "rb") as ours, open(os.path.join(folder, path), "rb") as copy:
            if ours.read() != copy.read():
                complaints.append(f"examples/axum/{path} is not what {path} is; copy it")
    environment = {**os.environ, "CARGO_TARGET_DIR": target}
    for words in (["build"], ["test"], ["clippy", "--all-targets"], ["fmt", "--check"]):
        command = ["cargo", *words] if words[0] == "fmt" else ["cargo", *words, "--locked", "-q"]
        command += ["--", "-D", "warnings"] if words[0] == "clippy" else []
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True,
                              text=True, timeout=TEST_SECONDS_MAX, check=False)
        if done.returncode != 0:
            complaints.append(f"examples/axum: {' '.join(command)}:\n{(done.stdout + done.stderr)[-6000:]}")
    return os.path.join(target, "debug/keyward-axum"), complaints


def check_logs(place):
    """No token is in what Keyward and the backends wrote. What a first start shows to people (*.out) is meant to have one."""
    complaints, count = [], 0
    for name in sorted(os.listdir(place.logs)):
        if name.endswith(".log"):
            count += 1
            with open(os.path.join(place.logs, name), "rb") as log:
                if TOKEN.search(log.read()):
                    complaints.append(f"{log.name}: there is a token in it")
    return count, complaints


def run_cargo_tests(place, suite, name):
    """Runs tests of the repository by a part of their names. Returns how many there were, and complaints."""
    done = subprocess.run(["cargo", "test", "--locked", "-q", "--test", suite, name], cwd=place.root,
                          capture_output=True, text=True, timeout=TEST_SECONDS_MAX, stdin=subprocess.DEVNULL, check=False)
    passed = sum(int(count) for count in re.findall(r"test result: \w+\. (\d+) passed", done.stdout))
    if done.returncode != 0:
        return passed, [f"cargo test --test {suite} {name}:\n{(done.stdout + done.stderr)[-6000:]}"]
    return passed, [] if passed else [f"cargo test --test {suite} {name}: there is no such test"]
