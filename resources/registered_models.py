"""Fits in MLflow's model registry: a version is a table of parameters, not a program.

Belongs here: what a version consists of, making one, and reading one back. Does not belong here:
which version is champion (governance), or runs (`resources.tracking`).

A version's folder holds two files: `MLmodel`, in which MLflow reads the signature and shows it, and
the fitted states as Parquet. Nothing in it can be executed, and it is never given to one of
MLflow's loaders, whose guards against pickles have been walked around more than once. Whoever reads
a version names the hash that the product's own records have of it; another content is refused.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from quant.core.errors import DataError
from resources.tracking_record import NightRecord, frame_hash

if TYPE_CHECKING:
    from quant.forecasting.port import FittedState

# A record with this artifact is a fit, and becomes a version.
STATES: Final = "fits"
_FOLDER: Final = "model"
_FLAVOR: Final = "pmx"
_HASH_TAG: Final = "states_hash"


def registered_name(model: str) -> str:
    """What a model is called in the registry, where slashes are not allowed."""
    return f"pmx.{model}"


def register(client: Any, record: NightRecord, run_id: str, states_file: Path) -> str:
    """Make the run's fits a version of its model; a run that has one already keeps it."""
    name = registered_name(record.model)
    _require_name(client, name, record.model)
    found = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    if found:
        return str(found[0].version)
    with TemporaryDirectory() as folder:
        document = Path(folder) / "MLmodel"
        document.write_text(_document(record, run_id), encoding="utf-8")
        client.log_artifact(run_id, str(document), _FOLDER)
        client.log_artifact(run_id, str(states_file), _FOLDER)
    tags = {"session": record.session.isoformat(), _HASH_TAG: record.artifacts[STATES]}
    made = client.create_model_version(
        name, source=f"runs:/{run_id}/{_FOLDER}", run_id=run_id, tags=tags
    )
    return str(made.version)


def load_states(client: Any, model: str, *, version: str, states_hash: str) -> "list[FittedState]":
    """The fitted states of a version, if they are what `states_hash` says they were."""
    from quant.forecasting.port import states_from_frame

    found = client.get_model_version(registered_name(model), version)
    with TemporaryDirectory() as folder:
        path = client.download_artifacts(found.run_id, f"{_FOLDER}/{STATES}.parquet", folder)
        frame = pd.read_parquet(path)
    if frame_hash(frame) != states_hash:
        raise DataError(
            f"version {version} of {registered_name(model)} is not what was registered",
            remedy="somebody changed the file in MLflow's artifact store; restore it, or fit again",
        )
    return states_from_frame(frame)


def signature() -> Any:
    """What every model of this product takes and gives, in MLflow's terms."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    from quant.forecasting.forecast import QUANTILE_COLUMNS

    inputs: list[Any] = [
        ColSpec("string", "symbol"),
        ColSpec("datetime", "session"),
        ColSpec("double", "log_return", required=False),
    ]
    outputs: list[Any] = [
        ColSpec("string", "symbol"),
        ColSpec("datetime", "session"),
        ColSpec("long", "horizon_days"),
        *(ColSpec("double", name) for name in ("mean", "std", *QUANTILE_COLUMNS)),
    ]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _document(record: NightRecord, run_id: str) -> str:
    from mlflow.models import Model

    described = Model(run_id=run_id, signature=signature())
    described.add_flavor(
        _FLAVOR,
        model=record.model,
        version=record.params.get("version", ""),
        session=record.session.isoformat(),
        states=f"{STATES}.parquet",
        states_hash=record.artifacts[STATES],
    )
    return str(described.to_yaml())


def _require_name(client: Any, name: str, model: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(
            name, description=f"Fitted parameters of {model}: one version a fit, one row a symbol."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
