"""Goal 8: venue and ledger come apart in twelve ways; each is explained or held in one cycle."""

import random
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from quant.execution import IntentRecorded, OrderState, Side
from quant.execution.broker import VenueOrder
from quant.execution.commands import ReadFills, Send, TakeSnapshot
from quant.execution.reconcile import UNREADABLE, VenueView
from tests.execution_values import fill, intent
from tests.reliability.goal import Form, Found
from tests.reliability.progress import counted
from tests.support.manager_bench import Bench, execution, told, view

D = Decimal
KINDS = (
    "agree", "more", "less", "flat", "flip", "foreign_position", "external", "orphan",
    "missed_fill", "missed_cancel", "unreadable", "many_external",
)  # fmt: skip
# What a look-up explains; everything else has to be held in words.
EXPLAINED = frozenset({"agree", "external", "many_external", "missed_fill", "missed_cancel"})
# More than the longest page of any venue.
MANY = 600
CHANGED = "a second cycle changed something"
RESTARTED = "a restart has another state"
SENT_UNREAD = "an order left for an unreadable venue"
EACH = {Form.SHORT: 20, Form.LONG: 1_000}


def stranger(symbol: str = "AAPL", *, name: str = "web-1", filled: str = "0") -> VenueOrder:
    return VenueOrder(
        client_order_id=name,
        venue_order_id="x-" + name,
        symbol=symbol,
        side=Side.BUY,
        quantity=D(10),
        filled_quantity=D(filled),
        state=OrderState.PARTIAL if filled != "0" else OrderState.WORKING,
    )


def holding(quantity: str = "20") -> Bench:
    """Twenty shares of AAPL, and a wish for ten of MSFT."""
    bench = Bench(intent(10, symbol="MSFT"))
    bench.record(fill(Side.BUY, quantity, "100"))
    return bench


def snapshot(bench: Bench, answer: VenueView) -> None:
    """The next reading of the account, whenever the manager wants it."""
    commands: list[TakeSnapshot] = []
    for _ in range(301):
        bench.wait(1)
        if commands := bench.take(TakeSnapshot):
            break
    [command] = commands
    bench.settle(command, answer)


def diverged(kind: str, send: Send, draw: random.Random) -> VenueView:
    """What the venue says when it and the ledger have come apart in one of twelve ways."""
    orders: list[VenueOrder] = [told(send)]
    positions, fills = {"AAPL": "20"}, []
    part = str(draw.randint(1, 9))
    match kind:
        case "more":
            positions["AAPL"] = str(20 + draw.randint(1, 50))
        case "less":
            positions["AAPL"] = str(20 - draw.randint(1, 19))
        case "flat":
            del positions["AAPL"]
        case "flip":
            positions["AAPL"] = str(-draw.randint(1, 50))
        case "foreign_position":
            positions["XOM"] = part
        case "external":
            orders.append(stranger("XOM"))
        case "orphan":
            orders.append(stranger("XOM", name="pmx-lost"))
        case "missed_fill":
            fills.append(execution(send, part))
            orders = [told(send, OrderState.PARTIAL, filled=part)]
            positions["MSFT"] = part
        case "missed_cancel":
            orders = []
        case "unreadable":
            return UNREADABLE
        case "many_external":
            orders += [stranger("XOM", name=f"web-{number}") for number in range(MANY)]
    return view(orders=orders, positions=positions, fills=fills)


def carry_out(bench: Bench, send: Send, answer: VenueView, kind: str) -> None:
    """One cycle: the reading, and whatever is looked up because of it."""
    snapshot(bench, answer)
    for _ in range(3):
        for find in bench.finds():
            ended = kind == "missed_cancel"
            filled = sum((one.quantity for one in answer.fills.rows), D(0)) if answer.fills else 0
            state = OrderState.CANCELED if ended else OrderState.WORKING
            bench.settle(find, told(send, state, filled=str(filled)))
        for read in bench.take(ReadFills):
            bench.settle(read, answer.fills)


@dataclass(slots=True)
class Score:
    """What happened to all of them; `wrong` names what should not have."""

    cycles: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    def live(self, kind: str, seed: int) -> None:
        """One divergence: a cycle, the same again, and two restarts."""
        bench = holding()
        [send] = bench.offer()
        bench.settle(send, told(send))
        answer = diverged(kind, send, random.Random(seed))
        carry_out(bench, send, answer, kind)
        self._judge(bench, send, kind)
        before = (bench.manager.state.state_hash(), len(bench.events))
        carry_out(bench, send, answer, kind)
        again = (bench.manager.state.state_hash(), len(bench.events))
        self._require(again == before, CHANGED)
        for _ in range(2):
            bench.restart()
            same = bench.manager.state.state_hash() == before[0]
            self._require(same, RESTARTED)
        if kind == "unreadable":
            self._wants_an_order(bench)

    def _judge(self, bench: Bench, send: Send, kind: str) -> None:
        state = bench.manager.state
        is_held = bool(state.held)
        self.cycles["held" if is_held else "explained"] += 1
        self._require(is_held is (kind not in EXPLAINED), f"{kind} is wrongly judged")
        self._require(state.is_readable is (kind != "unreadable"), f"{kind} is wrongly read")
        held_shares = state.book.quantity("AAPL") if state.book is not None else D(0)
        self._require(held_shares == D(20), f"{kind} changed what the ledger holds")
        externals = {"external": 1, "many_external": MANY}.get(kind, 0)
        self._require(len(state.external) == externals, f"{kind} hides orders of others")
        ended = bench.state_of(send) is OrderState.CANCELED
        self._require(ended is (kind == "missed_cancel"), f"{kind} ends an order wrongly")

    def _wants_an_order(self, bench: Bench) -> None:
        """A venue that cannot be read is no flat account: nothing may be sent."""
        bench.record(IntentRecorded(intent=intent(1, symbol="XOM", salt="later")))
        self.cycles["wanted"] += 1
        self._require(not bench.offer(), SENT_UNREAD)

    def _require(self, is_so: bool, what: str) -> None:
        self.wrong[what] += not is_so


def run(form: Form) -> Found:
    """So many of each kind, drawn by their number."""
    score = Score()
    numbers = range(EACH[form] * len(KINDS))
    for number in counted(numbers, "divergences"):
        score.live(KINDS[number % len(KINDS)], number)
    wrong = +score.wrong
    others = wrong.total() - sum(wrong[one] for one in (CHANGED, RESTARTED, SENT_UNREAD))
    return Found(
        goal=8,
        title="Reconciliation converges",
        claim="Whatever comes apart between venue and ledger is explained or held in words within "
        "one cycle, a second cycle changes nothing, and what cannot be read is never flat.",
        form=form,
        holds=not wrong,
        figures={
            "divergences": len(numbers),
            "kinds": len(KINDS),
            "of each kind": EACH[form],
            "seeds": f"0 to {len(numbers) - 1}",
            "explained in one cycle": score.cycles["explained"],
            "held in one cycle": score.cycles["held"],
            "second cycles that changed anything": wrong[CHANGED],
            "restarts (two each) with another state hash": wrong[RESTARTED],
            "orders wanted of an unreadable venue": score.cycles["wanted"],
            "of them sent": wrong[SENT_UNREAD],
            "wrongly judged in any other way": others,
        },
        notes=(
            f"The kinds: {', '.join(kind.replace('_', ' ') for kind in KINDS)}. An external "
            f"listing has {MANY} orders, more than a page of any venue; that adapters read past "
            "a page is tested by `tests/contract/test_brokers.py`.",
            *(f"Wrong {count} times: {what}." for what, count in sorted(wrong.items())),
        ),
    )
