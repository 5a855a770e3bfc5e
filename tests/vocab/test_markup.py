"""HTML: nothing of others runs, loads or hides; what we write shows exactly its characters."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vocab import markup


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        '<img src=x onerror="alert(1)">',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="data:text/html,x">x</a>',
        '<p style="position:fixed" onclick="x()">x</p>',
        '<iframe src="https://evil.example"></iframe>',
        '<form action="https://evil.example"><input name="passphrase"></form>',
        '<link rel="stylesheet" href="https://evil.example">',
        "<svg><script>x</script></svg>",
        "<math><mtext><style><img src onerror=x></style></mtext></math>",
        '<meta http-equiv="refresh" content="0;url=https://evil.example">',
        '<p class="desk-alert" id="login">x</p>',
        "<!-- <p> -->",
        "<style>p{display:none}</style>",
    ],
)
def test_what_runs_loads_or_hides_is_taken_out(html: str) -> None:
    clean = markup.sanitised(html)

    for gone in (
        "script",
        "alert",
        "on",
        "javascript:",
        "data:",
        "style",
        "iframe",
        "form",
        "input",
        "svg",
        "evil",
        "id=",
        "class=",
    ):
        assert gone not in clean.replace("noopener", "").lower()
    assert markup.sanitised(clean) == clean


def test_plain_tags_and_links_stay_and_links_carry_no_referrer() -> None:
    html = '<p lang="fr">a<br><strong>b</strong> <a href="https://a.example/?x=1&amp;y=2" class="mention">c</a></p>'

    assert markup.sanitised(html) == (
        '<p lang="fr">a<br><strong>b</strong> '
        '<a href="https://a.example/?x=1&amp;y=2" class="mention" rel="nofollow noopener noreferrer">c</a> \u2066[a.example]\u2069</p>'
    )


@pytest.mark.parametrize(
    ("link", "host"),
    [
        ('<a href="https://evil.example/">https://victim.example/case</a>', "evil.example"),
        ('<a href="https://evil.example/">victim.example</a>', "evil.example"),
        ('<a href="https://evil.example/">Read the case</a>', "evil.example"),
        (
            '<a href="https://victim.example.evil.example/">victim.example</a>',
            "victim.example.evil.example",
        ),
        (
            '<a href="https://victim.example@evil.example/">https://victim.example@evil.example/</a>',
            "evil.example",
        ),
        # The first letter is Cyrillic.
        ('<a href="https://\u0430mnesty.example/">\u0430mnesty.example</a>', "xn--mnesty-2nf.example"),
        (
            '<a href="https://evil.example/"><span class="invisible">https://evil.example/</span>victim.example</a>',
            None,
        ),
        (
            '<a href="https://evil.example/"><span style="display:none">evil.example</span> victim.example</a>',
            None,
        ),
        ('<a href="https://evil.example/">\u200bevil.example\u202e/</a>', None),
        ('<a href="https://evil.example/">evil.example.victim.example</a>', "evil.example"),
        ('<a href="https://evil.example:8443/">evil.example</a>', "evil.example:8443"),
        ('<a href="mailto:x@evil.example?subject=y">press@victim.example</a>', "x@evil.example"),
        ('<a href="https://a.example/x">HTTPS://A.example/x</a>', None),
        ('<a href="https://evil.example/">victim.example</a> [victim.example]', "evil.example"),
    ],
)
def test_a_link_whose_words_are_not_its_address_says_where_it_leads(link: str, host: str | None) -> None:
    """Mastodon CVE-2023-36462."""
    clean = markup.sanitised(f"<p>{link} and on</p>")

    assert (f" \u2066[{host}]\u2069" in clean) is (host is not None)
    # Whatever stood in front is seen, not hidden by a class or a style.
    assert not {"invisible", "style"} & set(re.findall("[a-z]+", clean))
    assert markup.sanitised(clean) == clean


def test_a_link_to_our_own_pages_is_none() -> None:
    for address in ("/desk/replies", "//evil.example/", "?id=1", "https:/desk/replies", "https:desk/replies"):
        assert "href" not in markup.sanitised(f'<a href="{address}">x</a>')


def test_the_words_of_html_are_on_one_line() -> None:
    assert markup.plain_text("<p>a &amp; b</p><p>c<br>d<script>x</script></p>") == "a & b c d"


class Shown(HTMLParser):
    """The characters a browser shows, and the tags it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.tags: set[str] = set()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.text += "\n"


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"))))
def test_words_show_exactly_their_characters(text: str) -> None:
    shown = Shown()
    shown.feed(markup.words(text))
    shown.close()

    assert shown.text == text
    assert shown.tags == set()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00")))
def test_paragraphs_hold_nothing_but_paragraphs_and_breaks(text: str) -> None:
    shown = Shown()
    shown.feed(markup.paragraphs(text))
    shown.close()

    assert shown.tags <= {"p", "br"}
    assert shown.text.split() == text.split()


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"))))
def test_what_we_write_is_what_a_sanitiser_leaves(text: str) -> None:
    html = markup.heading(text) + markup.paragraphs(text) + markup.items([markup.words(text)])

    assert markup.sanitised(html) == html


def test_an_address_cannot_leave_its_attribute() -> None:
    written = markup.link('https://a.example/"onclick="x')

    assert 'href="https://a.example/&quot;onclick=&quot;x"' in written
    assert markup.link("https://a.example/", "a & b").endswith(">a &amp; b</a>")
    assert markup.items([]) == ""
