"""The short form of goal 11: a thousand wrong inputs, and good files damaged for a second."""

from tests.reliability import bad_input
from tests.reliability.goal import Form


def test_wrong_input_through_every_door_is_one_clear_error() -> None:
    """Also: what a message says is what a person has read (`golden_messages.txt`)."""
    found = bad_input.run(Form.SHORT)
    assert found.holds, found
    assert found.figures["wrong inputs"] >= 500
    assert found.figures["damaged files (fuzz)"] >= 200
    assert all(found.figures[f"of them: {door}"] >= 50 for door in bad_input.DOORS)
