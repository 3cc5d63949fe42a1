"""Progress: bars for a terminal, lines for a log, silence for a program."""

import contextlib
import io
import os
import pty

import pytest

from apps.cli import console as module
from apps.cli.console import Console


def test_a_log_gets_whole_lines_and_always_the_last_one() -> None:
    stream = io.StringIO()
    assert list(Console(stream=stream).track(range(50), "fitting")) == list(range(50))
    assert stream.getvalue() == "fitting: 50/50\n"


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no time between lines, each step is one; the note says what is worked on."""
    monkeypatch.setattr(module, "PLAIN_EVERY_SECONDS", 0.0)
    stream = io.StringIO()
    with Console(stream=stream).progress("nights") as progress:
        progress.advance(note="2022-12-27")
        progress.advance(2, note="2022-12-28")
    assert stream.getvalue() == "nights: 1 2022-12-27\nnights: 3 2022-12-28\n"


def test_a_program_that_asked_for_json_gets_warnings_only() -> None:
    stream = io.StringIO()
    console = Console(stream=stream, as_json=True)
    console.note("hello")
    list(console.track([1, 2], "work"))
    console.warn("the clock ran back")
    assert stream.getvalue() == "warning: the clock ran back\n"


def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real pseudo-terminal; brackets in a note are text and not markup."""
    monkeypatch.setenv("TERM", "xterm")
    reader, writer = pty.openpty()
    stream = os.fdopen(writer, "w")
    with stream, Console(stream=stream, as_json=True).progress("nights", 3) as progress:
        progress.advance(3, note="[done]")
    text = ""
    with contextlib.suppress(OSError):  # the other end is closed: everything was read
        while chunk := os.read(reader, 100_000):
            text += chunk.decode()
    os.close(reader)
    assert "nights" in text
    assert "3/3" in text
    assert "[done]" in text


def test_a_closed_reader_is_no_failure() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    Console(stream=stream).note("nobody listens")
    with pytest.raises(BrokenPipeError):
        stream.close()
