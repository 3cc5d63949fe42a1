"""The documentation says what is there: links resolve, commands exist, tables are the code's."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.cli.commands import COMMANDS, GROUPS
from apps.cli.lazy import LazyGroup
from resources.policy import POLICY_FILES, model_of
from resources.settings import VARIABLES, project_root
from tests.support.docs_tables import TABLES, marked, policy_keys

ROOT = project_root()
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(ROOT / name / "README.md" for name in ("deploy", "mlflow", "data/sample")),
    ]
)
SCREENSHOT_BYTES_MAX = 200_000
COMMAND_NAMES = frozenset(entry.name for entry in COMMANDS)


def name_of(page: Path) -> str:
    """A page as a person names it."""
    return page.relative_to(ROOT).as_posix()


def anchor(heading: str) -> str:
    """The anchor that a heading gets where such pages are shown."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def anchors_of(page: Path) -> set[str]:
    """Every anchor of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)}


def links_of(page: Path) -> Iterator[str]:
    """Targets of the page's links and images, those to other places of the world left out."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            yield target


def commands_of(page: Path) -> set[str]:
    """The words after `pmx` in code, as many as name a command."""
    text = page.read_text(encoding="utf-8")
    code = re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL)
    said = re.findall(r"(?:^|[\s`/])pmx ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", "\n".join(code))
    return {" ".join(words.split()) for words in said}


def options_of(page: Path) -> Iterator[tuple[str, str]]:
    """Each option in the page's code, with the command that it follows."""
    text = page.read_text(encoding="utf-8")
    for code in re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL):
        for line in re.findall(r"(?:^|[\s`/])pmx ([a-z][^#\n`]*)", code):
            words = line.split()
            names = (" ".join(words[:2]), words[0])
            name = next((one for one in names if one in COMMAND_NAMES), "")
            for option in re.findall(r"(?<=\s)--[a-z-]+", line) if name else ():
                yield name, option


def options_taken(name: str) -> set[str]:
    """What the command takes, from its own definition."""
    command = LazyGroup(path="pmx", entries=COMMANDS, intro="")
    for word in name.split():
        command = command.get_command(None, word)
    taken = {option for parameter in command.params for option in parameter.opts}
    return taken | {"--help"}


def is_known(words: str) -> bool:
    """Whether `words` begin with a command (`why ID` and `data quality` both do)."""
    first = words.split(maxsplit=1)[0]
    return words in COMMAND_NAMES | set(GROUPS) or first in COMMAND_NAMES


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    """A link that leads nowhere costs a reader's trust in all the others."""
    broken = []
    for target in links_of(page):
        path, _, fragment = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (fragment and fragment not in anchors_of(place)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_named_in_the_documentation_exist(page: Path) -> None:
    """Whoever types what a page says gets an answer."""
    assert sorted(words for words in commands_of(page) if not is_known(words)) == []


def test_the_readme_names_every_command() -> None:
    """A command that the first page does not name is found by nobody."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = (entry.name for entry in COMMANDS if not entry.is_hidden)
    missing = sorted(name for name in shown if f"pmx {name}" not in text)
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_options_named_in_the_documentation_exist(page: Path) -> None:
    """An option that was renamed is worse than none: the reader believes to have mistyped."""
    wrong = [(name, o) for name, o in options_of(page) if o not in options_taken(name)]
    assert wrong == []


@pytest.mark.parametrize(
    ("page", "table"), [(page, name) for page, tables in TABLES.items() for name in tables]
)
def test_tables_in_the_documentation_are_those_of_the_code(page: str, table: str) -> None:
    """A changed rule, setting or policy changes its page: python -m tests.support.docs_tables."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    start, end = marked(text, table)
    assert text[start:end].strip() == TABLES[page][table]().strip()


def test_every_variable_and_every_policy_key_is_documented() -> None:
    """Said apart from the tables, so that a fault of the table maker cannot hide a key."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    keys = {
        key.rpartition(".")[2] for name in POLICY_FILES for key, _, _ in policy_keys(model_of(name))
    }
    fields = {field for name in POLICY_FILES for field in model_of(name).model_fields}
    assert sorted(name for name in VARIABLES if f"`{name}`" not in text) == []
    assert sorted(name for name in POLICY_FILES if f"### {name}.yaml" not in text) == []
    assert sorted(key for key in keys | fields if not re.search(rf"\b{key}\b", text)) == []


def test_screenshots_are_small_and_shown() -> None:
    """A picture that no page shows is dead weight, and a heavy one slows every clone."""
    shown = {(page.parent / target).resolve() for page in PAGES for target in links_of(page)}
    pictures = sorted((ROOT / "docs" / "images").glob("*.png"))
    assert pictures
    assert [p.name for p in pictures if p.stat().st_size > SCREENSHOT_BYTES_MAX] == []
    assert [p.name for p in pictures if p.resolve() not in shown] == []


def test_every_page_is_in_the_reading_order() -> None:
    """`docs/index.md` leads to every page of the folder."""
    index = ROOT / "docs" / "index.md"
    listed = {(index.parent / target).resolve() for target in links_of(index)}
    pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md")} - {index.resolve()}
    assert sorted(page.name for page in pages - listed) == []


def test_each_scenario_names_tests_that_exist() -> None:
    """A test that was renamed must not leave a scenario with nothing behind it."""
    page = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(row.split("|")[1]) for row in rows] == list(range(1, 26))
    known = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row))
        assert named, row
        assert named <= known, named - known
