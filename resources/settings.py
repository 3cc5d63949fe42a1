"""Settings of this installation, read from the environment once, when asked.

Belongs here: where things lie (home, database addresses), which book is used, how loud the log is.
Does not belong here: policy that a person decides about trading (`config/*.yaml`, read by
`resources.policy`), and any reading of the environment at import.
"""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from quant.core.errors import UsageError

T = TypeVar("T")

# One sentence each; `pmx config show` and the documentation print this table.
VARIABLES: Final[Mapping[str, str]] = {
    "PMX_HOME": "folder of all state; default: var in the project",
    "PMX_CONFIG_DIR": "folder of the policy files; default: config in the project",
    "PMX_CATALOG_URL": "warehouse catalog, such as postgresql://host/db; default: SQLite",
    "PMX_LAKE_URL": "warehouse data, a folder or s3://bucket/prefix; default: lake under home",
    "PMX_LEDGER_URL": "ledger projection, such as postgresql://host/db; default: SQLite under home",
    "PMX_CHECKPOINTS": "second place for the ledger's signed checkpoints, best another disk or "
    "host; default: checkpoints under home",
    "PMX_MLFLOW_URL": "MLflow tracking store or server; default: SQLite under home",
    "PMX_DAGSTER_HOME": "Dagster's own state; default: dagster under home",
    "PMX_BOOK": "the book that runs write to; default: paper",
    "PMX_LONG_ONLY": "true refuses short targets; default: true",
    "PMX_WORKERS": "processes that fit models; default: the CPUs this process may use, at most 8",
    "PMX_FIT_BACKEND": "where fits run: loky, threading, sequential, dask or ray, or a cluster's "
    "address, dask://host:port or ray://host:port; default: fit_backend of forecasts.yaml",
    "PMX_LOG_LEVEL": "debug, info, warning or error; default: info",
    "PMX_NO_COLOR": "true prints without colours; default: false",
}

# Any PMX_ variable that ends so is a credential: kept, never printed, never warned about.
SECRET_SUFFIXES: Final = ("_KEY", "_KEY_ID", "_SECRET", "_TOKEN", "_PASSWORD", "_PASSPHRASE")

LOG_LEVELS: Final = ("debug", "info", "warning", "error")
WORKERS_MAX: Final = 256
# What file systems take.
_PATH_LENGTH_MAX: Final = 4_096

_BOOK = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_PASSWORD_IN_QUERY = re.compile(r"(?i)(?<=[?&])((?:password|secret|token|key)=)[^&\s]+")
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/@\s:]*):([^/\s]*)@")


def project_root() -> Path:
    """The folder that holds `config/` and `data/`: the checkout, else the current folder."""
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def mask_url(url: str) -> str:
    """The address with its password replaced."""
    return _PASSWORD_IN_QUERY.sub(r"\1***", _PASSWORD_IN_URL.sub(r"\1:***@", url))


@dataclass(frozen=True, slots=True)
class Paths:
    """Where each kind of state lies under home. Naming a path does not create it."""

    home: Path

    @property
    def lake(self) -> Path:
        """Parquet files of the warehouse."""
        return self.home / "lake"

    @property
    def catalog(self) -> Path:
        """The embedded warehouse catalog."""
        return self.home / "lake" / "catalog.sqlite"

    @property
    def ledger(self) -> Path:
        """The journal and its SQL projection."""
        return self.home / "ledger"

    @property
    def ledger_key(self) -> Path:
        """What signs the ledger's checkpoints; made on first use, readable by its owner alone."""
        return self.home / "keys" / "ledger.ed25519"

    @property
    def inbox(self) -> Path:
        """Files of bars that the source `folder` reads night by night."""
        return self.home / "inbox"

    @property
    def news(self) -> Path:
        """Files of news that are read night by night."""
        return self.home / "news"

    @property
    def language(self) -> Path:
        """What language models answered, and what that cost."""
        return self.home / "language"

    @property
    def reports(self) -> Path:
        """HTML reports, one folder a run."""
        return self.home / "reports"

    @property
    def data_docs(self) -> Path:
        """Pages that Great Expectations writes about the data."""
        return self.home / "data_docs"

    @property
    def mlflow(self) -> Path:
        """MLflow's database and artifacts."""
        return self.home / "mlflow"

    @property
    def dagster(self) -> Path:
        """The default DAGSTER_HOME."""
        return self.home / "dagster"

    @property
    def cache(self) -> Path:
        """Answers of data sources; may be deleted at any time."""
        return self.home / "cache"

    @property
    def calls(self) -> Path:
        """How much of each venue's limit was used in this minute, by all processes of this home."""
        return self.home / "calls"

    @property
    def logs(self) -> Path:
        """One file for the command line and one per server."""
        return self.home / "logs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the environment decides. An address that is None means the embedded default."""

    home: Path
    config_dir: Path
    catalog_url: str | None = None
    lake_url: str | None = None
    ledger_url: str | None = None
    checkpoints_dir: Path | None = None
    mlflow_url: str
    dagster_home: Path
    book: str = "paper"
    long_only: bool = True
    workers: int = 1
    fit_backend: str | None = None
    log_level: str = "info"
    no_color: bool = False
    # Credentials by variable name; out of `repr` so that no log can show them by accident.
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, home: Path | None = None
    ) -> "Settings":
        """Read PMX_* now; `home` (the option --home) wins over PMX_HOME.

        An empty variable counts as not set. A wrong value raises `UsageError`.
        """
        read = _Reader(os.environ if environ is None else environ)
        root = project_root()
        place = _path(str(home)) if home is not None else read("PMX_HOME", _path, root / "var")
        paths = Paths(place)
        return cls(
            home=place,
            config_dir=read("PMX_CONFIG_DIR", _path, root / "config"),
            catalog_url=read("PMX_CATALOG_URL", _database, None),
            lake_url=read("PMX_LAKE_URL", _storage, None),
            ledger_url=read("PMX_LEDGER_URL", _database, None),
            checkpoints_dir=read("PMX_CHECKPOINTS", _path, place / "checkpoints"),
            mlflow_url=read("PMX_MLFLOW_URL", _tracking, f"sqlite:///{paths.mlflow / 'mlflow.db'}"),
            dagster_home=read("PMX_DAGSTER_HOME", _path, paths.dagster),
            book=read("PMX_BOOK", _book, "paper"),
            long_only=read("PMX_LONG_ONLY", _claim, True),
            workers=read("PMX_WORKERS", _workers, _usable_cpus()),
            fit_backend=read("PMX_FIT_BACKEND", _fit_backend, None),
            log_level=read("PMX_LOG_LEVEL", _log_level, "info"),
            # https://no-color.org: any value but an empty one switches colours off.
            no_color=read("PMX_NO_COLOR", _claim, bool(read.environ.get("NO_COLOR"))),
            secrets=read.secrets(),
            warnings=read.warnings(),
        )

    @property
    def paths(self) -> Paths:
        """Where each kind of state lies."""
        return Paths(self.home)

    @property
    def mlflow_artifacts(self) -> Path:
        """Artifacts of the embedded MLflow store."""
        return self.paths.mlflow / "artifacts"

    def secret(self, name: str) -> str | None:
        """A credential by its variable's name, or None when it is not set."""
        return self.secrets.get(name)

    def shown(self) -> dict[str, str | bool | int | None]:
        """What may be printed: passwords and credentials masked."""
        rows: dict[str, str | bool | int | None] = {
            "home": str(self.home),
            "config_dir": str(self.config_dir),
            "catalog_url": self.catalog_url and mask_url(self.catalog_url),
            "lake_url": self.lake_url and mask_url(self.lake_url),
            "ledger_url": self.ledger_url and mask_url(self.ledger_url),
            "checkpoints_dir": str(self.checkpoints_dir) if self.checkpoints_dir else None,
            "mlflow_url": mask_url(self.mlflow_url),
            "dagster_home": str(self.dagster_home),
            "book": self.book,
            "long_only": self.long_only,
            "workers": self.workers,
            "fit_backend": self.fit_backend and mask_url(self.fit_backend),
            "log_level": self.log_level,
            "no_color": self.no_color,
        }
        return rows | dict.fromkeys(sorted(self.secrets), "***")

    def __repr__(self) -> str:
        """Safe to log: what `shown` gives."""
        return f"Settings({', '.join(f'{name}={value}' for name, value in self.shown().items())})"


class _WrongValueError(ValueError):
    """What a variable must be, said by the parser that refused it."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Looks variables up and turns a parser's refusal into one clear error."""

    environ: Mapping[str, str]

    def __call__(self, name: str, parse: Callable[[str], T], default: T) -> T:
        text = self.environ.get(name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except _WrongValueError as error:
            # The value itself is not repeated: a credential may have landed in the wrong variable.
            raise UsageError(
                f"the environment variable {name} holds {_kind(text)}, but must be {error}",
                remedy=f"set {name} to {error}, or unset it for the default",
            ) from None

    def secrets(self) -> dict[str, str]:
        return {name: text for name, text in self.environ.items() if _is_secret(name) and text}

    def warnings(self) -> tuple[str, ...]:
        ours = (name for name in self.environ if name.startswith("PMX_"))
        unknown = sorted(name for name in ours if name not in VARIABLES and not _is_secret(name))
        return tuple(_unknown_variable(name) for name in unknown)


def _is_secret(name: str) -> bool:
    return name.startswith("PMX_") and name.endswith(SECRET_SUFFIXES)


def _unknown_variable(name: str) -> str:
    near = difflib.get_close_matches(name, VARIABLES, n=1)
    hint = f"did you mean {near[0]}?" if near else "`pmx config show` lists the known ones"
    return f"the environment variable {name} is not known and has no effect; {hint}"


def _kind(text: str) -> str:
    if re.fullmatch(r"[+-]?\d+", text):
        return "a whole number"
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        return "a decimal number"
    if text.lower() in _TRUE | _FALSE:
        return "a yes or no"
    if "://" in text:
        return f"an address of kind {text.split('://', 1)[0][:20]!r}"
    return f"text of {len(text)} characters"


def _path(text: str) -> Path:
    if not text.isprintable() or len(text) > _PATH_LENGTH_MAX:
        raise _WrongValueError(
            f"a path without null characters or others that cannot be seen, of at most "
            f"{_PATH_LENGTH_MAX} characters"
        )
    # Absolute from here on: servers and workers run in other folders.
    return Path(os.path.abspath(os.path.expanduser(text)))


def _claim(text: str) -> bool:
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise _WrongValueError("true or false")
    return word in _TRUE


def _workers(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= WORKERS_MAX:
        raise _WrongValueError(f"a whole number from 1 to {WORKERS_MAX}")
    return int(text)


def _fit_backend(text: str) -> str:
    from quant.core.clusters import Backend

    try:
        Backend.parse(text)
    except UsageError as error:
        raise _WrongValueError(
            "loky, threading, sequential, dask, ray, dask://host:port or ray://host:port"
        ) from error
    return text


def _log_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise _WrongValueError(f"one of {', '.join(LOG_LEVELS)}")
    return text.lower()


def _book(text: str) -> str:
    if not _BOOK.fullmatch(text):
        raise _WrongValueError(
            "a book's name: a lower-case letter, then letters, digits, - or _, at most 32 in all"
        )
    return text


def _address(text: str, schemes: tuple[str, ...], expected: str) -> str:
    scheme = text.split("://", 1)[0].split("+", 1)[0] if "://" in text else ""
    if scheme not in schemes:
        raise _WrongValueError(expected)
    return text


def _database(text: str) -> str:
    return _address(
        text,
        ("postgresql", "postgres", "sqlite"),
        "postgresql://user@host:port/database or sqlite:///path",
    )


def _storage(text: str) -> str:
    if "://" not in text:
        return str(_path(text))
    return _address(text, ("s3", "gs", "az", "file"), "a folder or s3://bucket/prefix")


def _tracking(text: str) -> str:
    return _address(
        text,
        ("postgresql", "postgres", "sqlite", "http", "https"),
        "sqlite:///path, postgresql://user@host/database or http://host:port",
    )


def _usable_cpus() -> int:
    # Eight because each worker holds its own copy of the numerical libraries (about 200 MB); a
    # person with memory to spare sets PMX_WORKERS.
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(usable or 1, 8))
