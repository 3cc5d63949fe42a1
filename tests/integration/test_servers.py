"""Servers live and die together: real processes, small ones here and the real ones at the end."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from apps.cli.servers import (
    Family,
    ServerError,
    ServerSpec,
    answers_text,
    free_port,
    get_json,
)
from resources.dagster_home import child_environment, prepare_dagster_home, write_workspace
from resources.settings import Settings, project_root

TINY = "tests.integration.tiny.definitions"
BROKEN = "tests.integration.broken.definitions"

# A server with a child of its own that does not end when asked to.
STUBBORN = """
import http.server, signal, subprocess, sys
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child])
pages = http.server.SimpleHTTPRequestHandler
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), pages).serve_forever()
"""


def spec(name: str, script: str, *, log: Path, port: int) -> ServerSpec:
    return ServerSpec(
        name=name,
        command=(sys.executable, "-c", script, str(port)),
        environment=os.environ,
        log=log / f"{name}.log",
        port=port,
        answers=lambda: answers_text(port, "/"),
    )


def group_members(group: int) -> list[int]:
    """Living processes of a group, as the kernel knows them."""
    members = []
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(ProcessLookupError):
            dead = process.info["status"] == psutil.STATUS_ZOMBIE
            if not dead and os.getpgid(process.pid) == group:
                members.append(process.pid)
    return members


def eventually(claim: Callable[[], bool], *, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if claim():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def port() -> int:
    return free_port(21_000 + os.getpid() % 20_000, taken=set())


def test_leaving_ends_the_whole_family_even_a_stubborn_grandchild(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM first, SIGKILL for who does not listen, and the port is free again."""
    with Family([spec("stubborn", STUBBORN, log=tmp_path, port=port)], folder=project_root()) as f:
        group = f.servers[0].pid
        f.wait_until_ready(timeout_seconds=20, ready=lambda _: None)
        assert eventually(lambda: len(group_members(group)) == 3)
    assert group_members(group) == []
    assert free_port(port, taken=set()) == port


def test_one_that_dies_is_named_with_its_last_lines(tmp_path: Path, port: int) -> None:
    """The person learns which one, why, and where the rest of the log is; the others stop."""
    specs = [
        spec("steady", "import time; time.sleep(600)", log=tmp_path, port=port),
        spec("dying", "import sys; sys.exit('the disk went away')", log=tmp_path, port=port + 1),
    ]
    family = Family(specs, folder=project_root())
    with pytest.raises(ServerError) as caught, family:
        family.wait_until_ready(timeout_seconds=20, ready=lambda _: None)
    assert "dying stopped by itself (exit code 1)" in str(caught.value)
    assert "the disk went away" in str(caught.value)
    assert str(tmp_path / "dying.log") in caught.value.remedy
    assert group_members(family.servers[0].pid) == []


def test_one_that_never_answers_is_given_up(tmp_path: Path, port: int) -> None:
    family = Family(
        [spec("silent", "import time; time.sleep(600)", log=tmp_path, port=port)],
        folder=project_root(),
    )
    with pytest.raises(ServerError, match="silent did not answer within 1 s"), family:
        family.wait_until_ready(timeout_seconds=1, ready=lambda _: None)
    assert group_members(family.servers[0].pid) == []


def test_killing_the_owner_leaves_no_orphan(tmp_path: Path) -> None:
    """kill -9 runs no clean-up in the owner; the kernel closes the leash all the same."""
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            "leash = subprocess.Popen([sys.executable, '-m', 'apps.cli.leash', sys.executable,"
            " '-c', 'import time; time.sleep(600)'], stdin=subprocess.PIPE,"
            " start_new_session=True)\n"
            "print(leash.pid, flush=True)\ntime.sleep(600)\n",
        ],
        cwd=project_root(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    group = int(owner.stdout.readline())
    assert eventually(lambda: len(group_members(group)) == 2)
    owner.kill()
    owner.wait()
    assert eventually(lambda: group_members(group) == [])


def test_a_taken_port_gives_the_next_free_one(port: int) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert free_port(port, taken=set()) > port
    assert free_port(port, taken={port}) > port


def test_dagster_home_is_written_whole_and_telemetry_is_off(tmp_path: Path) -> None:
    """Credentials go only to the process that needs them."""
    settings = Settings.from_env({}, home=tmp_path)
    home = prepare_dagster_home(settings)
    workspace = write_workspace(settings, module=TINY)
    environment = child_environment(settings, {"PMX_A_KEY": "k", "A": "b"}, with_secrets=False)

    assert (home / "dagster.yaml").read_text() == (
        project_root() / "deploy" / "dagster.yaml"
    ).read_text()
    assert "location_name: quant" in workspace.read_text()
    assert environment["A"] == "b"
    assert environment["DAGSTER_HOME"] == str(home)
    assert environment["DO_NOT_TRACK"] == environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["GX_ANALYTICS_ENABLED"] == "False"
    assert "PMX_A_KEY" not in environment
    with_keys = child_environment(settings, {"PMX_A_KEY": "k"}, with_secrets=True)
    assert with_keys["PMX_A_KEY"] == "k"


@contextlib.contextmanager
def running_up(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    ports = [str(21_000 + os.getpid() % 20_000 + 100 * i) for i in (1, 2, 3)]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "apps.cli.main", "up", "--json", *arguments),
            *("--dagster-port", ports[0], "--mlflow-port", ports[1], "--dashboard-port", ports[2]),
        ],
        cwd=project_root(),
        env=os.environ | {"PMX_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate()


@pytest.mark.timeout(240)
def test_up_starts_every_server_on_this_machine_only_and_ctrl_c_stops_all(tmp_path: Path) -> None:
    """The real ones: pages answer, the code is loaded, nothing can be changed, nobody stays."""
    with running_up(tmp_path, "--module", TINY) as process:
        assert process.stdout is not None
        up = json.loads(process.stdout.readline())
        servers = {server["name"]: server for server in up["servers"]}
        assert {"Dagster", "Dagster daemon", "MLflow"} <= set(servers)
        dagster = int(servers["Dagster"]["address"].rsplit(":")[-1])
        mlflow = int(servers["MLflow"]["address"].rsplit(":")[-1])

        _assert_loopback_only([server["pid"] for server in up["servers"]])
        _assert_read_only_pages_with_our_assets(dagster)
        assert answers_text(mlflow, "/")
        _assert_second_one_is_refused(tmp_path, address=servers["Dagster"]["address"])

        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=40)
        assert process.returncode == 0
        assert "Traceback" not in err
        assert all(group_members(server["pid"]) == [] for server in up["servers"])
        assert free_port(dagster, taken=set()) == dagster


def _assert_loopback_only(groups: list[int]) -> None:
    members = {pid for group in groups for pid in group_members(group)}
    listening = [
        connection.laddr.ip
        for pid in members
        for connection in psutil.Process(pid).net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 2
    assert set(listening) == {"127.0.0.1"}


def _assert_read_only_pages_with_our_assets(port: int) -> None:
    nodes = get_json(port, "/graphql", {"query": "{ assetNodes { groupName } }"})
    assert nodes["data"]["assetNodes"] == [{"groupName": "raw"}]
    allowed = "{ permissions { permission value } }"
    permissions = get_json(port, "/graphql", {"query": allowed})["data"]["permissions"]
    assert permissions
    assert not any(p["value"] for p in permissions if p["permission"].startswith("launch"))


def _assert_second_one_is_refused(home: Path, *, address: str) -> None:
    with running_up(home, "--module", TINY) as second:
        out, _ = second.communicate(timeout=30)
    error = json.loads(out)["error"]
    assert second.returncode == 6
    assert "already runs" in error["message"]
    assert address in error["message"]


@pytest.mark.timeout(240)
def test_up_check_names_a_code_location_that_cannot_be_imported(tmp_path: Path) -> None:
    """Empty pages without a reason are what people complain about most."""
    with running_up(tmp_path, "--check", "--module", BROKEN) as process:
        out, _ = process.communicate(timeout=200)
    error = json.loads(out)["error"]
    assert process.returncode == error["exit_code"] == 9
    assert "the asset module has a slip" in error["message"]


def test_up_refuses_a_module_that_does_not_exist(tmp_path: Path) -> None:
    with running_up(tmp_path, "--module", "no.such.module") as process:
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "no.such.module" in json.loads(out)["error"]["message"]
