"""A Keyward of its own for each check: empty, on free ports, with a private PostgreSQL in a folder that goes with it."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

START_SECONDS_MAX = 90
STOP_SECONDS_MAX = 30


class Keyward:
    """Use it in a `with` statement; inside, it serves. `ports` are by name: authorize, admin, http."""

    def __init__(self, program, logs, name, arguments=()):
        self.command = [program, "serve", *arguments]
        self.log = os.path.join(logs, f"{name}.log")
        self.out = os.path.join(logs, f"{name}.out")
        self.folder = tempfile.mkdtemp(prefix="keyward-interop-")
        # Of root, PostgreSQL runs as somebody else, who must be able to enter.
        os.chmod(self.folder, 0o711)
        self.data = os.path.join(self.folder, "data")
        self.ports = {}
        self.token = None
        self.process = None

    def environment(self):
        """What whoever uses this server has set in his shell."""
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("KEYWARD_", "DATABASE_URL", "REDIS_URL", "OTEL_"))}
        return {**kept, "KEYWARD_DATA_DIR": self.data}

    def __enter__(self):
        environment = self.environment()
        environment["KEYWARD_LOG_FORMAT"] = "json"
        for listener in ("AUTHORIZE", "ADMIN", "HTTP"):
            environment[f"KEYWARD_{listener}_LISTEN"] = "127.0.0.1:0"
        with open(self.log, "wb") as log, open(self.out, "wb") as out:
            self.process = subprocess.Popen(self.command, env=environment, stdout=out, stderr=log,
                                            stdin=subprocess.DEVNULL)
        try:
            self.wait("listening", self.find_ports)
            self.wait("a root key", self.find_token)
            self.wait("ready", self.is_ready)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def wait(self, what, is_so):
        """Returns once it is so; raises when the process has ended or the time is over."""
        limit = time.monotonic() + START_SECONDS_MAX
        while not is_so():
            if self.process.poll() is not None:
                raise RuntimeError(f"keyward ended before it was {what}; see {self.log}")
            if time.monotonic() > limit:
                raise RuntimeError(f"keyward was not {what} within {START_SECONDS_MAX} s; see {self.log}")
            time.sleep(0.02)

    def find_ports(self):
        with open(self.log, encoding="utf-8") as log:
            lines = [line for line in log if '"message":"listening"' in line and line.endswith("\n")]
        if lines:
            entry = json.loads(lines[0])
            for name in ("authorize", "admin", "http"):
                address = entry.get(name) or entry["fields"][name]
                self.ports[name] = int(address.rsplit(":", 1)[1])
        return bool(lines)

    def find_token(self):
        with open(self.out, encoding="utf-8") as out:
            for line in out:
                if line.startswith("export KEYWARD_TOKEN=") and line.endswith("\n"):
                    self.token = line.split("=", 1)[1].strip()
        return self.token is not None

    def is_ready(self):
        try:
            self.get("/readyz")
            return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def get(self, path):
        """The text at a path of the http listener."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['http']}{path}", timeout=5) as answer:
            return answer.read().decode()

    def stop(self):
        """Ends the process and removes what it stored."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
