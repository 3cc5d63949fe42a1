"""Notes, warnings and progress, all on standard error: standard output belongs to the result.

A terminal gets moving bars; a log file gets plain lines now and then; a program that asked for
--json and reads standard error from a pipe gets silence but for warnings.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar

T = TypeVar("T")

# A log gets at most one line per this many seconds, so that a long run stays readable.
PLAIN_EVERY_SECONDS = 5.0


class Progress:
    """How far one piece of work is; this one says nothing."""

    def __init__(self, title: str, total: int | None) -> None:
        self.title = title
        self.total = total
        self.done = 0

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count `steps` as done; `note` says what is worked on."""
        self.done += steps
        self._show(note)

    def _show(self, note: str) -> None:
        pass


class _PlainProgress(Progress):
    def __init__(self, title: str, total: int | None, stream: TextIO) -> None:
        super().__init__(title, total)
        self._stream = stream
        self._next = time.monotonic() + PLAIN_EVERY_SECONDS

    def _show(self, note: str) -> None:
        if time.monotonic() < self._next and self.done != self.total:
            return
        self._next = time.monotonic() + PLAIN_EVERY_SECONDS
        count = f"{self.done}/{self.total}" if self.total else str(self.done)
        _write(self._stream, f"{self.title}: {count}{f' {note}' if note else ''}")


class _RichProgress(Progress):
    def __init__(self, title: str, total: int | None, bars: Any) -> None:
        super().__init__(title, total)
        self._bars = bars
        self._task = bars.add_task(title, total=total, note="")

    def _show(self, note: str) -> None:
        self._bars.update(self._task, completed=self.done, note=note)


class Console:
    """Standard error, spoken to in whole lines."""

    def __init__(
        self, *, stream: TextIO | None = None, as_json: bool = False, no_color: bool = False
    ) -> None:
        self.stream = stream if stream is not None else sys.stderr
        self.is_terminal = self.stream.isatty()
        self.is_silent = as_json and not self.is_terminal
        self.no_color = no_color

    def note(self, text: str) -> None:
        """One line for a person; a program that asked for JSON does not get it."""
        if not self.is_silent:
            _write(self.stream, text)

    def warn(self, text: str) -> None:
        """One line that everybody gets."""
        _write(self.stream, f"warning: {text}")

    @contextmanager
    def progress(self, title: str, total: int | None = None) -> Iterator[Progress]:
        """Show how far `title` is until the block ends."""
        if self.is_silent:
            yield Progress(title, total)
        elif self.is_terminal:
            with self._bars() as bars:
                yield _RichProgress(title, total, bars)
        else:
            yield _PlainProgress(title, total, self.stream)

    def track(self, items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
        """Yield `items`, counting them."""
        size = len(items) if total is None and isinstance(items, Sized) else total
        with self.progress(title, size) as progress:
            for item in items:
                yield item
                progress.advance()

    def _bars(self) -> Any:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichBars

        return RichBars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=RichConsole(file=self.stream, no_color=self.no_color),
        )


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text + "\n")
        stream.flush()
    except (BrokenPipeError, ValueError):  # nobody reads standard error any more
        pass
