"""Ed25519 over the text of certificates: the key is a credential, its public half is for everyone.

Belongs here: signing and checking with the package `cryptography`, keys from the environment's
credentials. Does not belong here: what is signed (`quant.governance.certification`).

`PMX_CERTIFICATE_KEY` holds 64 hexadecimal digits, the private seed. A machine that only checks sets
`PMX_CERTIFICATE_PUBLIC_KEY`. With neither, certificates carry their hash alone.
"""

from typing import Any, Final

from quant.core.errors import UsageError
from resources.settings import Settings

SIGNING_KEY: Final = "PMX_CERTIFICATE_KEY"
PUBLIC_KEY: Final = "PMX_CERTIFICATE_PUBLIC_KEY"
_SEED_BYTES: Final = 32


class Ed25519Verifier:
    """Knows one public key."""

    def __init__(self, public: bytes) -> None:
        self.public = public

    def holds(self, text: str, signature: str) -> bool:
        """Whether the key's owner signed exactly this text."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            found = bytes.fromhex(signature)
            Ed25519PublicKey.from_public_bytes(self.public).verify(found, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


class Ed25519Signer:
    """Holds a private key; its name is the beginning of the public one."""

    def __init__(self, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key: Any = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> bytes:
        """The public half."""
        return bytes(self._key.public_key().public_bytes_raw())

    @property
    def key_id(self) -> str:
        """Names the key without giving it away."""
        return f"ed25519:{self.public.hex()[:16]}"

    def sign(self, text: str) -> str:
        """The signature in hexadecimal digits."""
        return bytes(self._key.sign(text.encode())).hex()


def signer_of(settings: Settings) -> Ed25519Signer | None:
    """The configured signer, if this machine has the private key."""
    seed = settings.secret(SIGNING_KEY)
    return Ed25519Signer(_bytes(seed, SIGNING_KEY)) if seed else None


def verifier_of(settings: Settings) -> Ed25519Verifier | None:
    """Who checks certificates here; with a key configured, an unsigned one does not count."""
    public = settings.secret(PUBLIC_KEY)
    if public:
        return Ed25519Verifier(_bytes(public, PUBLIC_KEY))
    signer = signer_of(settings)
    return Ed25519Verifier(signer.public) if signer else None


def _bytes(text: str, variable: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != _SEED_BYTES:
        # The value is not repeated: it is a credential.
        raise UsageError(
            f"{variable} is not a key of {_SEED_BYTES} bytes in hexadecimal digits",
            remedy="make one: python -c 'import secrets; print(secrets.token_hex(32))'",
        )
    return found
