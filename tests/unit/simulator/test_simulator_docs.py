"""The page about the simulator names every fault and every operation, and its example is valid."""

import re

from apps.simulator.faults import OPERATIONS, Fault, FaultFile
from resources.settings import project_root

PAGE = (project_root() / "docs" / "brokers.md").read_text(encoding="utf-8")


def test_every_fault_and_operation_is_documented() -> None:
    assert sorted(fault for fault in Fault if f"`{fault}`" not in PAGE) == []
    assert [name for name in OPERATIONS if name not in PAGE] == []


def test_the_example_of_the_page_is_a_fault_file() -> None:
    example = re.search(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    assert example
    assert len(FaultFile.model_validate_json(example.group(1)).rules) == 7
