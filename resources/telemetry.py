"""Telemetry of the tools underneath: on by default in all of them, and off here.

Belongs here: the switches. Call `switch_off` before such a tool is imported.
"""

from collections.abc import Mapping, MutableMapping
from typing import Final

QUIET: Final[Mapping[str, str]] = {
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # The job runner starts four more processes and is for evaluating language models.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


def switch_off(environ: MutableMapping[str, str]) -> None:
    """Set every switch, whatever was there: nobody's positions are told to anyone by accident."""
    environ.update(QUIET)
