"""Dagster's own folder, and the environment of processes that work in it.

Belongs here: writing DAGSTER_HOME, the workspace file, and the variables a child process needs.
Does not belong here: starting processes, or what the code location contains.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from quant.core.errors import StateError, StorageUnavailableError
from resources.settings import SECRET_SUFFIXES, Settings, project_root
from resources.telemetry import QUIET

DEFINITIONS_MODULE: Final = "dagster_project.definitions"
LOCATION_NAME: Final = "quant"


def prepare_dagster_home(settings: Settings) -> Path:
    """Make DAGSTER_HOME and write the shipped `deploy/dagster.yaml` into it."""
    shipped = project_root() / "deploy" / "dagster.yaml"
    try:
        text = shipped.read_text(encoding="utf-8")
    except OSError as error:
        raise StateError(
            f"{shipped} cannot be read ({error.strerror})",
            remedy="restore it: git checkout -- deploy",
        ) from error
    write_atomically(settings.dagster_home / "dagster.yaml", text)
    return settings.dagster_home


def write_workspace(settings: Settings, *, module: str = DEFINITIONS_MODULE) -> Path:
    """A workspace file with absolute paths, so that servers may run in any folder.

    The name of the location is the same for every module: schedules keep their state by it.
    """
    location = {
        "module_name": module,
        "working_directory": str(project_root()),
        "location_name": LOCATION_NAME,
    }
    path = settings.dagster_home / "workspace.yaml"
    write_atomically(path, yaml.safe_dump({"load_from": [{"python_module": location}]}))
    return path


def child_environment(
    settings: Settings, environ: Mapping[str, str] | None = None, *, with_secrets: bool
) -> dict[str, str]:
    """What a server gets: telemetry off, absolute places, credentials only if it needs them."""
    source = os.environ if environ is None else environ
    kept = {
        name: value
        for name, value in source.items()
        if with_secrets or not (name.startswith("PMX_") and name.endswith(SECRET_SUFFIXES))
    }
    return kept | {
        **QUIET,
        "DAGSTER_HOME": str(settings.dagster_home),
        "MLFLOW_TRACKING_URI": settings.mlflow_url,
        "PMX_HOME": str(settings.home),
        "PMX_CONFIG_DIR": str(settings.config_dir),
        "PYTHONUNBUFFERED": "1",
    }


def write_atomically(path: Path, text: str) -> None:
    """Write beside it, then rename: a reader sees the old text or the new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise StorageUnavailableError(
            f"{path} cannot be written ({error.strerror})",
            remedy="free space or give this user access; --home or PMX_HOME chooses another folder",
        ) from error
