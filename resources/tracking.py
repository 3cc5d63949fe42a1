"""MLflow as the place where a model's nights are compared: one run per model and session.

Belongs here: everything that speaks to MLflow. Thousands of fits are one run with one Parquet
table, and never a run a symbol. The nightly itself writes to `tracking_outbox` and does not import
this module: importing MLflow takes seconds and its server may be down, and neither may hold up
trading.

Only `MlflowClient` is used. The fluent API keeps a global active run, which two assets would share.
"""

import datetime as dt
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from quant.core.clock import Clock, SystemClock
from quant.core.errors import DataError, PmxError, StorageUnavailableError
from resources.registered_models import STATES, register
from resources.tracking_outbox import TrackingOutbox
from resources.tracking_record import NOT_RECORDED, NightRecord, night_record

# MLflow takes at most 100 parameters and 1,000 entities in one batch.
_BATCH_SIZE = 100

# MLflow answered, and its answer is about this record: the next one may be fine.
_REFUSED = frozenset({"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE"})

# Safe for a nightly: no telemetry, and a dead server is given up on after seconds, not minutes.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # It would print a link on standard output, where `--json` promises one object and nothing else.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


class Tracking:
    """Records nights in MLflow; doing so twice leaves one run."""

    def __init__(self, url: str, artifact_root: str = "", *, clock: Clock | None = None) -> None:
        """`artifact_root` empty leaves the place of artifacts to the server."""
        self._url = url
        self._artifact_root = artifact_root
        self._clock = clock or SystemClock()
        self._opened: Any = None
        self._experiments: dict[str, str] = {}

    def record_night(
        self,
        model: str,
        session: dt.date,
        *,
        params: Mapping[str, object],
        metrics: Mapping[str, float | Decimal | None],
        tags: Mapping[str, object],
        artifacts: Mapping[str, pd.DataFrame] | None = None,
    ) -> str:
        """Record one model's night and return its run id; the same content returns the same run."""
        record = night_record(
            model,
            session,
            recorded_at=self._clock.now(),
            params=params,
            metrics=metrics,
            tags=tags,
            artifacts=artifacts,
        )
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for name, frame in (artifacts or {}).items():
                files.append(Path(folder) / f"{name}.parquet")
                frame.to_parquet(files[-1], index=False)
            return self.send(record, files)

    def send(self, record: NightRecord, files: list[Path]) -> str:
        """Send a record with its artifact files.

        A run counts once it is finished. One that a crash left unfinished is found by its content
        hash and completed: parameters and metrics carry the moment of the first attempt, so writing
        them again adds nothing.
        """
        with self._translated(f"the night {record.session} of {record.model}"):
            experiment = self._experiment(record.experiment)
            found = self._find(experiment, f"tags.content_hash = '{record.identity}'")
            run = found[0] if found else self._create(experiment, record)
            if run.info.status != "FINISHED":
                self._fill(run, record, files)
            self._register(record, run.info.run_id, files)
            self._mark_latest(experiment, record, run.info.run_id)
            return str(run.info.run_id)

    def find_night(self, model: str, session: dt.date, *, book: str) -> str | None:
        """The run that stands for a model's night, or `None` when none was recorded."""
        with self._translated(f"the night {session} of {model}"):
            known = self._client.get_experiment_by_name(f"pmx/{model}")
            if known is None:
                return None
            found = self._find(known.experiment_id, _current(session, book))
            return str(found[0].info.run_id) if found else None

    def run_url(self, run_id: str, *, base_url: str) -> str:
        """The address of a run in the MLflow UI at `base_url`, for Dagster's metadata."""
        with self._translated(f"the run {run_id}"):
            experiment = self._client.get_run(run_id).info.experiment_id
        return run_url(base_url, experiment_id=experiment, run_id=run_id)

    @property
    def _client(self) -> Any:
        if self._opened is None:
            self._opened = _open(self._url)
        return self._opened

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            known = self._client.get_experiment_by_name(name)
            self._experiments[name] = (
                known.experiment_id if known is not None else self._create_experiment(name)
            )
        return self._experiments[name]

    def _create_experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        place = f"{self._artifact_root.rstrip('/')}/{name}" if self._artifact_root else None
        try:
            return str(self._client.create_experiment(name, artifact_location=place))
        except MlflowException:
            # Another process may have been first; anything else is a failure to report.
            known = self._client.get_experiment_by_name(name)
            if known is None:
                raise
            return str(known.experiment_id)

    def _create(self, experiment: str, record: NightRecord) -> Any:
        return self._client.create_run(
            experiment,
            start_time=_milliseconds(record.recorded_at),
            run_name=f"{record.model} {record.session}",
            tags={
                **record.tags,
                "model": record.model,
                "session": record.session.isoformat(),
                "content_hash": record.identity,
            },
        )

    def _fill(self, run: Any, record: NightRecord, files: list[Path]) -> None:
        from mlflow.entities import Metric, Param

        run_id, stamp = run.info.run_id, run.info.start_time
        metrics = [Metric(name, value, stamp, 0) for name, value in record.metrics.items()]
        params = [Param(name, value) for name, value in record.params.items()]
        for start in range(0, max(len(metrics), len(params)), _BATCH_SIZE):
            part = slice(start, start + _BATCH_SIZE)
            self._client.log_batch(run_id, metrics=metrics[part], params=params[part])
        for file in files:
            self._client.log_artifact(run_id, str(file))
        self._client.set_terminated(run_id, "FINISHED", end_time=stamp)

    def _register(self, record: NightRecord, run_id: str, files: list[Path]) -> None:
        """A record that holds fits is a version of its model as well."""
        for file in files:
            if file.stem == STATES:
                register(self._client, record, run_id, file)

    def _mark_latest(self, experiment: str, record: NightRecord, run_id: str) -> None:
        """Of several versions of one night exactly one is the latest; filters use that."""
        standing = self._find(
            experiment, _current(record.session, record.tags.get("book", NOT_RECORDED))
        )
        if [run.info.run_id for run in standing] == [run_id]:
            return
        self._client.set_tag(run_id, "latest", "true")
        for run in standing:
            if run.info.run_id != run_id:
                self._client.set_tag(run.info.run_id, "superseded_by", run_id)
                self._client.set_tag(run.info.run_id, "latest", "false")

    def _find(self, experiment: str, filter_string: str) -> list[Any]:
        return list(self._client.search_runs([experiment], filter_string=filter_string))

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Turn whatever the client raises into one error that says what to do."""
        try:
            yield
        except PmxError:
            raise
        except Exception as error:
            # The client raises its own, SQLAlchemy's, requests' and the system's errors alike.
            said = f"MLflow at {redacted(self._url)} did not take {what}: {_first_line(error)}"
            if getattr(error, "error_code", "") in _REFUSED:
                raise DataError(
                    said,
                    remedy="the record stays in the outbox; repair what it names, or remove it",
                ) from error
            raise StorageUnavailableError(
                said,
                remedy="the record stays in the outbox; check the tracking address and flush again",
            ) from error


def flush_outbox(outbox_dir: str, url: str, artifact_root: str) -> dict[str, Any]:
    """Send what lies in the outbox; plain values in and out, so that another process can call it.

    Returns `sent` (a list of record and run id) and `kept` (a list of record and reason). It does
    not raise for a failing MLflow: the records stay, and the reasons say why.
    """
    tracking = Tracking(url, artifact_root)
    report = TrackingOutbox(Path(outbox_dir)).flush(tracking.send)
    return report.as_dict()


def run_url(base_url: str, *, experiment_id: str, run_id: str) -> str:
    """The address of a run in the MLflow UI."""
    return f"{base_url.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"


def redacted(url: str) -> str:
    """The address without the user and password it may carry."""
    return re.sub(r"//[^/@]*@", "//", url)


def _open(url: str) -> Any:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Creating the tables is announced line by line otherwise.
    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    from mlflow.tracking import MlflowClient

    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=url)


def _current(session: dt.date, book: str) -> str:
    quote = '"' if "'" in book else "'"
    return (
        f"tags.session = '{session}' and tags.book = {quote}{book}{quote} and tags.latest = 'true'"
    )


def _milliseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


def _first_line(error: Exception) -> str:
    return redacted(f"{type(error).__name__}: {error}".splitlines()[0][:300])
