"""The stand-alone verifier of docs/, loaded by its path as an auditor would run it."""

import importlib.util
from types import ModuleType

from resources.settings import project_root

PATH = project_root() / "docs" / "verify_ledger.py"


def load_verifier() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_ledger", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
