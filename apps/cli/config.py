"""`pmx config`: what is in force, whether it is sound, and who changed it when."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from apps.cli.result import Cli, CommandResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown(CommandResult):
    """Settings from the environment and policies from the files, credentials masked."""

    settings: dict[str, Any]
    policies: dict[str, dict[str, Any]]
    policy_hash: str

    def render(self, console: Any) -> None:
        """One line a value; a value of None means the embedded default."""
        console.print("settings (PMX_* in the environment):")
        for name, value in self.settings.items():
            console.print(f"  {name}: {'(embedded default)' if value is None else value}")
        for name, policy in self.policies.items():
            console.print(f"{name} (config/{name}.yaml):")
            for key, value in policy.items():
                console.print(f"  {key}: {value}")
        console.print(f"policy hash: {self.policy_hash}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked(CommandResult):
    """Every problem in every policy file."""

    folder: str
    problems: list[dict[str, Any]]

    @property
    def exit_code(self) -> int:
        """2, as any other command would end on these files."""
        return 2 if self.problems else 0

    def to_json(self) -> dict[str, Any]:
        """The claim first."""
        return {"holds": not self.problems, "folder": self.folder, "problems": self.problems}

    def render(self, console: Any) -> None:
        """Two lines a problem."""
        for problem in self.problems:
            console.print(f"{problem['message']}\n  do this: {problem['remedy']}")
        count = len(self.problems)
        console.print(
            f"{count} problem{'s' if count > 1 else ''} in {self.folder}"
            if count
            else f"every policy file in {self.folder} is sound"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """One value that a night found changed; empty text is a key that was not there."""

    policy: str
    key: str
    before: str
    after: str
    actor: str
    changed_at: dt.datetime
    noticed_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class History(CommandResult):
    """Changes of policy files as the journal has them, oldest first."""

    first_recorded: dict[str, dt.datetime]
    changes: tuple[PolicyChange, ...]

    def render(self, console: Any) -> None:
        """One line a value."""
        for one in self.changes:
            console.print(
                f"{one.changed_at:%Y-%m-%d %H:%M}Z {one.actor} changed {one.policy}.{one.key} "
                f"from {one.before or 'nothing'} to {one.after or 'nothing'}",
                soft_wrap=True,
                markup=False,
            )
        if not self.changes:
            console.print(
                f"no change since the first record of {len(self.first_recorded)} files"
                if self.first_recorded
                else "nothing is recorded yet: the first night that is decided does that"
            )


def show(cli: Cli) -> Shown:
    """Print settings and policies."""
    from resources.policy import load_all

    policies = load_all(cli.settings.config_dir)
    return Shown(
        settings=cli.settings.shown(),
        policies={name: p.model_dump(mode="json") for name, p in policies.policies.items()},
        policy_hash=policies.content_hash,
    )


def check(cli: Cli) -> Checked:
    """List every problem."""
    from resources.policy import check_all

    problems = [
        {
            "file": str(problem.file),
            "line": problem.line,
            "key": problem.key,
            "message": problem.message,
            "remedy": problem.remedy,
        }
        for problem in check_all(cli.settings.config_dir)
    ]
    return Checked(folder=str(cli.settings.config_dir), problems=problems)


def history(cli: Cli) -> History:
    """Read the governance journal; the first record of a file is no change."""
    from quant.governance.records import PolicyChanged
    from resources.governance_journal import GovernanceJournal

    records = GovernanceJournal(cli.settings.paths.ledger).records()
    found = [one for one in records if isinstance(one, PolicyChanged)]
    return History(
        first_recorded={one.policy: one.changed_at for one in found if not one.before_hash},
        changes=tuple(
            PolicyChange(
                policy=one.policy,
                key=key,
                before=before,
                after=after,
                actor=one.actor,
                changed_at=one.changed_at,
                noticed_at=one.noticed_at,
            )
            for one in found
            if one.before_hash
            for key, (before, after) in one.changes.items()
        ),
    )
