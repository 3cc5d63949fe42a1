"""The command line of the MLflow server, from `mlflow/server.yaml`.

Belongs here: reading that file and building arguments. Starting and stopping is the caller's.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quant.core.errors import PolicyError

_SECTIONS = ("options", "flags", "environment")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What the file says: options with a value, flags without one, and environment variables."""

    options: Mapping[str, str]
    flags: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def base_url(self) -> str:
        """Where the UI answers."""
        return f"http://{self.options.get('host', '127.0.0.1')}:{self.options.get('port', '5000')}"

    def command(self, *, url: str, artifact_root: str) -> list[str]:
        """The arguments that start the server on the store at `url`."""
        parts = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", url]
        if artifact_root:
            parts += ["--default-artifact-root", artifact_root]
        for name, value in self.options.items():
            parts += [f"--{name}", value]
        return parts + [f"--{name}" for name in self.flags]


def read_server_config(path: Path) -> ServerConfig:
    """Read the file; `PolicyError` names what is wrong in it."""
    import yaml

    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _wrong(path, f"it cannot be read ({error})") from error
    if not isinstance(plain, dict) or set(plain) - set(_SECTIONS):
        raise _wrong(path, f"it may have the keys {', '.join(_SECTIONS)} and no other")
    options, flags = plain.get("options") or {}, plain.get("flags") or []
    environment = plain.get("environment") or {}
    if not isinstance(options, dict) or not isinstance(environment, dict):
        raise _wrong(path, "options and environment must map names to values")
    if not isinstance(flags, list):
        raise _wrong(path, "flags must be a list of names")
    for name in (*options, *flags):
        if not re.fullmatch(r"[a-z][a-z-]*", str(name)):
            raise _wrong(path, f"{name!r} is not an option's name")
    return ServerConfig(
        options={str(name): str(value) for name, value in options.items()},
        flags=tuple(str(name) for name in flags),
        environment={str(name): str(value) for name, value in environment.items()},
    )


def _wrong(path: Path, what: str) -> PolicyError:
    return PolicyError(f"{path}: {what}", remedy="compare it with the file in the repository")
