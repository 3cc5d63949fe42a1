"""Reads the whole account now and then, and holds whatever does not agree with the ledger.

Belongs here: when an account is read, and what is recorded of the comparison. Does not belong here:
the comparison itself (`reconcile`).
"""

from collections.abc import Mapping
from decimal import Decimal

from quant.execution.broker_events import Alarm, ReconciliationRecorded
from quant.execution.commands import ManagerPolicy, TakeSnapshot
from quant.execution.pacing import Pacing
from quant.execution.reconcile import VenueView, reconcile
from quant.execution.recorder import Recorder


class AccountCheck:
    """The account of one book."""

    def __init__(self, recorder: Recorder, pacing: Pacing, policy: ManagerPolicy) -> None:
        self._recorder = recorder
        self._pacing = pacing
        self._policy = policy
        self._asked_at: float | None = None
        self._done_at = float("-inf")
        # Whether this process has read the whole account; before that nothing is known.
        self.has_read = False

    def ask(self, now: float) -> bool:
        """Read the account now, unless that is under way or forbidden."""
        if self._asked_at is not None or not self._pacing.may_read(now):
            return False
        self._asked_at = now
        self._recorder.ask(TakeSnapshot(self._recorder.state.fills_since()))
        return True

    def is_due(self, now: float) -> bool:
        """Whether it is time to read; an answer that never came is waited for no longer."""
        if self._asked_at is None:
            return now - self._done_at >= self._policy.snapshot_every_s
        if now - self._asked_at >= 3 * self._policy.answer_timeout_s:
            self._asked_at = None
        return False

    def put_off(self) -> None:
        """Nobody was asked: what was known of the account is what is known."""
        self._asked_at = None

    def answered(self, view: VenueView, now: float) -> None:
        """It was read; sooner than usual again when not all of it could be, since it holds us."""
        self._asked_at, self._done_at = None, now
        self.has_read = self.has_read or view.is_whole
        if not view.is_whole:
            self._done_at += self._policy.lookup_every_s - self._policy.snapshot_every_s

    def compare(
        self,
        view: VenueView,
        moved: set[str],
        strategy_view: Mapping[tuple[str, str], Decimal] | None,
    ) -> tuple[str, ...]:
        """Record what is held, where that has changed; give the ids that are worth a look."""
        state = self._recorder.state
        found = reconcile(
            state,
            view,
            moved=moved,
            strategy_view=strategy_view,
            cash_tolerance=self._policy.cash_tolerance,
        )
        for orphan in found.orphans:
            what = f"{orphan.side} {orphan.quantity} {orphan.symbol} is in no ledger of ours"
            key, symbol = orphan.client_order_id, orphan.symbol
            self._recorder.alarm(Alarm.ORPHAN_ORDER, key, symbol, what)
        for venue_id, what in found.external.items():
            self._recorder.alarm(Alarm.EXTERNAL_ORDER, venue_id, "", what)
        before = (state.is_readable, state.held, state.external)
        if before != (found.is_readable, dict(found.held), dict(found.external)):
            self._recorder.record(
                ReconciliationRecorded(
                    book=state.name,
                    sequence=state.reconciliations + 1,
                    is_readable=found.is_readable,
                    held=found.held,
                    external=found.external,
                )
            )
        return found.lookups
