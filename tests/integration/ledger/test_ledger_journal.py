"""The journal loses nothing that it acknowledged, and invents nothing that it did not."""

import datetime as dt
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from quant.core.clock import SteppedClock
from quant.core.errors import (
    LedgerDamagedError,
    StateError,
    StorageUnavailableError,
    UsageError,
)
from quant.execution import FillRecorded, Mode, Side
from resources.ledger import Ledger, salvage
from resources.ledger.journal import JOURNAL_NAME, Record, line_of, render, scan
from tests.execution_values import BOOK, MONDAY, after_close, fill, intent, opened, recorded

ROOT = Path(__file__).parents[3]
CLOCK = SteppedClock(after_close(MONDAY))


def open_ledger(directory: Path, **options: object) -> Ledger:
    return Ledger.open(directory, clock=CLOCK, **options)  # type: ignore[arg-type]


def filled(directory: Path, count: int = 5) -> list[int]:
    """A ledger with a book and `count` intents, each its own commit; the line lengths."""
    with open_ledger(directory) as ledger:
        ledger.append_all([opened()])
        for number in range(count):
            ledger.append_all(recorded(intent(1, salt=str(number))))
    return [len(line) for line in (directory / JOURNAL_NAME).read_bytes().splitlines(True)]


def test_records_come_back_as_they_went_in(tmp_path: Path) -> None:
    """Written by one opening, read by the next, chained from the first to the last."""
    filled(tmp_path)
    with open_ledger(tmp_path) as ledger:
        assert ledger.head().seq == 6
        assert [one.quantity for one in ledger.intents(book=BOOK)] == [Decimal(1)] * 5
        assert ledger.verify().is_sound


def test_an_event_is_recorded_once_however_often_it_is_offered(tmp_path: Path) -> None:
    """In one batch, in the next, and by the next process."""
    events = [opened(), *recorded(intent(1), intent(1), intent(2, salt="other"))]
    with open_ledger(tmp_path) as ledger:
        assert [one.is_new for one in ledger.append_all(events)] == [True, True, False, True]
        assert [one.is_new for one in ledger.append_all(events)] == [False] * 4
    with open_ledger(tmp_path) as ledger:
        again = ledger.append_all(events)
        assert [one.seq for one in again] == [1, 2, 2, 3]
        assert again[3].hash == ledger.head().hash
        assert ledger.head().seq == 3


def test_a_fill_told_again_with_other_money_is_refused(tmp_path: Path) -> None:
    """The same id with another price is not news, it is a contradiction."""
    first = fill(Side.BUY, "10", "100")
    other = FillRecorded(fill=replace(first.fill, price=Decimal("99")))
    with open_ledger(tmp_path) as ledger:
        ledger.append_all([opened(), first])
        assert not ledger.append_all([first])[0].is_new
        with pytest.raises(StateError, match="price 100 and came again with 99"):
            ledger.append_all([other])


def test_a_second_writer_is_told_who_holds_the_ledger(tmp_path: Path) -> None:
    """One writer at a time; readers are welcome beside it."""
    with open_ledger(tmp_path) as first:
        first.append_all([opened()])
        with pytest.raises(StorageUnavailableError, match=f"by process {os.getpid()}"):
            open_ledger(tmp_path)
        with Ledger.read(tmp_path) as reader:
            assert reader.books() == [BOOK]
            with pytest.raises(UsageError, match="opened to be read"):
                reader.append_all([opened("other")])
            first.append_all([opened("second")])
            reader.refresh()
            assert reader.books() == [BOOK, "second"]
    open_ledger(tmp_path).close()


def test_two_writers_take_turns_and_each_hears_of_the_other(tmp_path: Path) -> None:
    """What one records the other is told once, in order, and neither waits for the other's end."""
    one, two, three, four = recorded(*(intent(1, salt=str(number)) for number in range(4)))
    with open_ledger(tmp_path) as first:
        with first.turn() as told:
            first.append_all([opened(), one])
        assert told == []
        with pytest.raises(StateError, match="another process may be writing"):
            first.append_all([two])
        with open_ledger(tmp_path) as second:
            second.append_all([two, three])
            with pytest.raises(StorageUnavailableError), first.turn(wait_seconds=0.0):
                pass
        with first.turn() as told:
            first.append_all([three, four])
        assert told == [two, three]
        assert first.head().seq == 5
        with first.turn() as told:
            assert told == []
    with open_ledger(tmp_path) as ledger:
        assert ledger.verify().is_sound
        assert len(ledger.intents(book=BOOK)) == 4


def test_what_another_writer_left_torn_or_took_away_is_met_in_the_next_turn(tmp_path: Path) -> None:
    """A killed writer's fragment is cut; a journal that shrank or was exchanged is damage."""
    path = tmp_path / JOURNAL_NAME
    for trouble in ("torn", "shorter", "exchanged"):
        for file in tmp_path.iterdir():
            file.unlink()
        with open_ledger(tmp_path) as first:
            with first.turn():
                first.append_all([opened(), *recorded(intent(1))])
            sound = path.read_bytes()
            if trouble == "torn":
                path.write_bytes(sound + b'{"hash":"12ab')
                with first.turn() as told:
                    assert told == []
                assert first.torn is not None
                assert path.read_bytes() == sound
                continue
            if trouble == "shorter":
                os.truncate(path, len(sound) - 10)
            else:
                copy = tmp_path / "copy"
                copy.write_bytes(sound)
                copy.replace(path)
            with pytest.raises(LedgerDamagedError, match="while it was open"), first.turn():
                pass
            assert first.mode(BOOK) is Mode.PAUSE


def test_a_torn_tail_is_cut_kept_and_reported(tmp_path: Path) -> None:
    """What a killed writer left after its last commit was never acknowledged."""
    filled(tmp_path)
    with (tmp_path / JOURNAL_NAME).open("ab") as file:
        file.write(b'{"hash":"12ab')
    with open_ledger(tmp_path) as ledger:
        assert ledger.torn is not None
        assert (ledger.torn.after_seq, ledger.torn.byte_count) == (6, 13)
        assert (tmp_path / ledger.torn.kept_in).read_bytes() == b'{"hash":"12ab'
        assert ledger.head().seq == 6
        assert ledger.append_all([opened("next")])[0].seq == 7
    with open_ledger(tmp_path) as ledger:
        assert ledger.torn is None
        assert ledger.verify().is_sound


def test_half_a_commit_is_taken_back_whole(tmp_path: Path) -> None:
    """Three events in one commit of which a crash left two: none of them happened."""
    filled(tmp_path, count=1)
    head = _records(tmp_path)[-1]
    for left in (2, 1):
        head = render(
            seq=head.seq + 1,
            prev_hash=head.hash,
            recorded_at=head.recorded_at,
            left=left,
            payload={"key": f"part {left}"},
        )
        with (tmp_path / JOURNAL_NAME).open("ab") as file:
            file.write(line_of(head))
    with open_ledger(tmp_path) as ledger:
        assert ledger.torn is not None
        assert ledger.head().seq == 2


def test_a_journal_shorter_than_was_acknowledged_is_damage_and_not_a_torn_tail(
    tmp_path: Path,
) -> None:
    """Whole records missing from the end leave a valid chain; the head file remembers."""
    lengths = filled(tmp_path)
    os.truncate(tmp_path / JOURNAL_NAME, sum(lengths[:4]))
    with pytest.raises(LedgerDamagedError, match="missing are the records 5 to 6"):
        open_ledger(tmp_path)
    # Without the head file the tables are the second witness.
    (tmp_path / "head").unlink()
    with pytest.raises(LedgerDamagedError, match="missing are the records 5 to 6"):
        open_ledger(tmp_path)


def test_a_damaged_ledger_can_be_looked_at_and_is_paused(tmp_path: Path) -> None:
    """It opens on request, shows what it has, sends nothing and takes nothing."""
    lengths = filled(tmp_path)
    _flip(tmp_path / JOURNAL_NAME, sum(lengths[:3]) + 100, bit=0)
    with pytest.raises(LedgerDamagedError, match="record 4 is damaged") as caught:
        open_ledger(tmp_path)
    assert "restore" in caught.value.remedy
    before = (tmp_path / JOURNAL_NAME).read_bytes()
    with open_ledger(tmp_path, on_damage="pause") as ledger:
        assert ledger.mode(BOOK) is Mode.PAUSE
        assert "missing are the records 4 to 6" in ledger.damage
        with pytest.raises(LedgerDamagedError, match="takes no records"):
            ledger.append_all([opened("other")])
    assert (tmp_path / JOURNAL_NAME).read_bytes() == before
    with Ledger.read(tmp_path) as reader:
        assert reader.verify().problems


def test_a_salvaged_ledger_keeps_its_sound_part_and_stays_paused(tmp_path: Path) -> None:
    """A person decides to go on with three of six records: the rest is kept as evidence."""
    lengths = filled(tmp_path)
    with pytest.raises(UsageError, match="is sound"):
        salvage(tmp_path, clock=CLOCK)
    _flip(tmp_path / JOURNAL_NAME, sum(lengths[:3]) + 100, bit=0)
    damaged = (tmp_path / JOURNAL_NAME).read_bytes()
    report = salvage(tmp_path, clock=CLOCK)
    assert report.kept_seq == 3
    assert "missing are the records 4 to 6" in report.lost
    assert (tmp_path / report.kept_in).read_bytes() == damaged
    with open_ledger(tmp_path) as ledger:
        assert ledger.verify().is_sound
        assert len(ledger.intents(book=BOOK)) == 2
        assert ledger.mode(BOOK) is Mode.PAUSE


def test_tables_compile_for_postgres_with_exact_numbers_and_zoned_times() -> None:
    """The same tables on the larger database: NUMERIC money and moments with their zone."""
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateTable

    from resources.ledger import tables

    ddl = str(CreateTable(tables.fills).compile(dialect=postgresql.dialect()))
    assert "price NUMERIC NOT NULL" in ddl
    assert "event_time TIMESTAMP WITH TIME ZONE NOT NULL" in ddl


def test_importing_the_ledger_does_not_import_the_database_layer() -> None:
    """Half a second that a command which opens no ledger need not wait."""
    done = _python("import sys, resources.ledger; print('sqlalchemy' in sys.modules)")
    assert done.stdout.strip() == "False", done.stderr


def test_every_flipped_bit_inside_the_chain_is_found(tmp_path: Path) -> None:
    """Every byte of a record, and 300 bits at random: none passes, none is taken for a tail."""
    lengths = filled(tmp_path)
    path = tmp_path / JOURNAL_NAME
    clean = path.read_bytes()
    start, end = sum(lengths[:2]), sum(lengths[:3])
    flips = [(place, bit) for place in range(start, end) for bit in (place % 8,)]
    drawn = random.Random(7)
    flips += [(drawn.randrange(len(clean)), drawn.randrange(8)) for _ in range(300)]
    anchor = replace(_records(tmp_path)[-1])
    from resources.ledger.journal import Head

    known = Head(seq=anchor.seq, hash=anchor.hash)
    for place, bit in flips:
        changed = bytearray(clean)
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        assert scan(path, lambda _record: None, known=known).damage, (place, bit)
    path.write_bytes(clean)
    assert not scan(path, lambda _record: None, known=known).damage


@pytest.mark.parametrize("tamper", ["delete", "insert", "swap", "duplicate", "restamp"])
def test_rewriting_history_is_found(tmp_path: Path, tamper: str) -> None:
    """Also a full recomputation of all hashes: the head file and the tables know the old one."""
    filled(tmp_path)
    path = tmp_path / JOURNAL_NAME
    lines = path.read_bytes().splitlines(True)
    match tamper:
        case "delete":
            del lines[2]
        case "insert":
            lines.insert(2, lines[4])
        case "swap":
            lines[2], lines[3] = lines[3], lines[2]
        case "duplicate":
            lines.insert(2, lines[2])
        case "restamp":
            lines = _restamped(_records(tmp_path))
    path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerDamagedError):
        open_ledger(tmp_path)


def test_a_record_exchanged_in_the_middle_of_the_chain_is_found(tmp_path: Path) -> None:
    """It has a hash of its own and its number; only the next record knows that it is another."""
    filled(tmp_path)
    records = _records(tmp_path)
    old = records[2]
    forged = render(
        seq=old.seq,
        prev_hash=old.prev_hash,
        recorded_at=old.recorded_at,
        left=old.left,
        payload={**old.payload, "key": "another"},
    )
    lines = [line_of(one) for one in [*records[:2], forged, *records[3:]]]
    (tmp_path / JOURNAL_NAME).write_bytes(b"".join(lines))
    with pytest.raises(LedgerDamagedError, match="does not continue the record before it"):
        open_ledger(tmp_path)


def test_a_chain_that_leaves_a_number_out_is_damage(tmp_path: Path) -> None:
    """Hashed anew from end to end, with every other witness gone."""
    filled(tmp_path)
    records = _records(tmp_path)
    lines, previous = [], "0" * 64
    for one in records:
        fresh = render(
            seq=one.seq + (one.seq > 2),
            prev_hash=previous,
            recorded_at=one.recorded_at,
            left=one.left,
            payload=one.payload,
        )
        previous = fresh.hash
        lines.append(line_of(fresh))
    (tmp_path / JOURNAL_NAME).write_bytes(b"".join(lines))
    for name in ("head", "projection.sqlite"):
        (tmp_path / name).unlink()
    with pytest.raises(LedgerDamagedError, match="record 3 is damaged: its number is 4"):
        open_ledger(tmp_path)


def _restamped(records: list[Record]) -> list[bytes]:
    lines, previous = [], "0" * 64
    for record in records:
        payload = json.loads(json.dumps(record.payload).replace('"100"', '"101"'))
        forged = render(
            seq=record.seq,
            prev_hash=previous,
            recorded_at=record.recorded_at,
            left=record.left,
            payload=payload,
        )
        previous = forged.hash
        lines.append(line_of(forged))
    return lines


def test_damaged_or_missing_tables_are_derived_again(tmp_path: Path) -> None:
    """The tables hold nothing of their own: gone, garbage, behind or edited, they come back."""
    filled(tmp_path)
    tables = tmp_path / "projection.sqlite"

    def gone() -> None:
        tables.unlink()

    def garbage() -> None:
        tables.write_bytes(b"not a database at all" * 400)

    def edited() -> None:
        _sql(tables, "DELETE FROM ledger_events WHERE seq = 3")

    def other() -> None:
        _sql(tables, "UPDATE ledger_meta SET value='f' WHERE name='hash'")
        _sql(tables, "UPDATE ledger_meta SET value='5' WHERE name='seq'")

    def older() -> None:
        _sql(tables, "UPDATE ledger_meta SET value='0' WHERE name='schema'")

    for harm in (gone, garbage, edited, other, older):
        harm()
        with open_ledger(tmp_path) as ledger:
            assert ledger.verify().problems == (), harm.__name__
            assert len(ledger.intents(book=BOOK)) == 5


def test_verification_finds_an_edited_table(tmp_path: Path) -> None:
    """A changed amount in the tables is not in the journal, and verify says where."""
    with open_ledger(tmp_path) as ledger:
        ledger.append_all([opened(), fill(Side.BUY, "10", "100")])
    _sql(tmp_path / "projection.sqlite", "UPDATE ledger_books SET cash='99999999'")
    _sql(tmp_path / "projection.sqlite", "UPDATE ledger_postings SET amount='1' WHERE seq=2")
    with Ledger.read(tmp_path) as reader:
        problems = " ".join(reader.verify().problems)
        assert "projection.sqlite is not as its last writer left it" in problems
        assert reader.book(BOOK).cash == 99_000
    # Without the seal, as when a writer has died over it, every table is compared.
    (tmp_path / "projection.seal").unlink()
    with Ledger.read(tmp_path) as reader:
        problems = " ".join(reader.verify().problems)
    assert "book paper is not the one the journal gives" in problems
    assert "postings of record 2 sum to" in problems
    assert "fill f-" in problems  # and this fill has no order, which the journal itself shows


def test_one_bit_of_the_tables_that_says_another_price_is_not_believed(tmp_path: Path) -> None:
    """SQLite checks its pages' form and not what they say; the seal tells, and they are rebuilt."""
    with open_ledger(tmp_path) as ledger:
        ledger.append_all([opened(), *recorded(intent(7, price="141.17"))])
        sound = ledger.state_hash()
    tables = tmp_path / "projection.sqlite"
    clean = tables.read_bytes()
    assert b"141.17" in clean
    tables.write_bytes(clean.replace(b"141.17", b"141.16"))
    with Ledger.read(tmp_path) as reader:
        assert reader.state_hash() == sound
    with open_ledger(tmp_path) as ledger:
        assert ledger.state_hash() == sound
        assert ledger.verify().is_sound
    assert (tmp_path / "damaged-projection.sqlite").exists()


def test_a_second_writer_trusts_the_tables_of_a_first_that_lives(tmp_path: Path) -> None:
    """Nothing is derived again between turns; whoever goes last leaves the seal."""
    seal = tmp_path / "projection.seal"
    with open_ledger(tmp_path) as first:
        with first.turn():
            first.append_all([opened()])
        place = (tmp_path / "projection.sqlite").stat().st_ino
        with open_ledger(tmp_path) as second:
            second.append_all([opened("second")])
        assert seal.read_bytes() == b""
        with first.turn() as told:
            assert len(told) == 1
    assert len(seal.read_bytes()) == 64
    assert (tmp_path / "projection.sqlite").stat().st_ino == place


def test_a_disk_that_fails_in_mid_write_leaves_nothing_half(tmp_path: Path) -> None:
    """The write is taken back, the error names the trouble, and the next one succeeds."""
    calls = iter([False, True, False, False])

    def failing(descriptor: int, data: bytes, offset: int) -> int:
        if next(calls, False):
            os.pwrite(descriptor, data[: len(data) // 2], offset)
            raise OSError(28, "No space left on device")
        return os.pwrite(descriptor, data, offset)

    with open_ledger(tmp_path, pwrite=failing) as ledger:
        ledger.append_all([opened()])
        size = (tmp_path / JOURNAL_NAME).stat().st_size
        with pytest.raises(StorageUnavailableError, match="No space left") as caught:
            ledger.append_all([opened("second")])
        assert "nothing was recorded" in str(caught.value)
        assert (tmp_path / JOURNAL_NAME).stat().st_size == size
        assert ledger.append_all([opened("second")])[0].seq == 2
        assert ledger.verify().is_sound


def test_a_file_that_may_not_grow_refuses_and_stays_whole(tmp_path: Path) -> None:
    """The system's own limit on file size, met in a real process in the middle of a write."""
    filled(tmp_path, count=2)
    size = (tmp_path / JOURNAL_NAME).stat().st_size
    script = f"""
        import resource
        from pathlib import Path
        from quant.core.errors import StorageUnavailableError
        from resources.ledger import Ledger
        from tests.execution_values import intent, recorded
        ledger = Ledger.open(Path({str(tmp_path)!r}))
        resource.setrlimit(resource.RLIMIT_FSIZE, ({size} + 300, {size} + 300))
        try:
            ledger.append_all(recorded(intent(3, salt="too much")))
        except StorageUnavailableError as error:
            print("refused:", error)
    """
    done = _python(script)
    assert "File too large; nothing was recorded" in done.stdout
    assert (tmp_path / JOURNAL_NAME).stat().st_size == size
    with open_ledger(tmp_path) as ledger:
        assert ledger.torn is None
        assert ledger.head().seq == 3
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_folder_that_cannot_be_written_can_still_be_read(open_folder: Path) -> None:
    """A clear error for the writer, and the tables in memory for the reader."""
    filled(open_folder)
    for path in open_folder.iterdir():
        path.chmod(0o444)
    open_folder.chmod(0o555)
    script = f"""
        import os, sqlite3, sqlalchemy, sqlalchemy.dialects.sqlite
        from pathlib import Path
        from quant.core.errors import StorageUnavailableError
        from resources.ledger import Ledger, projection, verify
        from quant.execution import Mode
        if os.getuid() == 0:
            os.setuid(65534)  # the superuser may write anywhere
        path = Path({str(open_folder)!r})
        try:
            Ledger.open(path)
        except StorageUnavailableError as error:
            print("refused:", error)
        with Ledger.read(path) as reader:
            print("read:", len(reader.intents(book="paper")), reader.damage or "sound")
    """
    done = _python(script)
    assert "refused: the ledger in" in done.stdout, done.stderr
    assert "Permission denied" in done.stdout
    assert "read: 5 sound" in done.stdout, done.stderr


def test_acknowledged_records_survive_a_kill_at_any_moment(tmp_path: Path) -> None:
    """A process writes as fast as it can and prints what was acknowledged; it dies twice."""
    script = f"""
        import itertools, sys
        from pathlib import Path
        from resources.ledger import Ledger
        from tests.execution_values import intent, opened, recorded
        ledger = Ledger.open(Path({str(tmp_path)!r}))
        ledger.append_all([opened()])
        for number in itertools.count(ledger.head().seq):
            batch = [intent(1, salt=f"{{number}}-{{part}}") for part in range(3)]
            done = ledger.append_all(recorded(*batch))
            print(done[-1].seq, flush=True)
    """
    acknowledged = 0
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for _ in range(15):
            acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait()
        acknowledged = int(rest[-1]) if rest else acknowledged
        with open_ledger(tmp_path) as ledger:
            assert ledger.head().seq >= acknowledged
            assert (ledger.head().seq - 1) % 3 == 0  # only whole commits
            assert ledger.verify().is_sound


def test_a_reader_never_sees_what_was_not_acknowledged(tmp_path: Path) -> None:
    """Bytes beyond the head file's record may still be lost, so nothing is derived from them."""
    filled(tmp_path, count=2)
    last = _records(tmp_path)[-1]
    payload = {**last.payload, "key": "unacknowledged"}
    extra = render(
        seq=4, prev_hash=last.hash, recorded_at=last.recorded_at, left=0, payload=payload
    )
    with (tmp_path / JOURNAL_NAME).open("ab") as file:
        file.write(line_of(extra))
    (tmp_path / "projection.sqlite").unlink()
    with Ledger.read(tmp_path) as reader:
        assert reader.head().seq == 3
        assert reader.damage == ""


def test_a_bad_database_address_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """An unknown driver is a setting to correct, not a traceback."""
    with pytest.raises(UsageError, match="database address") as caught:
        open_ledger(tmp_path, url="nosuch://host/db")
    assert "PMX_LEDGER_URL" in caught.value.remedy


def test_two_ledgers_cannot_share_one_set_of_tables(tmp_path: Path) -> None:
    """The tables at an address remember whose they are."""
    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with open_ledger(tmp_path / "one", url=url) as ledger:
        ledger.append_all([opened("first")])
    with open_ledger(tmp_path / "two") as ledger:
        ledger.append_all([opened("second"), opened("third")])
    with pytest.raises(StateError, match=r"belong to another ledger|damaged"):
        open_ledger(tmp_path / "two", url=url)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach, which pytest's own cannot."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "ledger"
        folder.mkdir(mode=0o755)
        Path(name).chmod(0o755)
        yield folder
        folder.chmod(0o755)


def _python(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _records(directory: Path) -> list[Record]:
    records: list[Record] = []
    take: Callable[[Record], None] = records.append
    scan(directory / JOURNAL_NAME, take)
    return records


def _flip(path: Path, place: int, *, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def _sql(path: Path, statement: str) -> None:
    import sqlite3

    with sqlite3.connect(path) as connection:
        assert connection.execute(statement).rowcount >= 1
    connection.close()


def test_time_in_the_journal_is_the_clock_that_was_given(tmp_path: Path) -> None:
    """No record reads the machine's clock behind the caller's back."""
    filled(tmp_path, count=1)
    assert {one.recorded_at for one in _records(tmp_path)} == {
        dt.datetime(2022, 11, 28, 21, 30, tzinfo=dt.UTC).isoformat()
    }
