"""A key pair that cannot be printed, pickled or logged by accident."""

from dataclasses import dataclass, field
from typing import NoReturn

from quant.core.errors import UsageError
from resources.settings import Settings


@dataclass(frozen=True, slots=True)
class Credentials:
    """What opens an account. Neither part is in `repr`, since key ids are secrets at Binance."""

    key_id: str = field(repr=False)
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.key_id or not self.secret:
            raise UsageError(
                "a broker needs a key id and a secret, and one of them is empty",
                remedy="set both variables; docs/brokers.md names them",
            )

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not pickled: pass their variable's name instead")

    def scrub(self, text: str) -> str:
        """`text` without either part."""
        return text.replace(self.secret, "***").replace(self.key_id, "***")


def credentials_of(settings: Settings, venue: str) -> Credentials:
    """PMX_<VENUE>_KEY_ID and PMX_<VENUE>_SECRET_KEY of this installation."""
    names = (f"PMX_{venue.upper()}_KEY_ID", f"PMX_{venue.upper()}_SECRET_KEY")
    found = [settings.secret(name) for name in names]
    missing = [name for name, value in zip(names, found, strict=True) if not value]
    if missing:
        raise UsageError(
            f"{venue} needs credentials, and {' and '.join(missing)} is not set",
            remedy=f"export {names[0]}=... and {names[1]}=...",
        )
    return Credentials(str(found[0]), str(found[1]))
