"""`pmx demo` on the cut-down bundle, as a process of its own that a test may kill.

PMX_HOME=... PMX_CONFIG_DIR=... python -m tests.support.small_demo [--json]
"""

import sys

from apps.cli.main import main
from resources.settings import Settings
from tests.support.small_home import SESSIONS, UNTIL, small_bundle

if __name__ == "__main__":
    with small_bundle(Settings.from_env()):
        command = ["demo", "--sessions", str(SESSIONS), "--until", str(UNTIL), *sys.argv[1:]]
        sys.exit(main(command))
