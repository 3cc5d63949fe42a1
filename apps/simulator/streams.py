"""Order streams: who listens, and what happens to an event on its way to them."""

import datetime as dt
from collections.abc import Callable

from apps.simulator.faults import Fault, FaultPlan
from apps.simulator.http import Channel

Later = Callable[[float, Callable[[], None]], None]


class StreamHub:
    """The subscribers of one protocol, and the faults between the venue and them."""

    def __init__(
        self, *, venue: str, plan: FaultPlan, now: Callable[[], dt.datetime], later: Later
    ) -> None:
        self.venue = venue
        self.plan = plan
        self.channels: list[Channel] = []
        self._now = now
        self._later = later
        self._kept: list[str] = []

    def join(self, channel: Channel) -> None:
        """From here on the channel hears every event."""
        if channel not in self.channels:
            self.channels.append(channel)
        channel.on_close = lambda: self.leave(channel)

    def leave(self, channel: Channel) -> None:
        """The client has gone."""
        if channel in self.channels:
            self.channels.remove(channel)

    def publish(self, text: str) -> None:
        """Send an event to everybody, as well as the faults let it through."""
        if not self.channels:
            return
        struck = {rule.fault: rule for rule in self.plan.choose(self.venue, "stream", self._now())}
        if Fault.STREAM_CLOSED in struck:
            for channel in tuple(self.channels):
                channel.close()
            self.channels.clear()
            return
        if Fault.STREAM_SILENT in struck or Fault.STREAM_DROPPED in struck:
            return
        if Fault.STREAM_REORDERED in struck:
            # Kept back until after the next one.
            self._kept.append(text)
            return
        texts = [text] * (2 if Fault.STREAM_DOUBLED in struck else 1) + self._kept
        self._kept = []
        if delay := struck.get(Fault.STREAM_DELAYED):
            self._later(delay.delay_ms_max / 1000, lambda: self._send(texts))
        else:
            self._send(texts)

    def _send(self, texts: list[str]) -> None:
        for channel in tuple(self.channels):
            for text in texts:
                channel.send(text)
