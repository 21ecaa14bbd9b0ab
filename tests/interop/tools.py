"""Programs that the checks use: where they are, and which versions."""

import os
import re
import shutil
import signal
import subprocess

INSTALL_SECONDS_MAX = 1200
HEALTH_PROBE = "github.com/grpc-ecosystem/grpc-health-probe@v0.4.38"


class Missing(Exception):
    """A tool is not here and could not be fetched; the text says why."""


def last_line(text):
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def first_said(text):
    """Of what a script of ours said, where it began to give up."""
    lines = [line.split(": ", 1)[-1] for line in text.splitlines() if line.startswith("ensure-")]
    reasons = [line for line in lines if "fail" in line or "no " in line or "could not" in line or "not " in line]
    return reasons[0] if reasons else last_line(text)


def run_whole(command, environment=None):
    """Runs something that fetches or builds, and all that it starts: when its time is over, all of that ends."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            out, err = process.communicate(timeout=INSTALL_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise Missing(f"{os.path.basename(command[0])} was not over after {INSTALL_SECONDS_MAX} s") from None
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def ensure(root, name):
    """Runs scripts/ensure-NAME and puts what it prints into PATH. Returns that."""
    script = os.path.join(root, "scripts", f"ensure-{name}")
    if not os.path.exists(script):
        raise Missing(f"there is no scripts/ensure-{name}")
    done = run_whole([script])
    if done.returncode != 0:
        raise Missing(first_said(done.stderr))
    printed = done.stdout.strip()
    if printed:
        os.environ["PATH"] += os.pathsep + printed
    return printed


def find(program, hint):
    """Where a program of PATH is."""
    found = shutil.which(program)
    if found is None:
        raise Missing(f"{program} is not on this machine ({hint})")
    return found


def version(command):
    """The first version number that a program tells of itself."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False)
    except OSError as failure:
        return f"? ({failure.strerror})"
    except subprocess.TimeoutExpired:
        return "? (it does not answer)"
    number = re.search(r"\d+\.\d+(?:\.\d+)?", done.stdout + done.stderr)
    return number.group(0) if number else "?"


def grpcurl_version(program):
    """A grpcurl that Go has built does not know its version; Go does."""
    told = version([program, "--version"])
    if told != "?" or not shutil.which("go"):
        return told
    done = subprocess.run(["go", "version", "-m", program], capture_output=True, text=True, timeout=30, check=False)
    module = re.search(r"\tmod\tgithub.com/fullstorydev/grpcurl\tv([^\s(]+)", done.stdout)
    return module.group(1) if module else "?"


def health_probe(folder):
    """Where grpc_health_probe is; built by Go if it has to be."""
    for program in ("grpc_health_probe", "grpc-health-probe"):
        found = shutil.which(program) or shutil.which(program, path=folder)
        if found:
            return found
    find("go", "grpc_health_probe is built by it")
    environment = {**os.environ, "GOBIN": folder, "CGO_ENABLED": "0"}
    done = run_whole(["go", "install", HEALTH_PROBE], environment)
    if done.returncode != 0:
        raise Missing(f"go install: {last_line(done.stderr)}")
    return os.path.join(folder, "grpc-health-probe")
