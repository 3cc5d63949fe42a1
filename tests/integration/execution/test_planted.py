"""The tests can see: a handful of planted defects here, all of them by `make planted`."""

from pathlib import Path

import pytest

from tests.planted.defects import DEFECTS, Defect
from tests.planted.plant import ROOT, copy_of_the_code, plant, planted
from tests.reliability.planted_defects import HANDFUL


@pytest.fixture(scope="module")
def spoilable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_code(tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("name", HANDFUL)
def test_the_simulation_alone_sees_what_would_cost_money(name: str, spoilable: Path) -> None:
    """Twice the fill, twice the order, a call during a ban, cash spent twice."""
    [defect] = [one for one in DEFECTS if one.name == name]
    assert plant(defect, spoilable, unit_tests=False).seen_by == "simulation"


def test_every_defect_has_its_one_place_in_the_code() -> None:
    """A table that no longer fits the code would plant nothing and see everything."""
    assert len(DEFECTS) >= 60
    assert len({one.name for one in DEFECTS}) == len(DEFECTS)
    for defect in DEFECTS:
        sound = (ROOT / defect.file).read_text(encoding="utf-8")
        compile(planted(defect, sound), defect.file, "exec")


def test_a_defect_without_its_place_is_refused() -> None:
    """Silence would be the worst answer."""
    with pytest.raises(ValueError, match="0 places for: x"):
        planted(Defect("x", "quant/a.py", "never there", ""), "code")
