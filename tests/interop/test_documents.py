"""What runs documents finds what is wrong with them."""

import os
import tempfile
import unittest
from types import SimpleNamespace

import documents

DOCUMENT = """
```text
before all commands
```

<!-- not run: needs a cluster -->
```sh
kubectl get pods
```

```sh
may one
```

```text
{ "allowed": true, "httpStatus": 200, … }
```

```sh
may two
```

A sentence.

```text
no answer of it
```
"""


class Blocks(unittest.TestCase):
    """What is read of a document."""

    def test_blocks_have_their_answers_and_reasons(self):
        found = documents.blocks(DOCUMENT)
        self.assertEqual([block.text for block in found], ["kubectl get pods\n", "may one\n", "may two\n"])
        self.assertEqual([block.left_out for block in found], ["needs a cluster", "", ""])
        self.assertEqual([block.answer for block in found], ["", '{ "allowed": true, "httpStatus": 200, … }\n', ""])
        self.assertEqual([block.line for block in found], [7, 11, 19])


class Answers(unittest.TestCase):
    """What is compared."""

    def test_what_is_shown_must_be_there_in_its_order(self):
        answer = '{ "allowed": true }\n{ "httpStatus": 401, "reason": "REASON_KEY_UNKNOWN" }'
        good = '{"allowed":  true, "revision": 7}\n{"httpStatus": 401,\n "reason": "REASON_KEY_UNKNOWN"}'
        self.assertEqual(documents.missing(answer, good), [])
        turned = '{"httpStatus": 401, "reason": "REASON_KEY_UNKNOWN"}\n{"allowed": true}'
        self.assertEqual(documents.missing(answer, turned), ['"httpStatus": 401', "REASON_KEY_UNKNOWN"])

    def test_another_word_with_the_same_beginning_is_another(self):
        answer = '"httpStatus": 40\n"reason": "REASON_KEY"'
        self.assertEqual(documents.missing(answer, '"httpStatus": 401, "reason": "REASON_KEY_UNKNOWN"'),
                         ['"httpStatus": 40', "REASON_KEY"])

    def test_every_field_that_is_shown_must_be_there(self):
        self.assertEqual(documents.missing('{ "keyId": …, "user": "ida" }', '{"keyId": "key_1"}'), ['"user":'])

    def test_codes_of_errors_count(self):
        self.assertEqual(documents.missing("ERROR:\n  Code: NotFound", "ERROR:\n  Code: Internal"), ["Code: NotFound"])


class Programs(unittest.TestCase):
    """What a block needs of others."""

    def test_only_what_is_called_is_needed(self):
        for text, absent in (("a | jq .x\n", ["jq"]), ("curl -i x\n", ["curl"]), ("echo jq\n# helm\n", [])):
            self.assertEqual(documents.absent_programs(documents.Block(1, text), "/nowhere"), absent, text)


class Running(unittest.TestCase):
    """What becomes of blocks that do not end well, or say something else."""

    def run_document(self, text):
        """The complaints about a document, without the output that they show."""
        with tempfile.TemporaryDirectory() as folder:
            root = os.path.join(folder, "root")
            os.makedirs(root)
            with open(os.path.join(root, "guide.md"), "w", encoding="utf-8") as document:
                document.write(text)
            server = SimpleNamespace(folder=folder, token="", ports=dict.fromkeys(documents.PORTS.values(), 7),
                                     environment=lambda: dict(os.environ))
            outcome = documents.run(root, "guide.md", server, [])
        return outcome.ran, [complaint.splitlines()[0] for complaint in outcome.complaints]

    def test_blocks_share_a_shell_and_the_ports_of_the_server(self):
        text = "```sh\nNAME=REASON_IT\n```\n```sh\necho $NAME 127.0.0.1:50051 | grep :7\n```\n```text\nREASON_IT\n```\n"
        self.assertEqual(self.run_document(text), (2, []))

    def test_a_block_that_fails_anywhere_is_named(self):
        text = "```sh\ntrue\n```\n\n```sh\nfalse | cat\necho on\n```\n```sh\ntrue\n```\n"
        self.assertEqual(self.run_document(text), (1, [
            "guide.md:5: the block failed, and 1 after it were not tried. The end of its output:"]))

    def test_an_answer_that_is_not_given_is_named(self):
        text = "```sh\necho REASON_ONE\n```\n```text\nREASON_OTHER\n```\n"
        self.assertEqual(self.run_document(text), (1, [
            "guide.md:1: the output lacks REASON_OTHER, which the document shows:"]))


if __name__ == "__main__":
    unittest.main()
