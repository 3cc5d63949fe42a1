"""The desk: every adapter of one installation, opened when first used.

Belongs here: building adapters from settings and policy, and the few facts that all stages share
(universe, calendar, as-of moment, provenance). Does not belong here: any computation.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from quant.core.clock import Clock, SystemClock
from quant.market.calendars import session_close
from quant.market.frontier import FrontierPolicy, require_admitted
from quant.market.universe import UniversePolicy
from resources.code_versions import code_version
from resources.policy import P, PolicySet, load_all
from resources.settings import Settings, project_root

if TYPE_CHECKING:
    from resources.companion import Companion
    from resources.flags import FlagReader
    from resources.language.fallback import LanguageNight
    from resources.ledger.checkpoints import Checkpointer
    from resources.ledger.ledger import Ledger
    from resources.market_data.failover import FailoverSource
    from resources.quality import Quality
    from resources.tracking_outbox import TrackingOutbox
    from resources.warehouse import LakeLocation, Provenance, Warehouse


# Other writers, such as a trader or a switch of mode, hold the ledger for moments.
LEDGER_WAIT_S: Final = 60.0


class Desk:
    """What an asset or a command works with; one a process is enough."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        # What the steps of one process may share instead of reading it again; they keep it small,
        # and name by key all that it was made from.
        self.memory: dict[object, Any] = {}
        self._opening: Future[Warehouse] | None = None

    @classmethod
    def from_env(cls) -> "Desk":
        """The desk that PMX_* describes, now."""
        return cls(Settings.from_env())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what was opened."""
        opened = self.__dict__
        self.memory.clear()
        if self._opening is not None and self._opening.exception() is None:
            self.warehouse  # noqa: B018 (takes what the thread opened, so that it is closed here)
        if "warehouse" in opened:
            self.warehouse.close()
            del opened["warehouse"]
        if "companion" in opened:
            self.companion.close()
            del opened["companion"]

    # Policy

    @cached_property
    def policies(self) -> PolicySet:
        """Every policy file, checked."""
        return load_all(self.settings.config_dir)

    def policy(self, name: str, model: type[P]) -> P:
        """One policy by the name of its file."""
        return self.policies.get(name, model)

    @cached_property
    def universe(self) -> UniversePolicy:
        """The instruments of the nightly run."""
        universe = self.policy("universe", UniversePolicy)
        require_admitted(universe.symbols, self.policy("frontier", FrontierPolicy))
        return universe

    # Adapters

    def prepare(self) -> None:
        """Begin what takes time and is not asked for yet: the helper's imports, opening the lake.

        What goes wrong with the lake is told when it is first asked for.
        """
        self.companion  # noqa: B018 (starting it is the use)
        if "warehouse" not in self.__dict__ and self._opening is None:
            executor = ThreadPoolExecutor(1, thread_name_prefix="lake")
            self._opening = executor.submit(self._open_warehouse)
            # The thread ends with this one task.
            executor.shutdown(wait=False)

    @cached_property
    def warehouse(self) -> "Warehouse":
        """The lake, migrated."""
        opening, self._opening = self._opening, None
        return self._open_warehouse() if opening is None else opening.result()

    def _open_warehouse(self) -> "Warehouse":
        from resources.warehouse import Warehouse

        return Warehouse.open(self.lake_location, migrations=project_root() / "duckdb/migrations")

    @property
    def lake_location(self) -> "LakeLocation":
        """Where the lake is, by setting or embedded."""
        from resources.warehouse import LakeLocation

        embedded = LakeLocation.in_folder(self.settings.paths.lake)
        return LakeLocation(
            catalog=_catalog(self.settings.catalog_url) or embedded.catalog,
            data=self.settings.lake_url or embedded.data,
        )

    @cached_property
    def companion(self) -> "Companion":
        """The helper process that bears the slow imports."""
        from resources.companion import Companion

        return Companion(warm=("resources.quality_engine:vendor",)).start()

    @cached_property
    def quality(self) -> "Quality":
        """The expectation suites."""
        from quant.market.quality_rules import QualityPolicy
        from resources.quality import Quality

        policy = self.policy("quality", QualityPolicy)
        return Quality(policy=policy, companion=self.companion)

    @cached_property
    def sources(self) -> "FailoverSource":
        """Every configured data source, in priority order."""
        from quant.market.ingest_options import IngestOptions
        from resources.market_data.folder import FolderSource
        from resources.market_data.policy import SourcesPolicy, build_failover
        from resources.market_data.sample import SampleSource

        return build_failover(
            self.policy("sources", SourcesPolicy),
            environment=self.settings.secrets,
            cache_dir=self.settings.paths.cache,
            local={
                "sample": SampleSource(self.sample_folder),
                "folder": FolderSource(
                    self.settings.paths.inbox,
                    options=IngestOptions(
                        basis=self.universe.basis,
                        asset_class=self.universe.asset_class,
                        currency=self.universe.currency,
                    ),
                    clock=self.clock,
                ),
            },
            clock=self.clock,
        )

    @cached_property
    def outbox(self) -> "TrackingOutbox":
        """Where runs wait for MLflow."""
        from resources.tracking_outbox import TrackingOutbox

        return TrackingOutbox(self.settings.home / "outbox")

    @cached_property
    def flags(self) -> "FlagReader":
        """The switches of models, read again when their file changes."""
        from resources.flags import FILE_NAME, FlagReader

        return FlagReader(self.settings.config_dir / FILE_NAME)

    @property
    def flags_record(self) -> Path:
        """Where it is kept who moved which switch: beside the ledger, and apart from policy."""
        return self.settings.home / "flags"

    def language_night(self, session: dt.date, flags: Mapping[str, bool]) -> "LanguageNight":
        """The language models that are switched on, ready to be asked about one session."""
        from resources.language.costs import CostLedger
        from resources.language.fallback import LanguageNight
        from resources.language.policy import LlmPolicy
        from resources.language.recall import Recall

        policy, paths = self.policy("llm", LlmPolicy), self.settings.paths
        # Answers age by the machine's clock, whatever moment a replay stands in.
        clock = SystemClock()
        return LanguageNight(
            policy,
            session,
            flags=flags,
            recall=Recall(
                policy.recall,
                cache_dir=paths.cache / "language",
                record_dir=paths.language / "answers",
                clock=clock,
            ),
            costs=CostLedger(paths.language / "costs.jsonl"),
            clock=clock,
            environment=self.settings.secrets,
        )

    @contextmanager
    def ledger(self, *, write: bool = False) -> Iterator["Ledger"]:
        """The ledger; a writer holds its lock, so keep the block short, or write in turns."""
        from resources.ledger.ledger import Ledger

        folder, url = self.settings.paths.ledger, self.settings.ledger_url
        if write:
            # The journal says when it was written, whatever moment a replay stands in.
            with Ledger.open(
                folder,
                url=url,
                clock=SystemClock(),
                checkpoints=self.checkpointer(),
                wait_seconds=LEDGER_WAIT_S,
            ) as ledger:
                yield ledger
        else:
            with Ledger.read(folder, url=url) as ledger:
                yield ledger

    def checkpointer(self) -> "Checkpointer":
        """What signs this installation's ledger."""
        from resources.ledger.checkpoints import Checkpointer

        return Checkpointer(
            self.settings.paths.ledger,
            key_file=self.settings.paths.ledger_key,
            second_place=self.settings.checkpoints_dir,
        )

    # Facts that all stages share

    def as_of(self, session: dt.date, *, calendar: str = "") -> dt.datetime:
        """The moment of a session's decisions: its close, and the delay after which data is in."""
        return session_close(calendar or self.universe.calendar, session) + self.decision_delay

    @property
    def decision_delay(self) -> dt.timedelta:
        """How long after the close a session's data counts as there."""
        return dt.timedelta(minutes=self.universe.decision_delay_minutes)

    def provenance(self, run_id: str, stage: str) -> "Provenance":
        """What the rows of this run and stage say of their origin."""
        from resources.warehouse import Provenance

        return Provenance(
            run_id=run_id,
            snapshot_id=self.warehouse.snapshot_id(),
            code_version=code_version(stage),
        )

    @property
    def sample_folder(self) -> Path:
        """The bundled market data."""
        return project_root() / "data/sample"


def _catalog(url: str | None) -> str | None:
    """PMX_CATALOG_URL as DuckLake spells it."""
    if url is None:
        return None
    if url.startswith("sqlite:///"):
        return "sqlite:" + url.removeprefix("sqlite:///")
    return "postgres:" + url
