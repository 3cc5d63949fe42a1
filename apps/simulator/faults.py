"""Every way in which the simulated venue can misbehave, as rules that a seed decides.

Belongs here: the rules, and the choice of which apply to a call. Does not belong here: what a fault
does to bytes (`server`) or to a stream (`streams`). A choice depends on the seed, the rule and the
number of the call alone, so the same calls meet the same faults.
"""

import datetime as dt
import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationError

from quant.core.errors import PolicyError
from quant.core.identity import seed_of
from quant.core.policy import Policy
from quant.market.symbols import shown


class Fault(StrEnum):
    """What goes wrong. "after" means that the venue has done what was asked."""

    REQUEST_LOST = "request_lost"  # closed without a word, nothing done
    ERROR_BEFORE = "error_before"  # `status` and `code`, nothing done
    RATE_LIMITED = "rate_limited"  # 429 with Retry-After
    BANNED = "banned"  # 418 (429 at Alpaca) until `for_s` has passed, whatever is asked
    AUTH_REVOKED = "auth_revoked"
    OUTAGE = "outage"  # every connection is closed

    ACK_LOST = "ack_lost"  # done, then closed without a word
    ACK_HUNG = "ack_hung"  # done, then silence
    ERROR_AFTER = "error_after"  # done, then `status` and `code`
    PAGE = "page"  # done, then 200 with a web page
    EMPTY = "empty"  # done, then 200 without a body
    TRUNCATED = "truncated"  # done, then half of the JSON, of honest length
    CUT = "cut"  # done, then half of the bytes, and closed
    EMPTY_OBJECT = "empty_object"
    EMPTY_LIST = "empty_list"
    UNKNOWN_WORD = "unknown_word"  # a status that no client knows
    NULL_FIELD = "null_field"
    EXTRA_FIELD = "extra_field"
    NAN_FIELD = "nan_field"  # a number that is none
    DELAY = "delay"
    REQUEST_DOUBLED = "request_doubled"  # the venue gets it twice
    ANSWER_DOUBLED = "answer_doubled"  # the client gets it twice

    CLOCK_SKEW = "clock_skew"  # the venue's clock is `skew_ms` away from ours
    READ_LAG = "read_lag"  # an order cannot be found for `lag_ms` after it was sent
    FILL_ON_CANCEL = "fill_on_cancel"
    EXTERNAL_ORDER = "external_order"  # somebody trades the account by hand
    HALT = "halt"  # orders are taken, nothing trades
    SUSPENDED = "suspended"  # the account may not trade

    STREAM_DROPPED = "stream_dropped"
    STREAM_DOUBLED = "stream_doubled"
    STREAM_REORDERED = "stream_reordered"
    STREAM_DELAYED = "stream_delayed"
    STREAM_SILENT = "stream_silent"  # open, and nothing comes any more
    STREAM_CLOSED = "stream_closed"


OPERATIONS: Final = ("submit", "cancel", "replace", "query", "list", "account", "market", "stream")


def _known(word: str) -> str:
    if word not in OPERATIONS:
        raise ValueError(f"{word[:40]!r} is no operation")
    return word


Operation = Annotated[str, AfterValidator(_known)]


class FaultRule(Policy):
    """One fault, where it strikes, and how often. Without `share` and `calls` it always does."""

    fault: Fault
    on: tuple[Operation, ...] = OPERATIONS
    venue: Literal["", "alpaca", "binance", "ctrader"] = ""  # empty for all
    share: float = Field(default=1.0, ge=0, le=1)
    # Counted from 1, for each operation apart.
    calls: tuple[Annotated[int, Field(ge=1)], ...] = ()
    times_max: int | None = None
    # A window since the venue's start.
    from_s: float = 0.0
    for_s: float | None = None
    status: int = 504
    code: int = 0
    delay_ms_min: float = 5.0
    delay_ms_max: float = 50.0
    retry_after_s: float = 1.0
    skew_ms: float = 0.0
    lag_ms: float = 1000.0


class FaultFile(Policy):
    """The file that `pmx venue --faults` takes."""

    rules: tuple[FaultRule, ...] = ()
    # The venues' own limits; None does not count.
    alpaca_requests_per_minute: int | None = None
    binance_weight_per_minute: int | None = None


@dataclass(slots=True)
class FaultPlan:
    """The rules in force; `struck` counts what happened."""

    seed: int
    rules: list[FaultRule] = field(default_factory=list)
    started_at: dt.datetime | None = None
    struck: Counter[str] = field(default_factory=Counter)
    _calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    _times: Counter[int] = field(default_factory=Counter)

    def add(self, fault: Fault, **settings: Any) -> FaultRule:
        """One more rule."""
        rule = FaultRule(fault=fault, **settings)
        self.rules = [*self.rules, rule]
        return rule

    def clear(self) -> None:
        """No faults from here on."""
        self.rules = []
        self._times.clear()

    def choose(self, venue: str, operation: str, now: dt.datetime) -> list[FaultRule]:
        """The rules that strike this call, in the order of the file."""
        self._calls[venue, operation] += 1
        if not self.rules:
            return []
        call = self._calls[venue, operation]
        found = []
        for place, rule in enumerate(self.rules):
            if self._strikes(place, rule, venue, operation, call, now):
                self._times[place] += 1
                self.struck[rule.fault.value] += 1
                found.append(rule)
        return found

    def _strikes(
        self,
        place: int,
        rule: FaultRule,
        venue: str,
        operation: str,
        call: int,
        now: dt.datetime,
    ) -> bool:
        if operation not in rule.on or rule.venue not in {"", venue}:
            return False
        if rule.calls and call not in rule.calls:
            return False
        if rule.times_max is not None and self._times[place] >= rule.times_max:
            return False
        if not self._in_window(rule, now):
            return False
        if rule.share == 1.0:
            return True
        return self.draw(place, venue, operation, call).random() < rule.share

    def draw(self, *parts: object) -> random.Random:
        """Chance that depends on the seed and `parts` alone."""
        return random.Random(seed_of(self.seed, *parts))

    def _in_window(self, rule: FaultRule, now: dt.datetime) -> bool:
        if self.started_at is None:
            self.started_at = now
        age_s = (now - self.started_at).total_seconds()
        return rule.from_s <= age_s and (rule.for_s is None or age_s < rule.from_s + rule.for_s)


def read_faults(path: Path) -> FaultFile:
    """The file's rules; `PolicyError` names what is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        return FaultFile.model_validate(json.loads(text, object_pairs_hook=_once_each))
    except OSError as error:
        raise PolicyError(
            f"the fault file {path} cannot be read ({error.strerror})", remedy="check the path"
        ) from None
    except json.JSONDecodeError as error:
        raise PolicyError(
            f"{path}, line {error.lineno}: not JSON ({error.msg})",
            remedy="docs/brokers.md shows an example",
        ) from None
    except ValidationError as error:
        raise PolicyError(
            f"{path}: {'; '.join(_faults_of(error.errors(include_input=False)))}",
            remedy=f"faults are: {', '.join(Fault)}; on is any of {', '.join(OPERATIONS)}",
        ) from None
    except (RecursionError, ValueError, _TwiceError) as error:
        raise PolicyError(
            f"{path}: not JSON that can be read ({_why(error)})",
            remedy="docs/brokers.md shows an example",
        ) from None


class _TwiceError(Exception):
    """A key that stands twice."""


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return found


def _why(error: Exception) -> str:
    match error:
        case _TwiceError():
            return f"the key {str(error)[:40]!r} stands twice"
        case UnicodeDecodeError():
            return f"byte {error.start} is not UTF-8"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "a number too long"


def _faults_of(errors: Iterable[Any]) -> Iterable[str]:
    return (f"{'.'.join(map(_place, one['loc']))}: {one['msg']}" for one in errors)


def _place(part: object) -> str:
    """A key of the file, as it may stand in a message."""
    text = str(part)
    return text if text.isprintable() and len(text) < 60 else shown(text)
