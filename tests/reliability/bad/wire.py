"""Wrong answers of trading venues: each field of each answer, replaced on its way to the adapter.

The real adapters (alpaca-py, ccxt, our cTrader client, ib_async's objects) speak to the simulated
venue. A field that is gone or no value must end in a typed error, in a row that is told to be
unreadable, or in "not known": never in another order, fill, position or amount.
"""

import copy
import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any, Final

from quant.core.errors import VenueError
from quant.execution.broker import Listing
from quant.execution.orders import OrderState
from resources.brokers.rows import listing
from tests.reliability.bad.case import Case, Refused, Workshop, attempt
from tests.support.venue_rig import Rig, rig

KIND: Final = "wire"
KeyPath = tuple[str | int, ...]
GONE: Final = object()
WRONG: Final[Mapping[str, Any]] = {
    "gone": GONE,
    "null": None,
    "NaN": "NaN",
    "infinity": "-Infinity",
    "1e308": "1e308",
    "text": "ten\u202e",
    "empty text": "",
    "a claim": True,
    "a list": [[1]],
    "an object": {"x": 1},
}
NOW: Final = dt.datetime(2026, 3, 2, 15, tzinfo=dt.UTC)
# What our adapter reads of ib_async's objects.
READ: Final[Mapping[str, tuple[KeyPath, ...]]] = {
    "fill": (
        *(("execution", name) for name in ("execId", "time", "side", "shares", "price")),
        ("contract", "symbol"),
        ("commissionReport", "commission"),
    ),
    "position": (("position",), ("avgCost",), ("contract", "symbol")),
    "order": (
        *(("order", name) for name in ("action", "totalQuantity")),
        *(("orderStatus", name) for name in ("status", "filled", "avgFillPrice")),
        ("contract", "symbol"),
    ),
}
# Nobody can tell that these are no symbol, id or currency.
MAY_BE_NAMES: Final = frozenset({"NaN", "infinity", "1e308"})
ADAPTERS: Final = ("alpaca", "binance", "ctrader")
# The rest of an answer is read by nobody, and may be anything.
LEAVES_MAX: Final = 60


@dataclass
class Tampered:
    """An adapter whose venue's next answers are changed by `change`, once each."""

    made: Rig
    change: Callable[[Any], Any] | None = None
    seen: list[Any] | None = None

    def pass_on(self, answer: Any) -> Any:
        """What the adapter is given in place of `answer`."""
        if self.seen is not None:
            self.seen.append(copy.deepcopy(answer))
        return answer if self.change is None else self.change(answer)


def cases(shop: Workshop) -> Iterator[Case]:
    """Each reading question of each adapter; IBKR by the objects that its library gives."""
    for adapter in ADAPTERS:
        made = shop.stack.enter_context(rig(adapter))
        tampered = _tampered(made)
        started = made.clock.now()
        made.broker.submit(made.market_order("bought"))
        made.broker.submit(made.resting("rests"))
        questions: dict[str, Callable[[], Any]] = {
            "find": lambda made=made: made.broker.find("rests", symbol=made.symbol),
            "open_orders": lambda made=made: made.broker.open_orders(),
            "positions": lambda made=made: made.broker.positions(),
            "account": lambda made=made: made.broker.account(),
            "fills_since": lambda made=made, t=started: made.broker.fills_since(t),
        }
        for name, question in questions.items():
            yield from _of_question(tampered, adapter, name, question)
    yield from _ibkr()


def _ibkr() -> Iterator[Case]:
    """The objects that ib_async makes of the Gateway's messages, one attribute wrong."""
    from ib_async import CommissionReport, Contract, Execution, Fill, Order, OrderStatus, Trade
    from ib_async import Position as Held

    from resources.brokers import ibkr

    stock = Contract(symbol="AAPL")
    done = Execution(
        execId="e1", time=NOW, side="BOT", shares=5.0, price=100.0, permId=7, orderRef="pmx-1"
    )
    paid = CommissionReport(execId="e1", commission=1.0, currency="USD")
    order = Order(action="BUY", totalQuantity=5.0, orderRef="pmx-1", permId=7)
    status = OrderStatus(status="Submitted", filled=2.0, avgFillPrice=100.0, permId=7)
    rows: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "fill": (ibkr._fill, Fill(stock, done, paid, NOW)),
        "position": (ibkr._position, Held("DU1", stock, 5.0, 100.0)),
        "order": (
            lambda row: ibkr.IbkrBroker._order(None, row),  # type: ignore[arg-type]
            Trade(stock, order, status, [], []),
        ),
    }
    for name, (read, row) in rows.items():
        good = listing(name, [row], read)
        for path in READ[name]:
            for what, value in WRONG.items():
                if value is GONE or (what in MAY_BE_NAMES and _is_name(path)):
                    continue
                yield Case(
                    kind=KIND,
                    sample=f"ibkr, {name}: {what}",
                    name=f"ibkr.{name}: {_text(path)} is {what}",
                    ask=partial(_ask_row, name, row, read, path, value, good),
                    names=(),
                    words=("field",),
                )


def _ask_row(
    name: str, row: Any, read: Callable[[Any], Any], path: KeyPath, value: Any, good: Any
) -> Refused | None:
    changed = copy.deepcopy(row)
    if len(path) == 1:
        changed = changed._replace(**{str(path[0]): value})
    else:
        setattr(getattr(changed, str(path[0])), str(path[1]), value)
    return attempt(lambda: judge(listing(name, [changed], read), good))


def _of_question(
    tampered: Tampered, adapter: str, name: str, question: Callable[[], Any]
) -> Iterator[Case]:
    good = question()
    tampered.seen = []
    question()
    answers, tampered.seen = tampered.seen, None
    for number, answer in enumerate(answers):
        for path in list(_leaves(answer))[:LEAVES_MAX]:
            for what, value in WRONG.items():
                if what in MAY_BE_NAMES and _is_name(path):
                    continue
                if (adapter, path[-1]) == ("ctrader", "clientOrderId") and value in (
                    GONE,
                    None,
                    "",
                ):
                    continue  # an order that a person made by hand
                yield Case(
                    kind=KIND,
                    sample=f"{adapter}, {name}: {what}",
                    name=f"{adapter}.{name}, answer {number}: {_text(path)} is {what}",
                    ask=partial(_ask, tampered, question, good, number, path, value),
                    names=(),
                    words=("field", "answered", "without", "does not know", "has more"),
                )


def _ask(
    tampered: Tampered,
    question: Callable[[], Any],
    good: Any,
    number: int,
    path: KeyPath,
    value: Any,
) -> Refused | None:
    count = iter(range(1_000))

    def change(answer: Any) -> Any:
        return _put(answer, path, value) if next(count) == number else answer

    tampered.change = change
    try:
        return attempt(lambda: judge(question(), good))
    finally:
        tampered.change = None


def judge(found: Any, good: Any) -> None:
    """Nothing when `found` claims something else than `good` does; else how it was refused."""
    if isinstance(found, Listing) and isinstance(good, Listing):
        if found.unreadable:
            raise VenueError(
                "; ".join(f"{row.what}: {row.reason}" for row in found.unreadable),
                remedy="the reconciliation holds the venue until the row can be read",
            )
        if len(found.rows) == len(good.rows) and all(map(claims_no_more, found.rows, good.rows)):
            raise HarmlessError
        return
    if claims_no_more(found, good):
        raise HarmlessError


class HarmlessError(VenueError):
    """Another answer with the same meaning."""

    def __init__(self) -> None:
        super().__init__("field unused or not known", remedy="nothing is claimed by it")


def claims_no_more(found: Any, good: Any) -> bool:
    """Whether each field is the honest one, or "not known"."""
    if type(found) is not type(good) or not is_dataclass(found):
        return bool(found == good)
    for one in fields(found):
        told, honest = getattr(found, one.name), getattr(good, one.name)
        if told == honest or told is None or (one.name, told) == ("fee_currency", ""):
            continue
        if one.name == "reason":
            continue
        if told is OrderState.UNKNOWN or (one.name == "can_trade" and told is False):
            continue
        return False
    return True


def _tampered(made: Rig) -> Tampered:
    """Puts itself behind the socket: before anything of the adapter has looked at the answer."""
    tampered = Tampered(made)
    broker: Any = made.broker
    if made.adapter == "ctrader":
        ask = broker._wire.ask
        broker._wire.ask = lambda *a, **k: tampered.pass_on(ask(*a, **k))
        return tampered
    session = broker._session
    send = session._send

    def sent(*values: Any, **options: Any) -> Any:
        response, body = send(*values, **options)
        if response.status_code == 200 and tampered_or_seen(tampered):
            body = json.dumps(tampered.pass_on(json.loads(body))).encode()
            response._content = body
        return response, body

    session._send = sent
    return tampered


def tampered_or_seen(tampered: Tampered) -> bool:
    """Whether anybody looks at answers now."""
    return tampered.change is not None or tampered.seen is not None


def _leaves(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(value, list):
        if value:
            yield from _leaves(value[0], (*path, 0))
    else:
        yield path


def _is_name(path: KeyPath) -> bool:
    """Whether an id, a symbol or a currency stands there."""
    name = str(path[-1]).lower()
    is_id = name.endswith("id") and "symbolid" not in name and name != "assetid"
    return is_id or name.endswith(("symbol", "currency", "asset", "number", "name"))


def _put(value: Any, path: KeyPath, new: Any) -> Any:
    if not path:
        return new
    changed = copy.copy(value)
    key: Any = path[0]
    if len(path) == 1 and new is GONE:
        del changed[key]
        return changed
    changed[key] = _put(changed[key], path[1:], new)
    return changed


def _text(path: KeyPath) -> str:
    return ".".join(map(str, path))
