"""The rules of the house, as tests: what would otherwise be an opinion in a review."""

import ast
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.settings import project_root

ROOT = project_root()
PACKAGES = ("quant", "resources", "assets", "jobs", "sensors", "dagster_project", "apps")
DATA_FOLDERS = ("mlflow", "duckdb", "great_expectations", "config", "deploy")
HEAVY = (
    *("pandas", "numpy", "dagster", "mlflow", "great_expectations", "statsmodels", "duckdb"),
    *("rich", "yaml", "pydantic", "sqlalchemy", "psutil"),
)
STARTED_BELOW_SECONDS = 0.5


def tracked(*patterns: str) -> Iterator[Path]:
    """Files of the repository, also those not yet committed; none of what git ignores."""
    if not (ROOT / ".git").exists():
        pytest.skip("an unpacked archive does not say which files are the repository's")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return (ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file())


@pytest.mark.parametrize("folder", DATA_FOLDERS)
def test_data_folders_hold_no_python(folder: str) -> None:
    """Three of them share their names with packages, which an __init__.py would hide."""
    assert list((ROOT / folder).rglob("*.py")) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_belongs_there(package: str) -> None:
    without = [
        str(path.relative_to(ROOT))
        for path in (ROOT / package).rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert without == []


def test_no_file_names_a_package_registry_or_a_path_of_one_machine() -> None:
    """An address that is written down decides for everybody where packages come from."""
    registry = re.compile(
        r"pypi\.org|pythonhosted\.org|test\.pypi|registry\.npmjs|conda\.anaconda\.org|"
        r"--(extra-)?index-url|/(?:root|work)/[a-z]"
    )
    allowed = {Path(__file__).resolve(), ROOT / "data" / "sample" / "build.py"}
    texts = (p for p in tracked() if p.suffix not in {".parquet", ".png"} and p not in allowed)
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in texts
        if (match := registry.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert found == []


def test_no_module_reads_the_environment_at_import() -> None:
    """Settings are read when asked, in one place; else a test and a server see different worlds."""
    found = []
    for path in tracked("*.py"):
        if path.relative_to(ROOT).parts[0] in PACKAGES:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [f"{path.relative_to(ROOT)}:{n}" for n in _reads_of_environment(tree)]
    assert found == []


def _reads_of_environment(tree: ast.Module) -> Iterator[int]:
    """Lines outside functions that mention os.environ or os.getenv."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}:
            yield node.lineno
        waiting += ast.iter_child_nodes(node)


def test_the_command_line_imports_nothing_heavy() -> None:
    """`pmx --help` must not wait for packages that no help page needs."""
    script = (
        f"import sys, apps.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_help_answers_within_half_a_second() -> None:
    """The best of five whole processes, interpreter included."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "apps.cli.main", "--help"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        seconds.append(time.perf_counter() - start)
    assert min(seconds) <= STARTED_BELOW_SECONDS


def test_the_code_location_has_one_name() -> None:
    """The state of schedules and sensors hangs on it, and two files state it."""
    import tomllib

    import yaml

    from resources.dagster_home import DEFINITIONS_MODULE, LOCATION_NAME

    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"][0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    assert workspace["python_module"]["location_name"] == LOCATION_NAME
    assert workspace["python_module"]["module_name"] == DEFINITIONS_MODULE
    assert project["code_location_name"] == LOCATION_NAME
    assert project["code_location_target_module"] == DEFINITIONS_MODULE


def test_dagster_is_shipped_quiet_and_able_to_start() -> None:
    """Telemetry off; and resuming runs stays off, since this launcher refuses to start with it."""
    import yaml

    shipped = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())
    assert shipped["telemetry"] == {"enabled": False}
    assert shipped["run_monitoring"]["max_resume_run_attempts"] == 0
    assert shipped["run_monitoring"]["free_slots_after_run_end_seconds"] > 0
    assert shipped["run_monitoring"]["max_runtime_seconds"] > 0


def test_hooks_use_the_locked_tools_and_no_remote_repository() -> None:
    import yaml

    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    assert all(hook["language"] == "system" for hook in config["repos"][0]["hooks"])
