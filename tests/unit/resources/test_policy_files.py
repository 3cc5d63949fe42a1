"""Policy files: what is right is read exactly, what is wrong is named with line, key and remedy."""

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from quant.core.errors import PolicyError
from quant.core.policy import Policy
from quant.market.bars import AssetClass, Basis
from quant.market.universe import UniversePolicy
from resources.policy import POLICY_FILES, check_all, load_all, load_policy, model_of, read_policy
from resources.policy_yaml import YamlRefusedError, parse
from resources.settings import project_root


class Limits(Policy):
    """Nested, as a real policy may be."""

    gross_max: float = Field(default=1.0, gt=0)
    names_max: int = 20
    label: str = "plain"


class Example(Policy):
    """One field of every kind."""

    limits: Limits = Limits()
    by_book: dict[str, Limits] = Field(default_factory=dict)
    start: dt.date = dt.date(2012, 1, 3)
    symbols: tuple[str, ...] = ()
    is_open: bool = False


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "example.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(folder: Path, text: str | bytes) -> tuple[str, str]:
    path = write(folder, text)
    with pytest.raises(PolicyError) as caught:
        load_policy(path, Example)
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    return str(caught.value).removeprefix(str(path)), caught.value.remedy


def test_a_sound_file_is_read_exactly(tmp_path: Path) -> None:
    """Numbers with exponents, dates, quoted and plain text, nested keys."""
    path = write(
        tmp_path,
        """
limits: {gross_max: 1e-3, names_max: 7}
by_book:
  paper: {label: '007'}
start: 2020-02-29
symbols: [AAPL, "ON"]
is_open: true
""",
    )
    policy = load_policy(path, Example)

    assert policy.limits == Limits(gross_max=0.001, names_max=7)
    assert policy.by_book["paper"].label == "007"
    assert policy.start == dt.date(2020, 2, 29)
    assert policy.symbols == ("AAPL", "ON")
    assert policy.is_open


@pytest.mark.parametrize(
    ("text", "line", "found", "remedy"),
    [
        ("limts: {}\n", 1, "limts: unknown key", "did you mean limits?"),
        ("a: 1\n", 1, "a: unknown key", "known: by_book, is_open, limits"),
        ("limits:\n  gros_max: 1\n", 2, "limits.gros_max: unknown", "did you mean gross_max?"),
        ("by_book:\n  x:\n    lable: a\n", 3, "by_book.x.lable: unknown", "did you mean label?"),
        ("is_open: true\nis_open: false\n", 2, "a second time (first in line 1)", "keep one"),
        ("limits:\n  a: 1\n  a: 2\n", 3, "limits.a: found this key a second", "keep one"),
        ("limits:\n\tgross_max: 1\n", 2, "a tab", "spaces"),
        ("limits: {gross_max: yes}\n", 1, "found true or false, needs a number", "a number"),
        ("limits: {gross_max: '1'}\n", 1, "found text, needs a number", "a number"),
        ("limits: {gross_max: }\n", 1, "found nothing, needs a number", "a number"),
        ("limits: {gross_max: -1}\n", 1, "greater than 0", "change limits.gross_max"),
        ("limits: {gross_max: .nan}\n", 1, "not finite", "a finite number"),
        ("limits: {gross_max: -.inf}\n", 1, "not finite", "a finite number"),
        ("limits: {gross_max: 1e999}\n", 1, "not finite", "a finite number"),
        ("limits: {names_max: 2.5}\n", 1, "a decimal number, needs a whole", "a whole number"),
        ("limits: {names_max: 010}\n", 1, "base 8 or 60", "without leading zeros"),
        ("limits: {label: 16:00}\n", 1, "base 8 or 60", "in quotes"),
        ("limits: {label: 12}\n", 1, "found a whole number, needs text", "in quotes"),
        ("limits: [1]\n", 1, "limits: found a list, needs a mapping", "a mapping"),
        ("symbols:\n- A\n- no\n", 3, "symbols[1]: found true or false, needs text", "quotes"),
        ("start: 2012-13-03\n", 1, "'impossible date'", "YYYY-MM-DD"),
        ("start: 20120103\n", 1, "found a whole number, needs a date", "YYYY-MM-DD"),
        ("start: 2012-01-03 10:00:00\n", 1, "found text, needs a date", "YYYY-MM-DD"),
        ("- limits\n", 1, "a list at the top", "key: value"),
        ("limits\n", 1, "a single value at the top", "key: value"),
        ("", 1, "the file is empty", "keys"),
        ("# nothing\n", 1, "the file is empty", "keys"),
        ("limits: {\n", 2, "not YAML", "mend"),
        ("symbols: ['A\n", 2, "not YAML", "mend"),
        ("is_open: true\n---\nis_open: false\n", 2, "a second document", "one document"),
        ("limits: &a {}\nby_book: *a\n", 2, "alias *a", "write the values out"),
        ("<<: {is_open: true}\n", 1, "not a name", "merges"),
        ("{[1]: 2}\n", 1, "not a name", "compound keys"),
        ("limits: !!python/object/apply:os.getcwd []\n", 1, "limits", "mapping"),
        ("limits: {label: !!binary aGk=}\n", 1, "kind 'binary'", "use text"),
        ("is_open: true\nlimits: {label: \x07}\n", 2, "control character", "invisible"),
        ("is_open: true\nlabel: \xe9\n".encode("latin-1"), 2, "not UTF-8", "save the file"),
        ("is_open: true\n".encode("utf-16"), 1, "not UTF-8", "save the file"),
        ("a: " + "[" * 3000 + "]" * 3000, 1, "nesting", "flatten"),
        ("[" * 3000, 1, "nesting", "flatten"),
        ("- [[", 1, "not YAML", "mend"),
        ("a: " + "9" * 6000, 1, "", ""),
    ],
)
def test_a_wrong_file_names_line_key_kind_and_remedy(
    tmp_path: Path, text: str | bytes, line: int, found: str, remedy: str
) -> None:
    """One clear sentence each, and never the value itself."""
    message, advice = refusal(tmp_path, text)

    assert f"line {line}:" in message
    assert found in message
    assert remedy in advice


def test_several_mistakes_are_counted_and_listed(tmp_path: Path) -> None:
    path = write(tmp_path, "limits: {gross_max: x, names_max: y}\nis_opn: 1\n")
    policy, problems = read_policy(path, Example)

    assert policy is None
    assert [problem.line for problem in problems] == [1, 1, 2]
    with pytest.raises(PolicyError, match="and 2 more"):
        load_policy(path, Example)


def test_a_missing_file_a_folder_and_an_unreadable_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no such file"):
        load_policy(tmp_path / "example.yaml", Example)
    with pytest.raises(PolicyError, match="a folder"):
        load_policy(tmp_path, Example)


def test_an_oversized_file_is_refused_unread(tmp_path: Path) -> None:
    message, _ = refusal(tmp_path, b"#" * 1_000_001)
    assert "1000001 bytes" in message


def outcome(data: bytes) -> str:
    try:
        return f"read {len(parse(data).values)} keys"
    except YamlRefusedError as error:
        return error.remedy


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_document_or_a_refusal(data: bytes) -> None:
    """No input ends in another kind of exception."""
    assert outcome(data)


@settings(max_examples=60)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@,? \n\t019._~", max_size=60))
def test_any_text_of_yaml_signs_gives_a_document_or_a_refusal(text: str) -> None:
    assert outcome(text.encode())


def test_the_shipped_policies_are_sound_and_the_universe_is_the_bundled_one() -> None:
    """Every registered policy has its file, and every file its policy."""
    policies = load_all(project_root() / "config")
    universe = policies.get("universe", UniversePolicy)

    assert check_all(project_root() / "config") == []
    assert set(policies.policies) == set(POLICY_FILES)
    assert len(universe.symbols) == 20
    assert universe.history_start == dt.date(2012, 1, 3)
    assert (universe.basis, universe.asset_class) == (Basis.TOTAL_RETURN, AssetClass.US_EQUITY)


def test_every_registered_class_is_a_policy() -> None:
    assert all(issubclass(model_of(name), Policy) for name in POLICY_FILES)


def test_the_hash_follows_values_and_not_comments(tmp_path: Path) -> None:
    """A comment or another order of keys changes nothing; one number changes the hash."""
    for path in (project_root() / "config").glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    universe = tmp_path / "universe.yaml"
    before = load_all(tmp_path).content_hash

    universe.write_text(
        "currency: USD\n# a remark\n" + universe.read_text().replace("currency: USD\n", "")
    )
    assert load_all(tmp_path).content_hash == before

    universe.write_text(universe.read_text().replace("2012-01-03", "2012-01-04"))
    assert load_all(tmp_path).content_hash != before


def test_a_file_that_nothing_reads_is_an_error(tmp_path: Path) -> None:
    """Its author expects it to have an effect."""
    for path in (project_root() / "config").glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "univers.yml").write_text("a: 1\n")

    with pytest.raises(PolicyError, match="no part of the product reads") as caught:
        load_all(tmp_path)
    assert caught.value.remedy == "did you mean universe.yaml?"


@pytest.mark.parametrize(
    "symbol", ["", "../etc/passwd", "A" * 300, "a", "A B", "A\n", "/A", "-A", ".A", "A//B", "A\0"]
)
def test_a_symbol_that_could_be_a_path_or_hide_a_character_is_refused(symbol: str) -> None:
    with pytest.raises(ValueError, match="symbol"):
        UniversePolicy(name="u", history_start=dt.date(2012, 1, 3), symbols=(symbol,))


@pytest.mark.parametrize("symbol", ["AAPL", "BRK.B", "BTC/USD", "^VIX", "EURUSD=X", "0700.HK"])
def test_symbols_of_real_markets_are_accepted(symbol: str) -> None:
    policy = UniversePolicy(name="u", history_start=dt.date(2012, 1, 3), symbols=(symbol,))
    assert policy.symbols == (symbol,)
