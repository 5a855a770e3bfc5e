"""The scan for personal data in texts that are about to be public. All examples are invented."""

import pytest

from node.casework.personal import personal_data


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Write to ana.fictional@example.org for more.", "an e-mail address"),
        ("ana.fictional (at) example.org", "an e-mail address"),
        ("Call +33 6 12 34 56 78 after six.", "a telephone number"),
        ("tél. 06.12.34.56.78", "a telephone number"),
        ("0049 (30) 1234567", "a telephone number"),
        ("Paid to FR76 3000 6000 0112 3456 7890 189 in May.", "an IBAN"),
        ("DE89370400440532013000", "an IBAN"),
        ("Her file is 12345678Z.", "a number that identifies somebody"),
        ("numéro 2 85 05 78 106 084 36", "a number that identifies somebody"),
        ("850512-1234", "a number that identifies somebody"),
        ("RSSMRA85T10A562S", "a number that identifies somebody"),
        ("born on 3 May 1980", "a date of birth"),
        ("née le 03/05/1980", "a date of birth"),
        ("nacida el 3 de mayo", None),
        ("They live at 14 Oak Street.", "an exact address"),
        ("au 12, rue des Lilas", "an exact address"),
        ("en la calle Mayor 5", "an exact address"),
        ("in der Hauptstraße 5", "an exact address"),
        ("in via Roma 10", "an exact address"),
        ("Kerkstraat 12", "an exact address"),
        ("ul. Długa 5", "an exact address"),
    ],
)
def test_what_looks_like_personal_data_is_found(text: str, what: str | None) -> None:
    found = [hit.what for hit in personal_data(text)]

    assert found == ([what] if what else [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "In 2024, 10 000 000 people in 46 States waited.",
        "1,200,000 euros between 2019-2024, which is 12.5 % less",
        "Act 123/2015 of 12 May 2015, Article 31§2, Articles 16 and 17",
        "between 100 and 999 households; complaint No. 39/2006",
        "The street was closed. Families in the square waited.",
        "Fewer than one in 10, and 0.5 places per child",
    ],
)
def test_figures_and_dates_of_a_report_are_left_alone(text: str) -> None:
    assert list(personal_data(text)) == []


def test_the_place_is_named_once() -> None:
    hits = list(personal_data("Call +33 6 12 34 56 78."))

    assert [hit.text for hit in hits] == ["+33 6 12 34 56 78"]


def test_of_two_addresses_that_touch_both_are_found() -> None:
    hits = list(personal_data("ana@a.example+boris@b.example, ana@a.example..boris@b.example"))

    assert [hit.text.lstrip(".") for hit in hits] == ["ana@a.example", "boris@b.example"] * 2


def test_a_long_text_is_scanned_quickly() -> None:
    assert list(personal_data("0 " * 20_000 + "a" * 20_000)) == []
