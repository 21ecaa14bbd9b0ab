"""What fetches tools and runs steps ends, whatever they do."""

import importlib.machinery
import importlib.util
import os
import select
import stat
import tempfile
import unittest
from unittest import mock

import tools
from report import FAILED, NOT_RUN, Report

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run")
ENDS_SECONDS_MAX = 20


def load_run():
    """The program `run`, without running it."""
    loader = importlib.machinery.SourceFileLoader("interop_run", RUN)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class Ensuring(unittest.TestCase):
    """What becomes of a script that does not end."""

    def test_a_script_that_does_not_end_is_ended_with_what_it_started(self):
        with tempfile.TemporaryDirectory() as root:
            os.mkdir(os.path.join(root, "scripts"))
            script = os.path.join(root, "scripts/ensure-slow")
            fifo = os.path.join(root, "fifo")
            os.mkfifo(fifo)
            with open(script, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\nsleep 600 >{fifo} &\nwait\n")
            os.chmod(script, stat.S_IRWXU)
            # The child's end of the fifo closes when the child is gone.
            reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            try:
                with mock.patch.object(tools, "INSTALL_SECONDS_MAX", 1), self.assertRaises(tools.Missing) as raised:
                    tools.ensure(root, "slow")
                self.assertIn("not over after 1 s", str(raised.exception))
                readable, _, _ = select.select([reader], [], [], ENDS_SECONDS_MAX)
                self.assertEqual((readable, os.read(reader, 1)), ([reader], b""))
            finally:
                os.close(reader)


class Steps(unittest.TestCase):
    """What becomes of a step that raises something."""

    def test_whatever_a_step_raises_is_its_failure_and_the_table_is_printed(self):
        def broken(_place, _report):
            raise KeyError("no such port")

        def lacking(_place, _report):
            raise tools.Missing("no such tool")

        report = Report()
        with mock.patch("builtins.print") as printed:
            run = load_run()
            run.attempt("one", broken, None, report)
            run.attempt("two", lacking, None, report)
            report.show()
        self.assertEqual((report.count(FAILED), report.count(NOT_RUN)), (1, 1))
        shown = "\n".join(str(call.args[0]) for call in printed.call_args_list if call.args)
        self.assertIn("KeyError: 'no such port'", shown)
        self.assertIn("1 FAILED", shown)

    def test_no_proxy_stands_between_us_and_our_servers(self):
        with mock.patch.dict(os.environ, {"no_proxy": "example.org"}):
            os.environ.pop("NO_PROXY", None)
            load_run().ask_this_machine_directly()
            self.assertEqual(os.environ["no_proxy"], "example.org,127.0.0.1,localhost")
            self.assertEqual(os.environ["NO_PROXY"], "127.0.0.1,localhost")


if __name__ == "__main__":
    unittest.main()
