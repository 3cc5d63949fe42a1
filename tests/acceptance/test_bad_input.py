"""Bad input: one clear error, the right exit code, no traceback, nothing half written, and the next
good run goes on. Files, policy, a disk that is full or read-only, a damaged lake, and a process
that is stopped in the middle.

The table of bad files runs in this process, since each takes milliseconds there; what concerns the
disk and signals runs the command line as a process of its own.
"""

import datetime as dt
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from resources.settings import project_root
from tests.support.pmx_calls import (
    Answer,
    Pmx,
    command,
    desk_at,
    environment,
    in_process,
    table_counts,
)

GOOD = "symbol,date,open,high,low,close,volume\n" + "".join(
    f"GOOD,2024-01-{day:02},10,11,9,10.{day:02},100\n"
    for day in (2, 3, 4, 5, 8, 9, 10, 11, 12, 16, 17, 18, 19, 22, 23, 24, 25, 26)
)
H = "symbol,date,open,high,low,close,volume\n"


def row(symbol: str = "AAA", day: str = "2024-01-02", close: str = "10.5") -> str:
    return f"{symbol},{day},10,11,9,{close},100\n"


# name: (content, words that the error must hold)
BAD_FILES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "missing columns": (b"symbol,date,volume\nAAA,2024-01-02,5\n", ("close", "--map")),
    "a NaN": ((H + row(close="NaN")).encode(), ("close", "line 2")),
    "an empty price": ((H + row(close="")).encode(), ("close", "line 2")),
    "a negative price": ((H + row() + row(day="2024-01-03", close="-4")).encode(), ("line 3",)),
    "an infinite price": ((H + row(close="inf")).encode(), ("close",)),
    "a key twice": ((H + row() + row()).encode(), ("symbol and time", "line 3")),
    "mixed time zones": (
        b"symbol,time,close\nAAA,2024-01-02T10:00:00+01:00,1\nAAA,2024-01-02T10:05:00,1\n",
        ("mixes times with and without a zone",),
    ),
    "an unknown encoding": (H.encode() + b"AAA,2024-01-02,10,11,9,10\xff\xfe,1\n", ("line 2",)),
    "a symbol of 300 characters": ((H + row(symbol="A" * 300)).encode(), ("symbol",)),
    "a symbol that is a path": ((H + row(symbol="../../etc/passwd")).encode(), ("symbol",)),
    "a symbol that ends the line": ((H + row(symbol="A\x1b[2J")).encode(), ("symbol",)),
    "a day in the future": ((H + row(day="2999-01-04")).encode(), ("time",)),
    "no rows": (H.encode(), ("no rows",)),
    "nothing": (b"", ("empty",)),
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that holds one good file."""
    from apps.loading import land_and_publish
    from resources.market_data.folder import read_bar_files

    folder = tmp_path_factory.mktemp("good")
    (folder / "good.csv").write_text(GOOD, encoding="utf-8")
    content = read_bar_files(folder, now=dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
    with desk_at(folder / "home") as desk:
        loaded = land_and_publish(desk, content.daily, None, run_id="good")
    assert loaded.rows_published == 18
    return folder / "home"


@pytest.fixture
def home(lake: Path, tmp_path: Path) -> Path:
    """A copy of that home, to be damaged."""
    return Path(shutil.copytree(lake, tmp_path / "home"))


@pytest.fixture
def pmx(home: Path, capfd: pytest.CaptureFixture[str]) -> Pmx:
    return in_process(home, capfd)


def test_a_bad_file_is_one_clear_error_and_nothing_is_written(
    pmx: Pmx, home: Path, tmp_path: Path
) -> None:
    """Alone, and as one of two files in a folder whose other file is good."""
    before = table_counts(home)
    for number, (name, (content, words)) in enumerate(BAD_FILES.items()):
        folder = tmp_path / f"in{number}"
        folder.mkdir()
        (folder / "bad.csv").write_bytes(content)
        (folder / "another.csv").write_text(GOOD.replace("GOOD", "FINE"), encoding="utf-8")
        for path in (folder / "bad.csv", folder):
            message = pmx("ingest", path).error(3, "bad.csv", *words)
            assert message.isprintable(), name
            assert len(message) < 600, name
    assert table_counts(home) == before


def test_a_truncated_parquet_file_is_named(pmx: Pmx, home: Path, tmp_path: Path) -> None:
    before = table_counts(home)
    whole = tmp_path / "bars.parquet"
    pd.DataFrame(
        {"symbol": "AAA", "date": pd.date_range("2024-01-02", periods=500), "close": 1.0}
    ).to_parquet(whole)
    whole.write_bytes(whole.read_bytes()[:-100])
    pmx("ingest", whole).error(3, "bars.parquet")
    assert table_counts(home) == before


def test_a_bad_request_is_told_apart_from_bad_data(pmx: Pmx, tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text(GOOD, encoding="utf-8")
    for arguments, word in (
        (["ingest", tmp_path / "nowhere"], "nowhere"),
        (["ingest", tmp_path / "good.csv", "--basis", "cooked"], "cooked"),
        (["ingest", tmp_path / "good.csv", "--timezone", "Mars/Base"], "Mars/Base"),
        (["ingest", tmp_path / "good.csv", "--map", "close=Nothing"], "Nothing"),
        (["synth", "--symbols", "0"], "symbols"),
        (["synth", "--symbols", "20000", "--years", "30"], "bars"),
        (["synth", "--out", tmp_path], "empty folder"),
    ):
        answer = pmx(*arguments)
        assert answer.code in (2, 3), answer
        answer.error(answer.code, word)


def test_an_unknown_key_in_a_policy_file_is_named(
    pmx: Pmx, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Path(shutil.copytree(project_root() / "config", tmp_path / "config"))
    universe = config / "universe.yaml"
    universe.write_text(universe.read_text(encoding="utf-8") + "symbolz: [AAPL]\n", "utf-8")
    (tmp_path / "new.csv").write_text(GOOD.replace("GOOD", "NEW"), encoding="utf-8")
    monkeypatch.setenv("PMX_CONFIG_DIR", str(config))
    before = table_counts(home)
    pmx("ingest", tmp_path / "new.csv").error(2, "symbolz", "universe.yaml", "symbols?")
    assert table_counts(home) == before
    monkeypatch.delenv("PMX_CONFIG_DIR")
    assert pmx("ingest", tmp_path / "new.csv", "--json").json["rows_published"] == 18


def test_a_damaged_catalog_is_one_clear_error(pmx: Pmx, home: Path, tmp_path: Path) -> None:
    """Garbage, or half a file; nothing is repaired behind one's back, and a restored one works."""
    catalog = home / "lake/catalog.sqlite"
    whole = catalog.read_bytes()
    (tmp_path / "new.csv").write_text(GOOD.replace("GOOD", "NEW"), encoding="utf-8")
    for damaged in (
        os.urandom(len(whole)),
        whole[: len(whole) // 2],
        b"not a database at all" * 99,
    ):
        catalog.write_bytes(damaged)
        pmx("ingest", tmp_path / "new.csv").error(6, "restore")
        pmx("data", "quality").error(6)
        assert catalog.read_bytes() == damaged
    catalog.write_bytes(whole)
    assert pmx("ingest", tmp_path / "new.csv", "--json").json["rows_published"] == 18


def test_a_damaged_data_file_of_the_lake_is_one_clear_error(
    pmx: Pmx, home: Path, tmp_path: Path
) -> None:
    """A Parquet file of raw is cut short: what needs it stops, and nothing is written over it."""
    (tmp_path / "good.csv").write_text(GOOD.replace("10.02", "10.03"), encoding="utf-8")
    files = sorted((home / "lake/data/raw").rglob("*.parquet"))
    assert files, "the lake keeps so few rows inside its catalog: make the good file longer"
    whole = {file: file.read_bytes() for file in files}
    for file in files:
        file.write_bytes(whole[file][:-50])
    pmx("ingest", tmp_path / "good.csv").error(6, "restore")
    for file, content in whole.items():
        file.write_bytes(content)
    assert pmx("ingest", tmp_path / "good.csv", "--json").json["rows_published"] == 1


def test_a_file_in_place_of_the_home_is_one_clear_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same refusal as a folder that may not be written, and true for root too."""
    (tmp_path / "home").write_text("in the way", encoding="utf-8")
    (tmp_path / "good.csv").write_text(GOOD, encoding="utf-8")
    pmx = in_process(tmp_path / "home", capfd)
    for arguments in (["ingest", tmp_path / "good.csv"], ["data", "quality"]):
        pmx(*arguments).error(6)
    assert (tmp_path / "home").read_text(encoding="utf-8") == "in the way"


def can_mount() -> bool:
    done = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.skipif(not can_mount(), reason="mounting a small disk is not permitted here")
def test_a_full_and_a_read_only_disk_are_told_and_room_is_all_that_it_takes(
    tmp_path: Path,
) -> None:
    """A disk of its own, seen by these processes alone: read-only, then full, then with room."""
    home, script = tmp_path / "home", tmp_path / "disk.sh"
    home.mkdir()
    rows = "".join(
        f"S{number:03},2024-01-{day:02},10,11,9,10.{(number * 7 + day) % 100:02},{number + day}\n"
        for number in range(400)
        for day in (2, 3, 4, 5, 8, 9, 10, 11, 12)
    )
    (tmp_path / "many.csv").write_text(H + rows, encoding="utf-8")
    ingest = " ".join(command("ingest", tmp_path / "many.csv", "--json"))
    script.write_text(
        f"""set -u
        mount -t tmpfs -o size=300k tmpfs {home}
        mount -o remount,ro {home}
        {ingest} >{tmp_path}/ro.out 2>{tmp_path}/ro.err; echo $? >{tmp_path}/ro.code
        mount -o remount,rw {home}
        {ingest} >{tmp_path}/full.out 2>{tmp_path}/full.err; echo $? >{tmp_path}/full.code
        mount -o remount,size=64m {home}
        {ingest} >{tmp_path}/room.out 2>{tmp_path}/room.err; echo $? >{tmp_path}/room.code
        """,
        encoding="utf-8",
    )
    subprocess.run(
        ["unshare", "-rm", "sh", str(script)],
        env=environment(home),
        cwd=project_root(),
        timeout=240,
        check=True,
    )

    def answer(name: str) -> Answer:
        code, out, err = (
            (tmp_path / f"{name}.{part}").read_text() for part in ("code", "out", "err")
        )
        return Answer(code=int(code), out=out, err=err)

    answer("ro").error(6)
    answer("full").error(6)
    assert answer("room").code == 0, answer("room")
    assert answer("room").json["rows_published"] == 3600


@pytest.mark.parametrize(
    ("signal_number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)]
)
def test_a_load_that_is_stopped_in_the_middle_is_finished_by_the_next(
    pmx: Pmx, home: Path, tmp_path: Path, signal_number: signal.Signals, code: int
) -> None:
    """Stopped as soon as the first commit of the load is seen in the lake."""
    folder = tmp_path / "market"
    assert pmx("synth", "--symbols", 10, "--years", 3, "--out", folder).code == 0
    rows = len(pd.read_parquet(folder / "bars.parquet"))
    before = table_counts(home)["snapshot"]
    process = subprocess.Popen(
        command("ingest", folder),
        env=environment(home),
        cwd=project_root(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with desk_at(home) as desk:
        while process.poll() is None and desk.warehouse.snapshot_id() == before:
            time.sleep(0.02)
    process.send_signal(signal_number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    if code > 0:
        assert "the same command goes on" in err

    assert pmx("ingest", folder).code == 0
    with desk_at(home) as desk:
        stored = {
            table: desk.warehouse.rows(
                f"SELECT count(*), count(DISTINCT (symbol, session)) FROM {table} "
                "WHERE symbol LIKE 'SYN%'"
            )[0]
            for table in ("raw.daily_bars", "clean.daily_bars")
        }
    assert stored == {"raw.daily_bars": (rows, rows), "clean.daily_bars": (rows, rows)}
    after = table_counts(home)
    assert pmx("ingest", folder).code == 0
    assert table_counts(home) == after
