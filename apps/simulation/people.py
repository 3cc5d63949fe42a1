"""What strategies and people do in a simulated world: intents, modes, changes of mind, own trades.

Belongs here: the wishes. Does not belong here: the world's clock and process (`world`).
"""

import datetime as dt
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from quant.execution import IntentRecorded, Mode, Outcome, SubjectKind, VerdictRecorded
from quant.execution.broker_events import Breaker, BreakerChanged
from quant.execution.events import EVERY_BOOK, ModeChanged
from quant.execution.manager_state import ManagerState
from quant.execution.orders import Intent, LedgerHead

BOOK: Final = "sim"
STRATEGY: Final = "trend"
_HEAD = LedgerHead(seq=0, hash="0" * 64)


class People:
    """Draws what is wanted next; every wish is an event for the ledger."""

    def __init__(self, draw: random.Random, *, seed: int, symbols: tuple[str, ...]) -> None:
        self._draw = draw
        self._seed = seed
        self._symbols = symbols
        self._wishes = 0

    def verdict(self, session: dt.date) -> VerdictRecorded:
        """Nearly always a pass."""
        fails = self._draw.random() < 0.03
        return VerdictRecorded(
            subject_kind=SubjectKind.STRATEGY,
            subject=STRATEGY,
            outcome=Outcome.FAIL if fails else Outcome.PASS,
            reason="drawn",
            session=session,
            run_id="sim",
            snapshot_id="1",
            code_version="sim",
        )

    def intent(
        self,
        state: ManagerState,
        session: dt.date,
        as_of: dt.datetime,
        price_of: Callable[[str], Decimal],
    ) -> IntentRecorded:
        """A change of a random size, half of them towards zero; a few are of another session."""
        self._wishes += 1
        symbol = self._draw.choice(self._symbols)
        held = Decimal(0) if state.book is None else state.book.quantity(symbol)
        size = Decimal(self._draw.randint(1, 120))
        sign = 1 if self._draw.random() < 0.5 else -1
        if held and self._draw.random() < 0.5:
            size, sign = min(size, abs(held)), -1 if held > 0 else 1
        is_stale = self._draw.random() < 0.02
        return IntentRecorded(
            intent=Intent(
                decision_id=f"d-{self._seed}-{self._wishes}",
                book=BOOK,
                strategy=STRATEGY,
                symbol=symbol,
                session=session - dt.timedelta(days=2),
                as_of=as_of,
                run_id="sim",
                snapshot_id="1",
                code_version="sim",
                valid_session=session - dt.timedelta(days=1) if is_stale else session,
                quantity=sign * size,
                target_weight=Decimal("0.01"),
                reference_price=price_of(symbol),
                equity=Decimal(100_000),
                ledger_head=_HEAD,
            )
        )

    def mode(self, moment: dt.datetime, *, back: bool) -> ModeChanged:
        """A person reaches for the switch, or lets go of it."""
        mode = Mode.NORMAL if back else self._draw.choice([Mode.REDUCE, Mode.PAUSE, Mode.EMERGENCY])
        return ModeChanged(
            scope=EVERY_BOOK,
            mode=mode,
            reason="drawn",
            changed_by="person",
            changed_at=moment,
        )

    def reset(self, state: ManagerState, breaker: Breaker) -> BreakerChanged:
        """A person has looked at a tripped breaker and resets it."""
        return BreakerChanged(
            book=BOOK,
            breaker=breaker,
            is_tripped=False,
            reason="looked at",
            changed_by="person",
            sequence=state.control.changes(BOOK, breaker) + 1,
        )
