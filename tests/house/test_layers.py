"""The layer contracts of pyproject.toml hold, and they can fail."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint(cwd: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).parent / "lint-imports"
    return subprocess.run([str(command), "--no-cache"], cwd=cwd, capture_output=True, text=True, check=False)


def test_every_contract_is_kept() -> None:
    result = lint(ROOT)

    assert result.returncode == 0, result.stdout[-3000:]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("vocab/planted.py", "import httpx"),
        ("federation/planted.py", "import node.ids"),
        ("node/planted.py", '"""A room that nobody declared."""'),
        ("node/intake/planted.py", "import node.casework"),
        ("node/ids.py", "import starlette"),
        ("node/worker.py", "import arq"),
    ],
)
def test_a_planted_fault_breaks_a_contract(file: str, line: str, tmp_path: Path) -> None:
    for name in ("vocab", "federation", "node", "web"):
        for source in (ROOT / name).rglob("*.py"):
            if "node_modules" in source.parts:
                continue
            copy = tmp_path / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    with (tmp_path / file).open("a", encoding="utf-8") as planted:
        planted.write(line + "\n")

    assert lint(tmp_path).returncode != 0
