"""One bad input, the refusal it met, and what a good refusal is.

Belongs here: the values, and the rules by which every refusal of the corpus is judged. Does not
belong here: any input (the modules beside this one), or how many are asked (`bad_input`).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from apps.cli import exit_codes
from quant.core.errors import PmxError
from tests.support.pmx_calls import Answer

T = TypeVar("T")

MESSAGE_LENGTH_MAX: Final = 800
REMEDY_LENGTH_MIN: Final = 9
# The kind of a refusal that claims nothing that the honest answer does not claim.
HARMLESS: Final = "HarmlessError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A refusal as whoever asked meets it; `kind` is the class of the error."""

    kind: str
    message: str
    remedy: str
    exit_code: int
    has_traceback: bool = False


# Gives back None when the bad input was taken.
Ask = Callable[[], "Refused | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One input. `sample` names the kind of message that it gives, for the golden file."""

    kind: str
    sample: str
    name: str
    ask: Ask
    # Each must be in the message: the file or option, and the field where there is one.
    names: tuple[str, ...]
    # One of these must be: the class of the value, in words.
    words: tuple[str, ...]


@dataclass
class Workshop:
    """Where a corpus may write, and what it leaves open until the end."""

    folder: Path
    call: Callable[..., Answer]
    stack: ExitStack
    made: int = 0
    texts: dict[str, str] = field(default_factory=dict)

    def new_folder(self) -> Path:
        """A folder that nobody else has."""
        self.made += 1
        path = self.folder / f"case{self.made}"
        path.mkdir()
        return path


def complaints(case: Case, refused: Refused | None) -> list[str]:
    """What is wrong with a refusal; nothing when it is clear."""
    if refused is None:
        return ["it was taken"]
    text = f"{refused.message} {refused.remedy}"
    checks = {
        "no typed error": refused.kind in {"Bug", ""} or refused.exit_code == exit_codes.BUG,
        "an exit code nobody documented": refused.exit_code not in exit_codes.MEANINGS,
        "a success": refused.exit_code == exit_codes.OK,
        "a traceback": refused.has_traceback,
        "control characters": not text.isprintable(),
        "a long message": len(refused.message) > MESSAGE_LENGTH_MAX,
        "no remedy": len(refused.remedy) < REMEDY_LENGTH_MIN,
        "no class of value": not any(word.lower() in text.lower() for word in case.words),
        **{f"no {name!r}": name not in refused.message for name in case.names},
    }
    return [complaint for complaint, is_true in checks.items() if is_true]


def attempt(do: Callable[[], object]) -> Refused | None:
    """What calling a part of the product gave; any error that is not typed has a traceback."""
    try:
        do()
    except PmxError as error:
        return refusal_of(error)
    except Exception as error:
        return Refused(
            kind="Bug",
            message=f"{type(error).__name__}: {error}"[:300],
            remedy="",
            exit_code=exit_codes.BUG,
            has_traceback=True,
        )
    return None


def refusal_of(error: PmxError) -> Refused:
    """A typed error, as the command line would tell it."""
    return Refused(
        kind=type(error).__name__,
        message=str(error),
        remedy=error.remedy,
        exit_code=error.exit_code,
    )


_ERROR: Final = re.compile(r"^error: (?P<message>.*)$\n?(?:^do this: (?P<remedy>.*)$)?", re.M)


def told(answer: Answer) -> Refused | None:
    """What a command said; None when it ended well."""
    if answer.code == exit_codes.OK:
        return None
    found = list(_ERROR.finditer(answer.err))
    only = found[0] if len(found) == 1 else None
    return Refused(
        kind="Bug" if answer.code == exit_codes.BUG else f"exit {answer.code}",
        message=only["message"] if only else f"{len(found)} errors: {answer.err}"[:300],
        remedy=(only["remedy"] or "") if only else "",
        exit_code=answer.code,
        has_traceback="Traceback" in answer.err + answer.out,
    )


def every(items: Iterable[T], step: int, *, offset: int = 0) -> Iterator[T]:
    """Each `step`-th of `items`."""
    return (item for place, item in enumerate(items) if place % step == offset % step)


def named(prefix: str, names: Sequence[str]) -> tuple[str, ...]:
    """`names` without empty ones, after `prefix`."""
    return tuple(name for name in (prefix, *names) if name)
