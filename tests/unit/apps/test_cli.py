"""The command line around every command: one result, one error format, documented exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.cli import exit_codes
from apps.cli.commands import COMMANDS, HEADINGS
from apps.cli.main import main
from quant.core import errors
from resources.settings import project_root
from resources.telemetry import QUIET
from tests.unit.apps.sample_commands import ENTRIES

Pmx = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pmx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Pmx:
    """Run a command line in this process; gives exit code, standard output and standard error."""
    monkeypatch.setenv("PMX_HOME", str(tmp_path / "home"))

    def call(*arguments: str, real: bool = False) -> tuple[int, str, str]:
        code = main(arguments, entries=COMMANDS if real else ENTRIES)
        output = capfd.readouterr()
        return code, output.out, output.err

    return call


def test_a_result_is_printed_for_a_person(pmx: Pmx) -> None:
    code, out, err = pmx("add", "1", "2", "--times", "3")
    assert (code, out) == (0, "the total is 9 [not markup]\n")
    assert "adding: 2/2" in err


def test_json_prints_exactly_one_object_and_nothing_else(pmx: Pmx) -> None:
    """Also when libraries print through Python, through C or from child processes."""
    code, out, err = pmx("noisy", "--json")
    assert (code, out) == (0, '{"total": 1}\n')
    for line in ("from python", "from c", "from a child"):
        assert line in err
    assert pmx("add", "4", "--json") == (0, '{"total": 4}\n', "")


def test_an_answer_of_no_is_exit_code_one(pmx: Pmx) -> None:
    assert pmx("add", "100", "--json")[:2] == (1, '{"total": 100}\n')


@pytest.mark.parametrize(
    ("kind", "code", "name"),
    [
        ("data", 3, "DataError"),
        ("limit", 5, "LimitBreachError"),
        ("unknown", 8, "OrderUnknownError"),
        ("full", 6, "StorageUnavailableError"),
        ("readonly", 6, "StorageUnavailableError"),
        ("bug", 70, "Bug"),
        ("interrupt", 130, "Stopped"),
        ("terminate", 143, "Stopped"),
    ],
)
def test_every_failure_has_its_code_and_no_traceback(
    pmx: Pmx, kind: str, code: int, name: str
) -> None:
    """The same facts as text and as JSON; only --debug shows where it happened."""
    plain = pmx("fail", kind)
    as_json = pmx("fail", kind, "--json")
    debug = pmx("fail", kind, "--debug")

    assert plain[:2] == (code, "")
    assert plain[2].startswith("error: ")
    assert "Traceback" not in plain[2]
    answer = json.loads(as_json[1])["error"]
    assert (answer["kind"], answer["exit_code"]) == (name, code)
    assert answer["message"] in plain[2]
    assert "Traceback" in debug[2]
    assert code in exit_codes.MEANINGS


def test_an_error_says_what_to_do(pmx: Pmx) -> None:
    expected = "error: line 3 of bars.csv: no close\ndo this: add the column\n"
    assert pmx("fail", "data") == (3, "", expected)


def test_ctrl_c_says_what_is_safe(pmx: Pmx) -> None:
    assert "nothing half was written" in pmx("fail", "interrupt")[2]


def test_a_bug_leaves_its_traceback_in_the_log_file(pmx: Pmx, tmp_path: Path) -> None:
    _, _, err = pmx("fail", "bug")
    log = tmp_path / "home" / "logs" / "pmx.log"
    assert str(log) in err
    assert "ZeroDivisionError: division by zero" in log.read_text()


def test_credentials_are_removed_from_errors_and_logs(
    pmx: Pmx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By value, where the key is ours, and by shape, where a vendor's text quotes another."""
    monkeypatch.setenv("PMX_TEST_KEY", "s3cr3t-v4lue")
    written = "".join(map(str, pmx("fail", "secret", "--debug", "--json")))
    written += (tmp_path / "home" / "logs" / "pmx.log").read_text()
    assert "RuntimeError" in written
    assert "s3cr3t-v4lue" not in written
    assert "abcdef123" not in written
    assert "apikey=***" in written


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("ad",), "did you mean `pmx add`? see pmx --help"),
        (("zzz",), "see pmx --help"),
        (("add", "x"), "see pmx add --help"),
        (("add",), "see pmx add --help"),
        (("add", "1", "--tims", "2"), "see pmx add --help"),
    ],
)
def test_a_wrong_command_line_is_exit_code_two(
    pmx: Pmx, arguments: tuple[str, ...], remedy: str
) -> None:
    code, out, err = pmx(*arguments)
    assert (code, out) == (2, "")
    assert f"do this: {remedy}\n" in err
    answer = json.loads(pmx(*arguments, "--json")[1])["error"]
    assert answer["remedy"] == remedy


def test_a_wrong_setting_is_one_clear_error(pmx: Pmx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMX_WORKERS", "many")
    code, _, err = pmx("add", "1")
    assert code == 2
    assert err.startswith("error: the environment variable PMX_WORKERS holds text")


def test_a_misspelt_variable_is_warned_about(pmx: Pmx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMX_BOOOK", "live")
    code, out, err = pmx("add", "1", "--json")
    assert (code, json.loads(out)) == (0, {"total": 1})
    assert "warning: the environment variable PMX_BOOOK is not known" in err


def test_every_command_runs_with_the_telemetry_of_all_tools_off(
    pmx: Pmx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the environment says otherwise."""
    for name in QUIET:
        monkeypatch.setenv(name, "True")
    assert pmx("add", "1", "--json")[0] == 0
    assert {name: os.environ[name] for name in QUIET} == QUIET


def test_home_can_be_chosen_by_option(pmx: Pmx, tmp_path: Path) -> None:
    shown = json.loads(pmx("config", "show", "--home", str(tmp_path), "--json", real=True)[1])
    assert shown["settings"]["home"] == str(tmp_path)


def test_shared_options_may_stand_before_the_command(pmx: Pmx, tmp_path: Path) -> None:
    """A person writes them where other tools take them; an option of nobody is refused as ever."""
    home = str(tmp_path / "here")
    first = pmx("--json", "--home", home, "config", "show", real=True)
    assert first[:2] == (0, pmx("config", "show", "--json", "--home", home, real=True)[1])
    assert pmx("--hom", home, "config", "show", real=True)[0] == 2


def test_config_show_masks_credentials(pmx: Pmx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMX_LEDGER_URL", "postgresql://me:hidden-pw@host/db")
    monkeypatch.setenv("PMX_ALPACA_KEY", "hidden-key")
    for arguments in (("config", "show"), ("config", "show", "--json")):
        code, out, err = pmx(*arguments, real=True)
        assert code == 0
        assert "hidden" not in out + err
        assert "postgresql://me:***@host/db" in out


def test_config_check_lists_every_problem(
    pmx: Pmx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A YAML with an unknown key: file, line, key and what was meant."""
    text = (project_root() / "config" / "universe.yaml").read_text()
    for path in (project_root() / "config").glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setenv("PMX_CONFIG_DIR", str(tmp_path))
    assert pmx("config", "check", real=True)[0] == 0

    (tmp_path / "universe.yaml").write_text(text.replace("calendar:", "calender:"))
    code, out, _ = pmx("config", "check", "--json", real=True)
    answer = json.loads(out)
    assert (code, answer["holds"]) == (2, False)
    assert answer["problems"][0]["key"] == "calender"
    assert answer["problems"][0]["remedy"] == "did you mean calendar?"
    code, _, err = pmx("config", "show", real=True)
    assert code == 2
    assert f"{tmp_path / 'universe.yaml'}, line " in err


def test_the_exit_codes_of_all_errors_are_documented(pmx: Pmx) -> None:
    """A script can rely on the table: every error of the domain is in it."""
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and hasattr(e, "exit_code")]
    table = json.loads(pmx("exit-codes", "--json", real=True)[1])["exit_codes"]
    assert len(kinds) > 10
    assert {str(kind.exit_code) for kind in kinds} <= set(table)


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_every_command_has_help_with_the_shared_options_and_examples(
    pmx: Pmx, entry: object
) -> None:
    """A stranger finds out by --help alone; the target exists and takes the shared options."""
    name = str(entry.name)  # type: ignore[attr-defined]
    code, out, _ = pmx(*name.split(), "--help", real=True)
    assert code == 0
    for option in ("--json", "--debug", "--home", "--help", f"pmx {name}"):
        assert option in out
    assert entry.heading in HEADINGS  # type: ignore[attr-defined]
    assert entry.summary.endswith(".")  # type: ignore[attr-defined]


def test_pmx_alone_prints_the_help_with_every_command(pmx: Pmx) -> None:
    code, out, err = pmx(real=True)
    assert (code, err) == (0, "")
    shown = [entry for entry in COMMANDS if not entry.is_hidden]
    assert all(f"  {entry.name.split()[0]} " in out for entry in shown)
    assert out == pmx("--help", real=True)[1] == pmx("-h", real=True)[1]


def test_version(pmx: Pmx) -> None:
    assert pmx("--version")[1].startswith("pmx ")


def run_pmx(*arguments: str, home: Path, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "apps.cli.main", *arguments],
        cwd=project_root(),
        env=os.environ | {"PMX_HOME": str(home)},
        **options,
    )


def test_a_reader_that_closes_early_is_no_failure(tmp_path: Path) -> None:
    """`pmx exit-codes | head -1`: no traceback, and the work counts as done."""
    reader, writer = os.pipe()
    os.close(reader)
    for extra in ((), ("--json",)):
        process = run_pmx(
            "exit-codes", *extra, home=tmp_path, stdout=writer, stderr=subprocess.PIPE
        )
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, b"")
    os.close(writer)


@pytest.mark.parametrize("arguments", ["exit-codes", "exit-codes --json"])
@pytest.mark.parametrize(("redirect", "code"), [(">&-", 0), ("2>&- >/dev/null", 0)])
def test_closed_streams_do_not_stop_a_command(
    tmp_path: Path, arguments: str, redirect: str, code: int
) -> None:
    """Schedulers start processes so; Python then has None where a stream should be."""
    done = shell(f"{arguments} {redirect}", home=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", ["exit-codes", "exit-codes --json"])
def test_a_result_that_does_not_fit_on_the_disk_is_one_clear_error(
    tmp_path: Path, arguments: str
) -> None:
    done = shell(f"{arguments} >/dev/full", home=tmp_path)
    assert done.returncode == 6
    assert done.stderr.startswith(b"error: the disk is full")
    assert done.stderr.count(b"\n") == 2


def shell(line: str, *, home: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        f"exec {sys.executable} -m apps.cli.main {line}",
        shell=True,
        cwd=project_root(),
        env=os.environ | {"PMX_HOME": str(home)},
        capture_output=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_running_command_with_one_sentence(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """A real signal to a real process, in the middle of a benchmark that would take a minute."""
    script = (
        "import sys, time\n"
        "from apps.cli import main, commands\n"
        "import apps.cli.exit_codes as e\n"
        "e.run = lambda cli: (print('started', file=sys.stderr, flush=True), time.sleep(60))\n"
        "sys.exit(main.main(['exit-codes', '--json']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=project_root(),
        env=os.environ | {"PMX_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == b"started\n"
    time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert json.loads(out)["error"]["exit_code"] == code
    assert err.startswith(b"error: stopped by")
    assert err.count(b"\n") == 1


def test_a_home_that_cannot_be_written_does_not_stop_a_command_that_only_looks(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    process = run_pmx(
        "config", "show", "--json", home=tmp_path / "file" / "home", stdout=subprocess.PIPE
    )
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads(out)["policy_hash"]
