"""Every exception the domain raises on purpose, sorted by what the caller should do.

PmxError
    UsageError                the request is wrong: change the command, file or setting
        PolicyError           a policy file is wrong: file, key, value and remedy are named
    DataError                 the inputs are wrong: quarantine, alert, do not retry
    ModelError                the estimate cannot be trusted: fall back, record the chain
    LimitBreachError          a rule said no: expected, recorded, never swallowed
    StateError                what is stored cannot be trusted or used: stop, repair, then go on
        StorageUnavailableError  disk full, read-only or locked: nothing was written, try later
        LedgerDamagedError    the journal's chain is broken: start paused, say what is missing
        LakeDamagedError      the warehouse cannot be read: restore or rebuild from raw
    SourceError               a data source failed
        SourceUnavailableError   transient: retry, then fail over
        SourceRefusedError    permanent for this request (key, symbol, range): fail over at once
        SourceAnswerError     an answer came that cannot be believed: fail over, keep the evidence
    VenueError                the trading venue failed
        VenueUnavailableError nothing was sent: safe to retry with the same id
        OrderUnknownError     something may have been sent: reconcile first
"""


class PmxError(Exception):
    """Base of everything below; `remedy` says what to do about it."""

    exit_code = 1
    # What to do where whoever raised it had nothing better to say.
    usual_remedy = ""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy or self.usual_remedy


class UsageError(PmxError):
    """The request cannot be carried out as asked."""

    exit_code = 2


class PolicyError(UsageError):
    """A policy file or setting is wrong."""


class DataError(PmxError):
    """The inputs violate a stated contract."""

    exit_code = 3


class ModelError(PmxError):
    """The estimate cannot be trusted."""

    exit_code = 4


class LimitBreachError(PmxError):
    """A hard limit would be exceeded."""

    exit_code = 5

    def __init__(self, *, limit: str, value: float, maximum: float) -> None:
        super().__init__(f"{limit}: {value:.4f} exceeds {maximum:.4f}")
        self.limit = limit
        self.value = value
        self.maximum = maximum


class StateError(PmxError):
    """What is stored cannot be trusted or used."""

    exit_code = 6


class StorageUnavailableError(StateError):
    """The disk is full, read-only or held by another process; nothing was written."""


class LedgerDamagedError(StateError):
    """The journal's chain is broken."""


class LakeDamagedError(StateError):
    """The warehouse cannot be read."""


class SourceError(PmxError):
    """A data source failed."""

    exit_code = 7


class SourceUnavailableError(SourceError):
    """Transient: worth a retry, then the next source."""


class SourceRefusedError(SourceError):
    """Permanent for this request: key, symbol or range."""


class SourceAnswerError(SourceError):
    """An answer came that cannot be believed."""


class VenueError(PmxError):
    """A venue or its connection failed."""

    exit_code = 8


class VenueUnavailableError(VenueError):
    """Nothing was sent."""

    usual_remedy = "ask again later; nothing is known until then"


class OrderUnknownError(VenueError):
    """Something may have been sent."""

    usual_remedy = "look the order up by its client order id before anything else"
