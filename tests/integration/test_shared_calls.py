"""Processes of one host share one count, also when one dies or the file is damaged."""

import multiprocessing
import os
from pathlib import Path

import pytest

from quant.core.errors import VenueUnavailableError
from quant.execution.broker import RateLimitedError
from quant.execution.budget import WINDOW_S, CallKind, CallLimits
from resources.brokers.shared_calls import SharedCalls

LIMITS = CallLimits(per_minute=1000)


def spend(folder: str, tries: int, told: "multiprocessing.Queue[int]") -> None:
    """One bot: as many reads as it gets."""
    calls = SharedCalls("binance", LIMITS, folder=Path(folder))
    done = 0
    for _ in range(tries):
        try:
            calls.ask(CallKind.READ, 1)
        except RateLimitedError:
            continue
        done += 1
    told.put(done)


def test_three_processes_together_get_one_share(tmp_path: Path) -> None:
    """600 reads a minute for all, whoever is quicker; none is counted twice or lost."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    bots = [context.Process(target=spend, args=(str(tmp_path), 400, told)) for _ in range(3)]
    for bot in bots:
        bot.start()
    for bot in bots:
        bot.join(60)
    assert sum(told.get(timeout=5) for _ in bots) == 600


def test_a_silence_is_told_to_the_others_and_ends(tmp_path: Path) -> None:
    now = [100.0]
    one, other = (
        SharedCalls("alpaca", LIMITS, folder=tmp_path, monotonic=lambda: now[0]) for _ in range(2)
    )
    one.silence(30.0, is_banned=True)
    for kind in CallKind:
        with pytest.raises(RateLimitedError, match="banned") as caught:
            other.ask(kind, 1)
        assert caught.value.is_banned
        assert caught.value.retry_after_s == 30.0
    now[0] += 30.0
    other.ask(CallKind.READ, 1)


@pytest.mark.parametrize(
    "content",
    [
        *(b"{", b"[]", b"null", b"\xff\xfe", b"0" * 99),
        b'{"calls": [[1]], "silence": [0, 0, false]}',
        b'{"calls": [[NaN, 1]], "silence": [0, 0, false]}',
        b'{"calls": [], "silence": [0, "x"]}',
    ],
)
def test_a_damaged_count_is_a_full_one(tmp_path: Path, content: bytes) -> None:
    """Not knowing what was spent is no permission to spend."""
    (tmp_path / "alpaca.json").write_bytes(content)
    calls = SharedCalls("alpaca", LIMITS, folder=tmp_path)
    with pytest.raises(RateLimitedError) as caught:
        calls.ask(CallKind.CANCEL, 1)
    assert 0 < caught.value.retry_after_s <= WINDOW_S


def test_without_a_place_for_the_count_nothing_is_sent(tmp_path: Path) -> None:
    """To an order that is the same as a venue that cannot be reached: it waits, in no doubt."""
    (tmp_path / "calls").write_text("a file in the way", encoding="utf-8")
    calls = SharedCalls("alpaca", LIMITS, folder=tmp_path / "calls")
    for _ in range(2):
        with pytest.raises(VenueUnavailableError, match="calls") as caught:
            calls.ask(CallKind.CANCEL, 1)
        assert not isinstance(caught.value, RateLimitedError)
        calls.counted(10)


def test_a_silence_is_kept_even_where_nobody_else_can_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up: what the venue said is still known to whoever heard it."""
    now = [100.0]
    calls = SharedCalls("alpaca", LIMITS, folder=tmp_path, monotonic=lambda: now[0])
    calls.ask(CallKind.READ, 1)
    full = OSError(28, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(
            "resources.brokers.shared_calls.os.pwrite", lambda *_: (_ for _ in ()).throw(full)
        )
        calls.silence(30.0, is_banned=False)
        with pytest.raises(VenueUnavailableError, match="No space left"):
            calls.ask(CallKind.READ, 1)
    with pytest.raises(RateLimitedError) as caught:
        calls.ask(CallKind.READ, 1)
    assert caught.value.retry_after_s == 30.0
    now[0] += 31.0
    calls.ask(CallKind.READ, 1)


def test_the_file_is_the_owners_and_small(tmp_path: Path) -> None:
    calls = SharedCalls("alpaca", CallLimits(per_minute=10**6), folder=tmp_path)
    for _ in range(2_000):
        calls.ask(CallKind.READ, 1)
    status = os.stat(tmp_path / "alpaca.json")
    assert status.st_mode & 0o777 == 0o600
    assert status.st_size < 20_000
