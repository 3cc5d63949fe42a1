"""The ledger: an append-only journal that is the authority, and SQL tables derived from it."""

from resources.ledger.checkpoints import Checkpoint, Checkpointer, read_checkpoints
from resources.ledger.journal import Head, TornTail
from resources.ledger.ledger import Ledger, OrderStatus, Recorded
from resources.ledger.salvage import Salvage, salvage

__all__ = [
    "Checkpoint",
    "Checkpointer",
    "Head",
    "Ledger",
    "OrderStatus",
    "Recorded",
    "Salvage",
    "TornTail",
    "read_checkpoints",
    "salvage",
]
