"""Contrast of the colours (WCAG 2.2 §1.4.3, §1.4.6, §1.4.11), in both themes."""

import re
from importlib.resources import files

import pytest

TEXTS = ("ink", "quiet", "link", "link-visited", "action", "violation", "good", "civic", "pending", "pattern")
GROUNDS = ("paper", "raised", "ground")
NOTICES = ("warning-ground", "danger-ground", "good-ground", "sealed")
THEMES = {"light": 0, "dark": 1}


def colours(theme: str) -> dict[str, str]:
    source = files("web").joinpath("static", "tokens.css").read_text("utf-8")
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", source)
    assert pairs
    return {name: (light, dark)[THEMES[theme]] for name, light, dark in pairs}


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", THEMES)
def test_text_has_seven_to_one_on_every_ground(theme: str) -> None:
    known = colours(theme)

    weak = {
        (text, ground): round(contrast(known[text], known[ground]), 2)
        for text in TEXTS
        for ground in GROUNDS
        if contrast(known[text], known[ground]) < 7
    }
    assert weak == {}


@pytest.mark.parametrize("theme", THEMES)
def test_text_in_notices_and_on_buttons_has_four_and_a_half_to_one(theme: str) -> None:
    known = colours(theme)

    pairs = [(text, ground) for text in TEXTS for ground in NOTICES]
    pairs += [("ink", "active"), ("on-action", "action"), ("sealed-ink", "sealed")]
    assert [pair for pair in pairs if contrast(known[pair[0]], known[pair[1]]) < 4.5] == []


@pytest.mark.parametrize("theme", THEMES)
def test_edges_of_controls_have_three_to_one(theme: str) -> None:
    known = colours(theme)

    assert [ground for ground in GROUNDS if contrast(known["edge"], known[ground]) < 3] == []


def test_browsers_without_light_dark_get_the_light_colours() -> None:
    source = files("web").joinpath("static", "tokens.css").read_text("utf-8")
    plain = dict(re.findall(r"--([\w-]+): (#\w{6});", source.partition("@supports")[0]))

    assert plain == colours("light")
