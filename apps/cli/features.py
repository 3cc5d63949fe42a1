"""`pmx features`: prove that no feature looks ahead, and print what is stored."""

import datetime as dt
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli import exit_codes
from apps.cli.data import day_option
from apps.cli.result import Cli, CommandResult
from quant.core.errors import UsageError

if TYPE_CHECKING:
    from apps.feature_proof import FeatureProof


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof(CommandResult):
    """The verdict on every feature."""

    features: int
    holds: bool
    values_compared: int
    proved_on: dict[str, int]
    results: "tuple[FeatureProof, ...]"

    @property
    def exit_code(self) -> int:
        """1 when a feature leaks, or found nothing to be proved on."""
        return exit_codes.OK if self.holds else exit_codes.DOES_NOT_HOLD

    def render(self, console: Any) -> None:
        """The sums, and each feature that does not hold with its first leak."""
        places = ", ".join(f"{count} on {place} bars" for place, count in self.proved_on.items())
        failed = [one for one in self.results if not one.holds]
        console.print(
            f"{self.features - len(failed)} of {self.features} features do not look ahead "
            f"({places}; {self.values_compared:,} values stayed the same to the bit)"
        )
        for one in failed:
            reason = one.leak or "no bars gave it a value, so nothing was proved"
            console.print(f"LEAK  {one.feature}: {reason}", markup=False, soft_wrap=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFeatures(CommandResult):
    """One row of the feature store."""

    symbol: str
    session: dt.date
    known_at: dt.datetime
    feature_set_version: str
    code_hash: str
    input_hash: str
    run_id: str
    row_hash: str
    read_ms: float
    features: dict[str, float | None]

    def render(self, console: Any) -> None:
        """One line a feature."""
        for name, value in self.features.items():
            console.print(f"{name:<34} {'-' if value is None else f'{value:.10g}'}")
        missing = sum(value is None for value in self.features.values())
        console.print(
            f"{self.symbol} on {self.session}, known {self.known_at:%Y-%m-%d %H:%M} UTC: "
            f"{len(self.features)} features, {missing} null; read in {self.read_ms:.1f} ms"
        )


def prove(cli: Cli) -> Proof:
    """Rewrite the future for every feature; any difference in the past fails the proof."""
    from apps.feature_proof import prove_features
    from resources.desk import Desk

    with Desk(cli.settings) as desk, cli.console.progress("proving features") as progress:
        results = prove_features(desk, lambda words: progress.advance(note=words))
    return Proof(
        features=len(results),
        holds=all(one.holds for one in results),
        values_compared=sum(one.values_compared for one in results),
        proved_on=dict(Counter(one.proved_on for one in results)),
        results=tuple(results),
    )


def show(
    cli: Cli,
    symbol: Annotated[str, typer.Argument(help="Its symbol, such as AAPL.")],
    session: Annotated[
        str | None, typer.Option(help="Trading day (YYYY-MM-DD); default: the newest.")
    ] = None,
) -> ShownFeatures:
    """Read one row of the feature store, as an online reader does."""
    from resources.desk import Desk
    from resources.online_features import OnlineFeatures

    day = day_option("--session", session)
    with Desk(cli.settings) as desk:
        store = OnlineFeatures(desk.warehouse)
        name = symbol.upper()
        if day is None:
            store.latest(name)
        started = time.perf_counter()
        row = store.latest(name) if day is None else store.on(name, day)
        read_ms = (time.perf_counter() - started) * 1000
    if row is None:
        raise UsageError(
            f"there are no features of {symbol[:40].upper()!r}{f' on {day}' if day else ''}",
            remedy="features come with the nights of the universe: pmx nightly, or pmx demo",
        )
    return ShownFeatures(
        symbol=row.symbol,
        session=row.session,
        known_at=row.known_at,
        feature_set_version=row.feature_set_version,
        code_hash=row.code_hash,
        input_hash=row.input_hash,
        run_id=row.run_id,
        row_hash=row.row_hash,
        read_ms=round(read_ms, 3),
        features=row.features,
    )
