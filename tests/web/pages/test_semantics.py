"""The skeleton of readers' pages, as assistive technology meets it (WCAG 2.2: 1.3.1, 2.4.1, 2.4.6, 3.1.1, 4.1.2)."""

from collections import Counter
from html.parser import HTMLParser

import httpx
import pytest

from node.runtime import Node
from tests.web.pages.readers import HTML, put, sample

PATHS = (
    "/",
    "/cases",
    "/cases/sample-01",
    "/cases/sample-04",
    "/about",
    "/follow?account=x",
    "/ns/v1",
    "/nothing",
)
CONTROLS = {"input", "select", "textarea"}


class Skeleton(HTMLParser):
    """Collects ids, references to them, headings, landmarks and controls of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.references: set[str] = set()
        self.labelled: set[str] = set()
        self.controls: list[dict[str, str | None]] = []
        self.headings: list[int] = []
        self.tags: Counter[str] = Counter()
        self.language = ""
        self._labels = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags[tag] += 1
        if given.get("id"):
            self.ids[str(given["id"])] += 1
        for name in ("aria-labelledby", "aria-describedby"):
            self.references.update(str(given.get(name) or "").split())
        if tag == "html":
            self.language = str(given.get("lang") or "")
        elif tag == "label":
            self._labels += 1
            self.labelled.add(str(given.get("for") or ""))
        elif tag in CONTROLS and given.get("type") != "hidden":
            self.controls.append({**given, "wrapped": "yes" if self._labels else None})
        elif len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._labels -= 1


@pytest.fixture(params=PATHS)
async def skeleton(request: pytest.FixtureRequest, node: Node, visitor: httpx.AsyncClient) -> Skeleton:
    """One page after the other."""
    for number in ("01", "02", "04", "05"):
        await put(node, sample(number), number)
    found = Skeleton()
    found.feed((await visitor.get(request.param, headers=HTML)).text)
    return found


def test_ids_are_unique_and_references_lead_somewhere(skeleton: Skeleton) -> None:
    assert [name for name, times in skeleton.ids.items() if times > 1] == []
    assert sorted(skeleton.references - skeleton.ids.keys()) == []


def test_every_control_has_a_label(skeleton: Skeleton) -> None:
    bare = [c for c in skeleton.controls if not c["wrapped"] and c.get("id") not in skeleton.labelled]

    assert bare == []


def test_headings_begin_with_one_and_skip_no_level(skeleton: Skeleton) -> None:
    assert skeleton.headings.count(1) == 1
    assert skeleton.headings[0] == 1
    steps = zip(skeleton.headings, skeleton.headings[1:], strict=False)
    assert [pair for pair in steps if pair[1] - pair[0] > 1] == []


def test_a_page_has_its_language_and_its_landmarks(skeleton: Skeleton) -> None:
    assert skeleton.language == "en"
    assert skeleton.tags["main"] == 1
    assert skeleton.tags["nav"] >= 2
