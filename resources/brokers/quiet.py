"""Third-party loggers that would write secrets, held at INFO.

At DEBUG urllib3 writes signed URLs, ccxt the key itself, and websockets whole frames with logins.
"""

import logging
from typing import Final

LOUD: Final = ("urllib3", "ccxt", "websockets")


def quieten() -> None:
    """Called by every adapter; a level that somebody set higher stays."""
    for name in LOUD:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.INFO))
