"""What each exit code of `pmx` means; scripts and schedulers may rely on these numbers."""

from dataclasses import dataclass
from typing import Any, Final

from apps.cli.result import CommandResult

OK: Final = 0
DOES_NOT_HOLD: Final = 1
USAGE: Final = 2
# EX_SOFTWARE of sysexits.h: an internal error, to be told apart from every expected failure.
BUG: Final = 70
# 128 + the signal's number, as every shell reports it.
INTERRUPTED: Final = 130
TERMINATED: Final = 143

MEANINGS: Final[dict[int, str]] = {
    OK: "done",
    DOES_NOT_HOLD: "done, and the answer is no: a check, limit or benchmark does not hold",
    USAGE: "the command, a setting or a policy file is wrong; nothing was done",
    3: "the input data is wrong; it was not stored, or was quarantined",
    4: "a model's estimate cannot be trusted",
    5: "a hard limit was refused; expected, and recorded",
    6: "stored state cannot be used: disk full, read-only, locked or damaged",
    7: "a data source failed",
    8: "a trading venue failed, or its answer is unknown: reconcile before anything else",
    9: "a server that pmx started did not answer, or stopped by itself",
    BUG: "a bug in pmx; the log file has the details",
    INTERRUPTED: "stopped by Ctrl-C",
    TERMINATED: "stopped by a termination signal",
}


@dataclass(frozen=True, slots=True)
class ExitCodes(CommandResult):
    """The table itself."""

    meanings: dict[int, str]

    def to_json(self) -> dict[str, Any]:
        """Codes as text keys, since JSON has no others."""
        return {"exit_codes": {str(code): text for code, text in self.meanings.items()}}

    def render(self, console: Any) -> None:
        """One line a code."""
        for code, text in self.meanings.items():
            console.print(f"{code:>4}  {text}")


def run(_cli: Any) -> ExitCodes:
    """List every exit code."""
    return ExitCodes(MEANINGS)
