"""Gathers what the order manager decides: each event is noted in the state and in the next step.

Belongs here: writing events down in one way. Does not belong here: which events (`manager`,
`hearing`, `pacing`).
"""

from quant.execution.broker_events import Alarm, AlarmRaised
from quant.execution.commands import Command, Step
from quant.execution.event_base import Event
from quant.execution.events import OrderStateChanged
from quant.execution.manager_state import ManagerState
from quant.execution.order_life import OrderLife
from quant.execution.order_states import OrderState


class Recorder:
    """The step in the making, over the state that it changes."""

    def __init__(self, state: ManagerState) -> None:
        self.state = state
        self._step = Step()

    def take(self) -> Step:
        """Hand over what has gathered since the last call."""
        step, self._step = self._step, Step()
        return step

    def record(self, event: Event) -> None:
        """Something happened."""
        self._step.events.append(event)
        self.state.take(event)

    def ask(self, command: Command) -> None:
        """Something is wanted of the venue, after the events so far are on disk."""
        self._step.commands.append(command)

    def move(
        self, life: OrderLife, after: OrderState, reason: str, venue_order_id: str = ""
    ) -> None:
        """An order changes its state; the event itself refuses an illegal move."""
        self.record(
            OrderStateChanged(
                book=life.order.book,
                decision_id=life.order.decision_id,
                client_order_id=life.order.client_order_id,
                sequence=life.moves + 1,
                before=life.state,
                after=after,
                reason=reason,
                venue_order_id=venue_order_id,
            )
        )

    def alarm(self, alarm: Alarm, subject: str, symbol: str, message: str) -> None:
        """A person must know; what an alarm has said once it does not say again."""
        event = AlarmRaised(
            book=self.state.name, alarm=alarm, subject=subject, symbol=symbol, message=message
        )
        if event.key not in self.state.alarms:
            self.record(event)
