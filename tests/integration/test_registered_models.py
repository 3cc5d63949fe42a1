"""Fits as versions in a real model registry, and what is refused when one is read back."""

import datetime as dt
import os
from dataclasses import replace
from pathlib import Path

import pytest

from quant.core.clock import SteppedClock
from quant.core.errors import DataError
from quant.forecasting.port import FittedState, states_to_frame
from resources.registered_models import load_states, registered_name
from resources.tracking import Tracking
from resources.tracking_record import frame_hash

# MLflow 3.17 declares its mappers with a loader that SQLAlchemy 2.1 deprecates; it works.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

DAY = dt.date(2022, 12, 28)
STATE = FittedState(
    symbol="AAPL",
    model="garch",
    version="1",
    fit_as_of=DAY,
    filter_from=DAY,
    params={"alpha": 0.1},
)


@pytest.fixture(scope="module")
def tracking(tmp_path_factory) -> Tracking:
    folder = tmp_path_factory.mktemp("mlflow")
    now = dt.datetime(2022, 12, 29, 1, tzinfo=dt.UTC)
    return Tracking(
        f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts"), clock=SteppedClock(now)
    )


def record(tracking: Tracking, model: str, alpha: float = 0.1) -> str:
    """A night whose fits are recorded; returns the hash that the product's own records keep."""
    states = [replace(STATE, model=model, params={"alpha": alpha})]
    frame = states_to_frame(states).astype({"fit_as_of": str, "filter_from": str})
    tracking.record_night(
        model, DAY, params={"version": "1"}, metrics={}, tags={}, artifacts={"fits": frame}
    )
    return frame_hash(frame)


def test_a_fit_is_one_version_with_a_signature_and_a_second_sending_adds_none(tracking):
    states_hash = record(tracking, "once")
    assert record(tracking, "once") == states_hash
    [version] = tracking._client.search_model_versions(f"name = '{registered_name('once')}'")
    assert version.tags == {"session": "2022-12-28", "states_hash": states_hash}

    from mlflow.models import get_model_info

    os.environ["MLFLOW_TRACKING_URI"] = tracking._url
    try:
        info = get_model_info(f"runs:/{version.run_id}/model")
    finally:
        del os.environ["MLFLOW_TRACKING_URI"]
    assert [column.name for column in info.signature.inputs] == ["symbol", "session", "log_return"]
    assert "mean" in [column.name for column in info.signature.outputs]
    assert info.flavors["pmx"]["states_hash"] == states_hash


def test_another_fit_is_another_version_and_both_read_back(tracking):
    first, second = record(tracking, "twice", 0.1), record(tracking, "twice", 0.2)
    for version, states_hash, alpha in (("1", first, 0.1), ("2", second, 0.2)):
        [state] = load_states(tracking._client, "twice", version=version, states_hash=states_hash)
        assert state.params == {"alpha": alpha}


def test_a_version_that_somebody_changed_is_refused(tracking):
    """One parameter in the artifact store is raised; the recorded hash does not agree."""
    states_hash = record(tracking, "forged")
    client = tracking._client
    version = client.get_model_version(registered_name("forged"), "1")
    place = Path(client.get_run(version.run_id).info.artifact_uri.removeprefix("file://"))
    forged = states_to_frame([replace(STATE, model="forged", params={"alpha": 0.9})])
    forged.astype({"fit_as_of": str, "filter_from": str}).to_parquet(place / "model/fits.parquet")
    with pytest.raises(DataError, match="not what was registered"):
        load_states(client, "forged", version="1", states_hash=states_hash)


def test_what_is_no_fit_becomes_no_version(tracking):
    tracking.record_night("scores", DAY, params={}, metrics={"rmse": 1.0}, tags={})
    assert tracking._client.search_model_versions(f"name = '{registered_name('scores')}'") == []
