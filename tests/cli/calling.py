"""The command line in this process, for the many answers that need no process of their own."""

from __future__ import annotations

import contextlib
import io
from typing import NamedTuple

from edgetl.cli import call as call_cli


class Answer(NamedTuple):
    """What a command line came back with."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line on stderr, where an error stands."""
        return self.err.splitlines()[-1] if self.err else ""


def call(*args: object) -> Answer:
    """Calls the command line as the console script does, and keeps what it prints."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = call_cli([str(a) for a in args])
    return Answer(code, out.getvalue(), err.getvalue())


def refused(answer: Answer, code: int, kind: str, *words: str) -> None:
    """Asserts that a command line ended in one line of an error of that kind, which holds these words."""
    assert answer.code == code, answer
    assert answer.last.startswith(f"edgetl: {kind}: "), answer
    assert "Traceback" not in answer.err
    for word in words:
        assert word in answer.last, answer.last
