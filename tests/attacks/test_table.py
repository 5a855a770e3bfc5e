"""Every known attack has its test: what the tables at the top of these files name is there, and no number is missing."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(Path(__file__).parent.glob("test_*.py"))
FILES.remove(Path(__file__))
KNOWN = ROOT.parent / "shared" / "design" / "attacks.md"
ROW = re.compile(r"^(\d+) +(.+)$", re.MULTILINE)
ID = re.compile(r"^(\d+) \S")
NOT_BUILT = "not built: "


def named_elsewhere(file: Path) -> list[tuple[int, str]]:
    """The rows of the table in a file's docstring."""
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    return [(int(number), where) for number, where in ROW.findall(text)]


def played_here(file: Path) -> set[int]:
    """The numbers that begin the names of the attacks in a file."""
    numbers = set()
    for part in ast.walk(ast.parse(file.read_text())):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and (found := ID.match(part.value)):
            numbers.add(int(found[1]))
    return numbers


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_a_table_names_is_there(file: Path) -> None:
    rows = named_elsewhere(file)

    assert rows
    for number, where in rows:
        if where.startswith(NOT_BUILT):
            continue
        path, name = where.split("::")
        functions = {
            part.name
            for part in ast.walk(ast.parse((ROOT / path).read_text()))
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in functions, (number, where)


def test_every_known_attack_is_played_or_said_not_to_concern_us() -> None:
    covered = set[int]()
    for file in FILES:
        covered |= played_here(file) | {number for number, _ in named_elsewhere(file)}

    assert set(range(1, 91)) <= covered


def test_the_published_table_has_no_row_that_is_not_here() -> None:
    if not KNOWN.exists():
        pytest.skip("the table of known attacks is not beside the checkout")
    rows = {int(number) for number in re.findall(r"^\| (\d+) \|", KNOWN.read_text(), re.MULTILINE)}

    assert rows == set(range(1, 91))
