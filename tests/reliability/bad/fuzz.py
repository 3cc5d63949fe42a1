"""Good files with bytes overwritten, cut out and put in: sound, refused, and nothing else.

Seeded, so that a crash is found again by its seed and number.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pandas as pd

from apps.simulator.faults import read_faults
from quant.core.errors import PmxError
from resources.market_data.folder import read_bar_files
from resources.market_data.news_files import read_news
from resources.policy import POLICY_FILES, load_policy, model_of
from resources.policy_yaml import BYTES_MAX
from resources.settings import project_root
from tests.reliability.bad.tables import BAR, GOOD_DAYS, NEWS, NOW

SEED: Final = 20_260_302
EDITS_MAX: Final = 4
CUT_MAX: Final = 12
# What parsers trip over more often than over chance.
PIECES: Final = (
    *(b"\0", b"\n", b"\r", b'"', b"'", b",", b":", b"-", b"{", b"[", b"]", b"}", b"*", b"&", b"!"),
    *(b"\xff", b"\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"NaN", b"Infinity", b"1e999", b"-0"),
    *(b"9" * 50, b"null", b"\xe2\x80\xae", b"2024-02-30", b"<<: ", b"!!python/name:os.system "),
)


@dataclass(slots=True)
class FuzzTally:
    """What came of the damaged files."""

    inputs: int = 0
    refused: int = 0
    crashes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Target:
    """A good file, and what reads it."""

    name: str
    content: bytes
    read: Callable[[Path], object]


def fuzz(folder: Path, *, seconds: float, seed: int = SEED) -> FuzzTally:
    """Damage and read for so long."""
    tally = FuzzTally()
    targets = list(_targets(folder))
    chance = random.Random(seed)
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        target = targets[tally.inputs % len(targets)]
        tally.inputs += 1
        _try(tally, target, folder, damaged(target.content, chance))
    return tally


def damaged(content: bytes, chance: random.Random) -> bytes:
    """A few edits at places of chance; now and then the end is cut off."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, EDITS_MAX)):
        at = chance.randrange(len(changed) + 1)
        cut = chance.randint(0, CUT_MAX)
        is_piece = chance.random() < 0.5
        changed[at : at + cut] = chance.choice(PIECES) if is_piece else chance.randbytes(cut)
    if chance.random() < 0.1:
        del changed[chance.randrange(len(changed) + 1) :]
    return bytes(changed[:BYTES_MAX])


def _try(tally: FuzzTally, target: _Target, folder: Path, content: bytes) -> None:
    path = folder / target.name
    path.write_bytes(content)
    try:
        target.read(path)
    except PmxError as error:
        tally.refused += 1
        if not error.remedy or not f"{error}{error.remedy}".isprintable():
            tally.crashes.append(f"{target.name}, input {tally.inputs}: unclear: {error}"[:300])
    except Exception as error:
        words = f"{target.name}, input {tally.inputs}: {type(error).__name__}: {error}"
        tally.crashes.append(words[:300])


def _targets(folder: Path) -> Iterator[_Target]:
    for file in POLICY_FILES:
        if file != "frontier":  # twenty times as long as the others; one of its kind is enough
            content = (project_root() / "config" / f"{file}.yaml").read_bytes()
            yield _Target(f"{file}.yaml", content, lambda p, f=file: load_policy(p, model_of(f)))
    bars = pd.DataFrame([BAR | {"date": day} for day in GOOD_DAYS])
    news = [NEWS | {"symbol": name} for name in ("AAPL", "MSFT")]
    bars.to_parquet(folder / "good.parquet")
    pd.DataFrame(news).to_parquet(folder / "good_news.parquet")
    for name, content in (
        ("bars.csv", bars.to_csv(index=False).encode()),
        ("bars.parquet", (folder / "good.parquet").read_bytes()),
    ):
        yield _Target(name, content, lambda p: read_bar_files(p, now=NOW))
    for name, content in (
        ("news.csv", pd.DataFrame(news).to_csv(index=False).encode()),
        ("news.jsonl", "".join(json.dumps(row) + "\n" for row in news).encode()),
        ("news.parquet", (folder / "good_news.parquet").read_bytes()),
    ):
        yield _Target(name, content, lambda p: read_news(p, now=NOW, until=NOW))
    faults = json.dumps({"rules": [{"fault": "page", "on": ["list"], "share": 0.5}]}).encode()
    yield _Target("faults.json", faults, read_faults)
