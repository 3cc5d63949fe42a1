"""The command line's log file, and the removal of credentials from everything that is written.

Belongs here: where the log goes and what may not be in it. Does not belong here: notes for the
person at the terminal (`console`).
"""

import logging
import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from quant.core.errors import PmxError
from resources.settings import Settings, mask_url

if TYPE_CHECKING:
    from apps.cli.result import Cli

BYTES_MAX: Final = 5_000_000
# Shorter texts occur by chance in ordinary words; no venue issues keys that short.
SECRET_LENGTH_MIN: Final = 6

_NAMED_SECRET = re.compile(
    r"(?i)\b((?:[a-z0-9]+[_-])*(?:api[_-]?key|apikey|secret|token|password|passphrase|signature))"
    r"(['\"]?\s*[=:]\s*['\"]?)([^\s'\"&,;)}\]]+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces known credentials, and what looks like one, with ***."""

    secrets: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> "Redactor":
        """All credentials of this installation, the longest first."""
        long_enough = {s for s in settings.secrets.values() if len(s) >= SECRET_LENGTH_MIN}
        return cls(tuple(sorted(long_enough, key=len, reverse=True)))

    def __call__(self, text: str) -> str:
        """The text without credentials."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        text = _BEARER.sub(r"\1 ***", _NAMED_SECRET.sub(r"\1\2***", text))
        return mask_url(text)


class _RedactingFormatter(logging.Formatter):
    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


class _LateFile(logging.FileHandler):
    """Makes its folder on the first record, and gives up quietly where nothing can be written:
    a command that only looks must work on a read-only disk.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, delay=True, encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
            super().emit(record)
        except OSError:
            return


def log_file(settings: Settings) -> Path:
    """Where the command line writes its log."""
    return settings.paths.logs / "pmx.log"


def start_logging(cli: "Cli") -> None:
    """Send the product's log records to the log file; with --debug to standard error as well."""
    settings = cli.settings
    path = log_file(settings)
    _keep_small(path)
    redact = Redactor.of(settings)
    handlers: list[logging.Handler] = [_LateFile(path)]
    if cli.debug:
        handlers.append(logging.StreamHandler(cli.console.stream))
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h.formatter, _RedactingFormatter)]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(_RedactingFormatter(redact))
        root.addHandler(handler)
    # Other libraries' chatter stays out unless something is wrong with them.
    root.setLevel(logging.WARNING)
    for ours in ("apps", "assets", "jobs", "quant", "resources", "sensors"):
        logging.getLogger(ours).setLevel("DEBUG" if cli.debug else settings.log_level.upper())


def log_exception(error: BaseException, cli: "Cli") -> str:
    """Write the traceback to the log file; say where it is, or that it could not be written."""
    try:
        settings = cli.settings
        path = log_file(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = Redactor.of(settings)("".join(traceback.format_exception(error)))
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except (OSError, PmxError):
        return "this message (no log file could be written)"
    return f"the end of {path}"


def _keep_small(path: Path) -> None:
    try:
        if path.stat().st_size > BYTES_MAX:
            path.replace(path.with_suffix(".log.1"))
    except OSError:
        return
