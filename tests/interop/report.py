"""What ran, what did not and why: the table at the end."""

import shutil
import textwrap
from dataclasses import dataclass

RAN, FAILED, LEFT_OUT, NOT_RUN = "ran", "FAILED", "left out", "NOT run"


@dataclass
class Row:
    """One tool and what became of its checks."""

    tool: str
    version: str
    outcome: str
    note: str


class Report:
    """Collects rows and complaints; says at the end whether all is well."""

    def __init__(self):
        self.rows = []
        self.complaints = []

    def ran(self, tool, version, note, complaints=()):
        """The checks with this tool were made; without complaints they are good."""
        self.complaints += complaints
        self.rows.append(Row(tool, version, FAILED if complaints else RAN, note))
        self.tell(self.rows[-1])

    def left_out(self, tool, why):
        """There is nothing to run, and somebody has said so on purpose."""
        self.rows.append(Row(tool, "–", LEFT_OUT, why))
        self.tell(self.rows[-1])

    def not_run(self, tool, why):
        """The checks with this tool could not be made."""
        self.rows.append(Row(tool, "–", NOT_RUN, why))
        self.tell(self.rows[-1])

    @staticmethod
    def tell(row):
        """Says it at once, too: all of it takes minutes."""
        print(f"interop: {row.tool}: {row.outcome}: {row.note}", flush=True)

    def count(self, outcome):
        """How many rows have this outcome."""
        return sum(row.outcome == outcome for row in self.rows)

    def show(self):
        """Prints complaints and the table."""
        for complaint in self.complaints:
            print(f"\n{complaint}")
        print()
        widths = [max(len(getattr(row, name)) for row in self.rows) for name in ("tool", "version", "outcome")]
        room = max(30, shutil.get_terminal_size((140, 24)).columns - sum(widths) - 6)
        for row in self.rows:
            cells = [cell.ljust(width) for cell, width in zip((row.tool, row.version, row.outcome), widths)]
            lines = textwrap.wrap(row.note, room) or [""]
            print("  ".join([*cells, lines[0]]))
            for line in lines[1:]:
                print(" " * (sum(widths) + 6) + line)
        counts = [f"{self.count(outcome)} {outcome}" for outcome in (RAN, FAILED, LEFT_OUT, NOT_RUN)]
        print(f"\ninterop: {', '.join(counts)}")
