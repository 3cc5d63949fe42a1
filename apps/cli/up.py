"""`pmx up`: the web pages for runs, lineage and models, on this machine only.

Belongs here: which servers there are, and their addresses. Starting, watching and stopping them
is in `servers`. A dashboard joins when `apps/dashboard/__main__.py` exists; it must take --host and
--port.
"""

import contextlib
import fcntl
import importlib.util
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from apps.cli.result import Cli, CommandResult
from apps.cli.servers import (
    HOST,
    Family,
    Server,
    ServerError,
    ServerSpec,
    answers_text,
    free_port,
    get_json,
)
from quant.core.errors import StorageUnavailableError, UsageError
from resources.dagster_home import (
    DEFINITIONS_MODULE,
    child_environment,
    prepare_dagster_home,
    write_workspace,
)
from resources.settings import Settings, mask_url, project_root

DAGSTER: Final = "Dagster"

_LOCATION_QUERY: Final = (
    "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus"
    " locationOrLoadError { __typename"
    " ... on PythonError { message errorChain { error { message } } } } } } } }"
)
_DAEMON_QUERY: Final = (
    "{ instance { daemonHealth { allDaemonStatuses"
    " { daemonType required healthy lastHeartbeatTime } } } }"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Up(CommandResult):
    """The servers that answer."""

    servers: list[dict[str, Any]]
    read_only: bool
    home: str
    checked: bool = False

    def render(self, console: Any) -> None:
        """An address a line."""
        for server in self.servers:
            console.print(f"  {server['name']:<16} {server['address'] or 'running'}")
        if self.checked:
            console.print("every server answered and was stopped again")
            return
        if self.read_only:
            console.print("  (Dagster's pages only show; pmx up --write lets them start runs)")
        console.print("Ctrl-C stops all of them.")


Port = Annotated[int, typer.Option(min=1024, max=65_535, help="Port; the next free one if taken.")]


def run(
    cli: Cli,
    *,
    write: Annotated[
        bool, typer.Option("--write/--read-only", help="Let Dagster's pages start runs.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Start, see that each answers, and stop again.")
    ] = False,
    dagster_port: Port = 3000,
    mlflow_port: Port = 5000,
    dashboard_port: Port = 8050,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds to wait until every server answers.")
    ] = 180,
    module: Annotated[
        str, typer.Option(help="Python module with the Dagster definitions.", show_default=True)
    ] = DEFINITIONS_MODULE,
) -> Up | None:
    """Start the servers, print their addresses, watch them until Ctrl-C."""
    settings = cli.settings
    _require_module(module)
    prepare_dagster_home(settings)
    workspace = write_workspace(settings, module=module)
    wanted = {"dagster": dagster_port, "mlflow": mlflow_port, "dashboard": dashboard_port}
    with _only_one(settings) as note:
        ports = _ports(wanted, cli)
        specs = _specs(settings, workspace=workspace, ports=ports, write=write)
        with Family(specs, folder=project_root()) as family:
            _wait(family, cli, settings, timeout_seconds=timeout)
            result = _result(family, settings, write=write, checked=check)
            note(result)
            if check:
                return result
            _serve(family, cli, result)
    return None


def _serve(family: Family, cli: Cli, result: Up) -> None:
    cli.announce(result)
    try:
        family.watch()
    except KeyboardInterrupt:
        # The ordinary end, so neither an error nor a failing exit code.
        family.stop()
        cli.console.note("stopped: no server is left running")


def _specs(
    settings: Settings, *, workspace: Path, ports: dict[str, int], write: bool
) -> list[ServerSpec]:
    python = sys.executable
    logs = settings.paths.logs
    # Only the daemon starts runs, so only it is given the credentials of brokers and data sources.
    pages = child_environment(settings, with_secrets=False)
    started = time.time()
    specs = [
        ServerSpec(
            name=DAGSTER,
            command=(
                *(python, "-m", "dagster_webserver", "-h", HOST, "-p", str(ports["dagster"])),
                *("-w", str(workspace), *(() if write else ("--read-only",))),
            ),
            environment=pages,
            log=logs / "dagster_webserver.log",
            port=ports["dagster"],
            answers=lambda: get_json(ports["dagster"], "/server_info") is not None,
        ),
        ServerSpec(
            name="Dagster daemon",
            command=(python, "-m", "dagster._daemon", "run", "-w", str(workspace)),
            environment=child_environment(settings, with_secrets=True),
            log=logs / "dagster_daemon.log",
            port=None,
            answers=lambda: _daemon_answers(ports["dagster"], started),
        ),
    ]
    if not _is_remote(settings.mlflow_url):
        specs.append(_mlflow(settings, port=ports["mlflow"], environment=pages))
    if _has_dashboard():
        specs.append(_dashboard(settings, port=ports["dashboard"], environment=pages))
    return specs


def _mlflow(settings: Settings, *, port: int, environment: dict[str, str]) -> ServerSpec:
    settings.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
    return ServerSpec(
        name="MLflow",
        command=(
            *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)),
            *("--workers", "1", "--default-artifact-root", settings.mlflow_artifacts.as_uri()),
        ),
        # The address may hold a password, and a command line is visible to every user.
        environment=environment | {"MLFLOW_BACKEND_STORE_URI": settings.mlflow_url},
        log=settings.paths.logs / "mlflow.log",
        port=port,
        answers=lambda: answers_text(port, "/health"),
    )


def _dashboard(settings: Settings, *, port: int, environment: dict[str, str]) -> ServerSpec:
    return ServerSpec(
        name="Dashboard",
        command=(sys.executable, "-m", "apps.dashboard", "--host", HOST, "--port", str(port)),
        environment=environment,
        log=settings.paths.logs / "dashboard.log",
        port=port,
        answers=lambda: answers_text(port, "/"),
    )


def _has_dashboard() -> bool:
    return (project_root() / "apps" / "dashboard" / "__main__.py").is_file()


def _is_remote(mlflow_url: str) -> bool:
    return urlsplit(mlflow_url).scheme in {"http", "https"}


def _ports(wanted: dict[str, int], cli: Cli) -> dict[str, int]:
    ports: dict[str, int] = {}
    for name, port in wanted.items():
        ports[name] = free_port(port, taken=set(ports.values()))
        if ports[name] != port and (name != "dashboard" or _has_dashboard()):
            cli.console.note(f"port {port} is in use; {name} gets {ports[name]}")
    return ports


def _wait(family: Family, cli: Cli, settings: Settings, *, timeout_seconds: float) -> None:
    with cli.console.progress("starting", len(family.servers)) as progress:

        def ready(server: Server) -> None:
            progress.advance(note=f"{server.spec.name} answers")
            if server.spec.name == DAGSTER:
                _require_location(server.spec.port, settings)

        family.wait_until_ready(timeout_seconds=timeout_seconds, ready=ready)


def _result(family: Family, settings: Settings, *, write: bool, checked: bool) -> Up:
    servers = [
        {"name": s.spec.name, "address": s.spec.address, "pid": s.pid, "log": str(s.spec.log)}
        for s in family.servers
    ]
    if _is_remote(settings.mlflow_url):
        address = mask_url(settings.mlflow_url)
        servers.append({"name": "MLflow", "address": address, "pid": None, "log": None})
    return Up(servers=servers, read_only=not write, home=str(settings.home), checked=checked)


def _daemon_answers(port: int, started: float) -> bool:
    """Whether every required daemon has given a sign of life since it was started."""
    answer = get_json(port, "/graphql", {"query": _DAEMON_QUERY})
    if not answer or "data" not in answer:
        return False
    statuses = answer["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
    beats = [s["lastHeartbeatTime"] or 0.0 for s in statuses if s["required"]]
    return bool(beats) and min(beats) >= started


def _require_location(port: int | None, settings: Settings) -> None:
    """The code must have been imported, else the pages are empty and nobody sees why."""
    answer = get_json(port or 0, "/graphql", {"query": _LOCATION_QUERY})
    entries = answer["data"]["workspaceOrError"]["locationEntries"] if answer else []
    for entry in entries:
        problem = entry["locationOrLoadError"]
        if problem and problem["__typename"] == "PythonError":
            raise ServerError(
                f"Dagster could not import the definitions: {_first_cause(problem)}",
                remedy=f"mend them; {settings.paths.logs / 'dagster_webserver.log'} has the rest",
            )
    if not entries:
        raise ServerError(
            "Dagster's web server knows no code location",
            remedy=f"read {settings.paths.logs / 'dagster_webserver.log'}",
        )


def _first_cause(problem: dict[str, Any]) -> str:
    """The error of the user's own code, which Dagster wraps in errors of its own."""
    chain = [link["error"]["message"] for link in problem["errorChain"]]
    return str((chain or [problem["message"]])[-1]).strip()


def _require_module(module: str) -> None:
    # Looked for without importing: that is the servers' work and takes seconds.
    root = str(project_root())
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise UsageError(
            f"there is no Python module {module}", remedy="see --module in pmx up --help"
        )


@contextlib.contextmanager
def _only_one(settings: Settings) -> Iterator[Any]:
    """Two daemons on one home would start every schedule twice. The kernel drops the lock when the
    process ends in any way; the file tells others where the pages are.
    """
    path = settings.dagster_home / "up.lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _already_up(path) from None
        _note(path, {"pid": os.getpid(), "servers": []})
        yield lambda result: _note(path, {"pid": os.getpid(), **result.to_json()})
        path.write_text("")


def _note(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _already_up(path: Path) -> StorageUnavailableError:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        owner = {"pid": "unknown", "servers": []}
    pages = ", ".join(s["address"] for s in owner["servers"] if s["address"])
    return StorageUnavailableError(
        f"pmx up already runs for this home as PID {owner['pid']}{f': {pages}' if pages else ''}",
        remedy="use those pages, stop it with Ctrl-C there, or choose another folder with --home",
    )
