"""Records changes of policy in the governance journal, before a night is decided under them.

Belongs here: the files as they lie on the disk, and when to look. Does not belong here: what counts
as a change (`quant.governance.policy_changes`), or switches, which have a record of their own.
"""

import datetime as dt
import pwd
from pathlib import Path

from assets.governing import journal_of
from quant.governance.policy_changes import PolicyFile, policy_changes
from quant.governance.records import PolicyChanged
from resources.desk import Desk

_DONE = "policy_record"


def record_policy_changes(desk: Desk) -> list[PolicyChanged]:
    """What is new since the last record; a desk reads its policies once, so it looks once."""
    done = (_DONE, desk.policies.content_hash)
    if done in desk.memory:
        return []
    journal = journal_of(desk)
    found = policy_changes(policy_files(desk), journal.records(), now=desk.clock.now())
    if found:
        journal.append(found)
    desk.memory[done] = True
    return found


def policy_files(desk: Desk) -> list[PolicyFile]:
    """Every policy of this desk with its file's owner and time."""
    found = []
    for name, policy in sorted(desk.policies.policies.items()):
        owner, written = _of_the_disk(desk.settings.config_dir / f"{name}.yaml")
        found.append(
            PolicyFile(
                name=name, values=policy.model_dump(mode="json"), owner=owner, written_at=written
            )
        )
    return found


def _of_the_disk(path: Path) -> tuple[str, dt.datetime]:
    known = path.stat()
    try:
        owner = pwd.getpwuid(known.st_uid).pw_name
    except KeyError:  # a container may run as a number that has no name
        owner = str(known.st_uid)
    return owner, dt.datetime.fromtimestamp(known.st_mtime, dt.UTC)
