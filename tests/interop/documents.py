"""Runs what documents tell people to type, and compares with what they say will come of it.

A ```sh block is run, in its document's order, in one shell. `<!-- not run: WHY -->` on a line of its own before it leaves
it out. Where a ```text block follows with only blank lines between, the essential words of that block must be in the output: each
of `ESSENTIAL`, in their order, and every `"field":` somewhere. `…` and values in it are examples.
"""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field

DOCUMENT_SECONDS_MAX = 300
NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
FIELD = re.compile(r'"([a-z][A-Za-z]*)":')
ESSENTIAL = re.compile(r'[A-Z]+(?:_[A-Z]+)+|"httpStatus": \d+|"(?:allowed|intact)": true|"status": "SERVING"|Code: [A-Z]\w+')
# Programs of others that documents use. Where one is missing a block is not run, and that is told.
OTHERS = ("curl", "helm", "jq", "openssl")
# Documents of commands that ask a server, and would refuse to choose between that and a database.
OF_CLIENTS = {"docs/cli.md"}
# What documents write and a test has elsewhere.
PORTS = {"127.0.0.1:50051": "authorize", "127.0.0.1:50052": "admin", "127.0.0.1:50053": "http"}


@dataclass
class Block:
    """A ```sh block."""

    line: int
    text: str = ""
    left_out: str = ""
    answer: str = ""


@dataclass
class Outcome:
    """What became of a document."""

    ran: int = 0
    # Whether the shell came to the end of the last block.
    is_whole: bool = False
    left_out: list = field(default_factory=list)
    lacking: list = field(default_factory=list)
    complaints: list = field(default_factory=list)
    calls: list = field(default_factory=list)


def blocks(text):
    """The ```sh blocks of a document."""
    found, open_block, why, previous = [], None, "", None
    language, lines = None, []
    for number, line in enumerate(text.splitlines(), 1):
        fence = line.lstrip().startswith("```")
        if language is None and fence:
            language, lines = line.strip()[3:], []
            if language == "sh":
                open_block = Block(number, left_out=why)
            why = ""
        elif fence:
            body = "\n".join(lines) + "\n"
            if language == "sh":
                open_block.text = body
                found.append(open_block)
                previous = open_block
            elif language == "text" and previous is not None:
                previous.answer = body
                previous = None
            else:
                previous = None
            language = None
        elif language is not None:
            lines.append(line)
        elif line.strip():
            mark = NOT_RUN.fullmatch(line.strip())
            why = mark.group(1) if mark else ""
            previous = None
    return found


def missing(answer, output):
    """The essential words of an example that are not in the output."""
    output = re.sub(r'":\s+', '": ', output)
    absent, place = [], 0
    for word in ESSENTIAL.findall(answer):
        at = re.compile(r"(?<![A-Za-z_])" + re.escape(word) + r"(?![A-Za-z_0-9])").search(output, place)
        if at is None:
            absent.append(word)
        else:
            place = at.end()
    names = dict.fromkeys(FIELD.findall(answer))
    return absent + [f'"{name}":' for name in names if f'"{name}":' not in output]


def shell_script(chosen, folder):
    """One shell for all blocks, which ends at the first that fails."""
    lines = ["set -e -o pipefail"]
    for number, block in enumerate(chosen):
        name = os.path.join(folder, f"{number}")
        with open(f"{name}.sh", "w", encoding="utf-8") as file:
            file.write(block.text)
        lines.append(f"export INTEROP_BLOCK={number}")
        lines.append(f". {name}.sh >{name}.out 2>&1 </dev/null")
        lines.append(f": >{name}.ok")
    return "\n".join(lines) + "\n"


def work_folder(root, server):
    """A folder in which paths of the repository lead to it, and files that are written do not."""
    folder = os.path.join(server.folder, "here")
    os.makedirs(folder)
    for name in os.listdir(root):
        if not name.startswith("."):
            os.symlink(os.path.join(root, name), os.path.join(folder, name))
    return folder


def absent_programs(block, path):
    """Which programs of others a block uses that are in none of these folders."""
    used = [name for name in OTHERS if re.search(rf"(?m)(?:^|[|;&(])\s*{name}\b", block.text)]
    return [name for name in used if shutil.which(name, path=path) is None]


def read_notes(path):
    """What the noting grpcurl wrote: one object for each call."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as notes:
        return [json.loads(line) for line in notes]


def run(root, document, server, first_in_path):
    """Runs the blocks of a document against an empty server."""
    with open(os.path.join(root, document), encoding="utf-8") as file:
        found = blocks(file.read())
    outcome = Outcome(left_out=[(block.line, block.left_out) for block in found if block.left_out])
    environment = server.environment()
    environment["PATH"] = os.pathsep.join([*first_in_path, environment["PATH"]])
    chosen = []
    for block in found:
        absent = absent_programs(block, environment["PATH"])
        if absent and not block.left_out:
            outcome.lacking.append((block.line, " and ".join(absent)))
        elif not block.left_out:
            chosen.append(block)
    for block in chosen:
        for address, listener in PORTS.items():
            block.text = block.text.replace(address, f"127.0.0.1:{server.ports[listener]}")
    folder = os.path.join(server.folder, "blocks")
    os.makedirs(folder)
    notes = os.path.join(server.folder, "calls")
    environment.update(KEYWARD_TOKEN=server.token, INTEROP_CALLS=notes)
    if document in OF_CLIENTS:
        environment["KEYWARD_SERVER"] = f"http://127.0.0.1:{server.ports['admin']}"
        del environment["KEYWARD_DATA_DIR"]
    try:
        subprocess.run(["bash", "--noprofile", "--norc", "-c", shell_script(chosen, folder)], env=environment,
                       cwd=work_folder(root, server), timeout=DOCUMENT_SECONDS_MAX, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        outcome.complaints.append(f"{document}: not over after {DOCUMENT_SECONDS_MAX} s")
    outcome.calls = read_notes(notes)
    judge(document, chosen, folder, outcome)
    return outcome


def judge(document, chosen, folder, outcome):
    """Adds what is wrong with each block's end and output."""
    for number, block in enumerate(chosen):
        name = os.path.join(folder, f"{number}")
        output = ""
        if os.path.exists(f"{name}.out"):
            with open(f"{name}.out", encoding="utf-8", errors="replace") as file:
                output = file.read()
        shown = "\n".join("    | " + line for line in output.splitlines()[-25:])
        if not os.path.exists(f"{name}.ok"):
            rest = len(chosen) - number - 1
            outcome.complaints.append(
                f"{document}:{block.line}: the block failed, and {rest} after it were not tried. The end of its output:\n{shown}")
            return
        outcome.ran += 1
        outcome.is_whole = outcome.ran == len(chosen)
        expected = {code[len("Code: "):] for code in ESSENTIAL.findall(block.answer) if code.startswith("Code: ")}
        for call in outcome.calls:
            if call["block"] == str(number):
                call["as_told"] = call["code"] in ("OK", *expected) or call["was_cut_off"]
        absent = missing(block.answer, output)
        if absent:
            outcome.complaints.append(
                f"{document}:{block.line}: the output lacks {', '.join(absent)}, which the document shows:\n{shown}")
