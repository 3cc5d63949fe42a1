"""`pmx ledger verify`: is the record of what happened unbroken, and is it what was signed."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.cli.result import Cli, CommandResult

# An Ed25519 key.
_KEY = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerVerdict(CommandResult):
    """What was read and what was wrong with it."""

    holds: bool
    records: int
    signed_records: int
    checkpoints: int
    head: str
    public_key: str
    torn_bytes: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """1 when anything is wrong."""
        return 0 if self.holds else 1

    def render(self, console: Any) -> None:
        """The problems first, then the sums."""
        for problem in self.problems:
            console.print(f"WRONG  {problem}", soft_wrap=True, markup=False)
        for note in self.notes:
            console.print(f"note   {note}", soft_wrap=True, markup=False)
        console.print(
            f"{self.records} records, {self.signed_records} of them under {self.checkpoints} "
            f"signed checkpoints: {'sound' if self.holds else 'NOT SOUND'}"
        )


def verify(
    cli: Cli,
    checkpoints: Annotated[
        Path | None,
        typer.Option(help="A file of checkpoints that was kept elsewhere; default: both places."),
    ] = None,
    public_key: Annotated[
        str, typer.Option(help="The key that must have signed them, in hexadecimal.")
    ] = "",
) -> LedgerVerdict:
    """Read journal, tables and checkpoints again, from the first record to the last."""
    from quant.core.errors import UsageError
    from resources.desk import Desk
    from resources.ledger import Ledger
    from resources.ledger.audit import audit_checkpoints

    folder = cli.settings.paths.ledger
    if not (folder / "journal.jsonl").exists():
        raise UsageError(
            f"there is no ledger in {folder}", remedy="run pmx nightly or pmx demo, or name --home"
        )
    if checkpoints is not None and not checkpoints.is_file():
        raise UsageError(f"{checkpoints} is no file", remedy="name a file of checkpoints")
    if public_key and not _KEY.fullmatch(public_key):
        raise UsageError(
            f"--public-key holds {public_key[:40]!r}, which is not 64 hexadecimal digits",
            remedy="pmx ledger verify prints the key of this installation",
        )
    with Ledger.read(folder, url=cli.settings.ledger_url) as ledger:
        report = ledger.verify()
    signer = Desk(cli.settings).checkpointer()
    signed = audit_checkpoints(folder, signer, named=checkpoints, public_key=public_key)
    problems = (*report.problems, *signed.problems)
    return LedgerVerdict(
        holds=not problems,
        records=report.records,
        signed_records=signed.signed_records,
        checkpoints=signed.checkpoints,
        head=report.head.hash,
        public_key=signed.public_key,
        torn_bytes=report.torn_bytes,
        problems=problems,
        notes=signed.notes,
    )
