"""What every asset does around its one domain call: which sessions, which origin, which metadata.

Belongs here: the frame of a materialisation. Does not belong here: anything about one table.
"""

import datetime as dt
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.partitions import trading_days
from resources.code_versions import code_version
from resources.desk import Desk

if TYPE_CHECKING:
    import pandas as pd

    from resources.quality import SuiteReport
    from resources.warehouse import Provenance, Written

# Single-run backfills and owners are marked beta in Dagster 1.13; both are pinned by the lock file.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

OWNERS = ["team:research"]
KINDS = {"duckdb", "python"}
LINEAGE = ("run_id", "snapshot_id", "code_version", "row_hash")
# The name of the check behind which a whole expectation suite stands.
EXPECTATIONS = "expectations_hold"
# Long ranges are vectorised inside an asset, so a backfill is one run, whatever its length.
SINGLE_RUN = dg.BackfillPolicy.single_run()


def stage_asset_arguments(
    stage: str, table: str, *, deps: Sequence[str] = (), tags: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The arguments that all assets share: one word a stage, from folder to group to schema."""
    return {
        "key": dg.AssetKey([stage, table]),
        "group_name": stage,
        "deps": [dg.AssetKey(name.split(".")) for name in deps],
        "partitions_def": trading_days,
        "backfill_policy": SINGLE_RUN,
        "code_version": code_version(stage),
        "owners": OWNERS,
        "kinds": KINDS,
        "tags": {"stage": stage, **(tags or {})},
    }


@dataclass(frozen=True)
class Night:
    """One materialisation: its sessions, its desk, and the snapshot that it reads."""

    context: dg.AssetExecutionContext
    desk: Desk

    @cached_property
    def sessions(self) -> list[dt.date]:
        """The sessions asked for, ascending."""
        return sorted(dt.date.fromisoformat(key) for key in self.context.partition_keys)

    @property
    def stage(self) -> str:
        """The first part of the asset's key."""
        return self.context.asset_key.path[0]

    @property
    def table(self) -> str:
        """The warehouse table of the asset."""
        return ".".join(self.context.asset_key.path)

    @cached_property
    def provenance(self) -> "Provenance":
        """Taken once, before anything is read: rows must not claim a snapshot newer than that."""
        return self.desk.provenance(self.context.run.run_id, self.stage)

    def publish_judged(
        self, suite: str, frame: "pd.DataFrame", *, keys: Sequence[str] = ("symbol", "session")
    ) -> "tuple[dg.AssetCheckResult, Written]":
        """Make `frame` the table's content for these sessions, unless it breaks a critical rule.

        The suite is judged in the companion while the rows are made ready here.
        """
        asset, run_id = self.context.asset_key, self.context.run.run_id
        report = self.desk.quality.submit(suite, frame, keys=keys, run_name=run_id)
        written = self.desk.warehouse.publish(
            self.table,
            frame,
            self.provenance,
            scope={"session": self.sessions},
            admit=lambda: require_publishable(asset, report.result()),
        )
        return suite_check(asset, report.result()), written

    def publish(self, frame: "pd.DataFrame", **scope: Sequence[object]) -> "Written":
        """Make `frame` the table's content for these sessions."""
        return self.desk.warehouse.publish(
            self.table, frame, self.provenance, scope={"session": self.sessions, **scope}
        )

    def result(
        self,
        rows: int,
        written: "Written",
        *,
        checks: Sequence[dg.AssetCheckResult] = (),
        **metadata: Any,
    ) -> dg.MaterializeResult:
        """The event that Dagster keeps: what was made, from what, and what was checked."""
        types = self.desk.warehouse.columns(self.table)
        columns = [dg.TableColumn(name, kind.lower()) for name, kind in types.items()]
        return dg.MaterializeResult(
            metadata={
                "dagster/partition_row_count": rows,
                "dagster/table_name": self.table,
                "dagster/column_schema": dg.TableSchema(columns=columns),
                "rows_written": written.rows,
                "snapshot_read": self.provenance.snapshot_id,
                "snapshot_written": written.snapshot_id,
                "first_session": self.sessions[0].isoformat(),
                "last_session": self.sessions[-1].isoformat(),
                # Paste it into MLflow's search: everything that this run recorded there.
                "mlflow_filter": f"tags.`dagster/run_id` = '{self.provenance.run_id}'",
                **metadata,
            },
            check_results=list(checks),
        )


def require_publishable(asset: dg.AssetKey, report: "SuiteReport") -> None:
    """A critical failure stops the table here."""
    if report.blocks:
        raise dg.Failure(
            f"{asset.to_user_string()} was not published, it breaks the suite {report.suite}:\n"
            f"{_broken(report)}",
            allow_retries=False,
        )


def suite_check(asset: dg.AssetKey, report: "SuiteReport") -> dg.AssetCheckResult:
    """What a suite said of a table, as Dagster shows it."""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=EXPECTATIONS,
        passed=report.success,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "evaluated": report.evaluated,
            "broken": dg.MetadataValue.md(_broken(report) or "none"),
        },
    )


def _broken(report: "SuiteReport") -> str:
    return "\n".join(f"- {one.sentence} ({one.unexpected_count} rows)" for one in report.failed)


def expectations(stage: str, table: str) -> dg.AssetCheckSpec:
    """The check that `suite_check` answers."""
    return check(stage, table, EXPECTATIONS, description="the table's expectation suite holds")


def check(stage: str, table: str, name: str, *, description: str) -> dg.AssetCheckSpec:
    """A check that sees one partition; what it blocks is decided again where orders are made."""
    return dg.AssetCheckSpec(name, asset=dg.AssetKey([stage, table]), description=description)
