"""Dagster's own command line on a real home, with nothing but the environment to go by."""

import os
import subprocess
import sys

import dagster as dg

from apps.night import open_instance
from resources.dagster_home import DEFINITIONS_MODULE
from resources.settings import Settings, project_root
from tests.support.small_home import NIGHTS, contents, small_environment


def test_dagster_asset_materialize_makes_a_past_partition_and_changes_nothing(
    own_home: Settings,
) -> None:
    """The command from Dagster's own handbook; its run is one that the web pages show."""
    before, session = contents(own_home), str(NIGHTS[-2])
    named = ["-m", DEFINITIONS_MODULE, "--select", "forecast/naive", "--partition", session]
    subprocess.run(
        [sys.executable, "-m", "dagster", "asset", "materialize", *named],
        cwd=project_root(),
        env={
            **os.environ,
            **small_environment(own_home.home.parent),
            "DAGSTER_HOME": str(own_home.dagster_home),
        },
        check=True,
        capture_output=True,
    )
    assert contents(own_home) == before
    with open_instance(own_home) as instance:
        run = instance.get_runs(limit=1)[0]
    assert run.tags["dagster/partition"] == session
    assert run.status is dg.DagsterRunStatus.SUCCESS
