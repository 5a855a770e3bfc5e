"""Of one origin little is asked for strangers, of one site not much more; neighbours do not use up each other's share."""

from datetime import UTC, datetime, timedelta

import pytest

from federation import allowance
from federation.allowance import OF_ONE_ORIGIN, OF_ONE_SITE, WITHIN, Allowance
from federation.errors import NotNow

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def asked(ours: Allowance, *urls: str, now: datetime = NOW) -> int:
    """How many of these may be asked for."""
    taken = 0
    for url in urls:
        try:
            ours.spend(url, now=now)
        except NotNow:
            continue
        taken += 1
    return taken


def at(host: str, times: int = 1) -> list[str]:
    return [f"https://{host}/users/n{number}" for number in range(times)]


def below(name: str, times: int) -> list[str]:
    return [f"https://n{number}.{name}/users/x" for number in range(times)]


def test_of_one_origin_so_much_is_asked_and_then_one_a_second() -> None:
    ours = Allowance()

    assert asked(ours, *at("evil.example", OF_ONE_ORIGIN + 50)) == OF_ONE_ORIGIN + 1
    assert asked(ours, *at("evil.example", 50), now=NOW + SECOND) == 1
    assert asked(ours, *at("evil.example", 50), now=NOW + WITHIN) == 50


@pytest.mark.parametrize(
    "hosts",
    [
        below("evil.example", 2 * OF_ONE_SITE),
        [f"https://evil.example:{port}/x" for port in range(2000, 2000 + 2 * OF_ONE_SITE)],
        [f"http://localhost:{port}/x" for port in range(2000, 2000 + 2 * OF_ONE_SITE)],
    ],
    ids=["names", "ports", "ports of this machine"],
)
def test_names_and_ports_that_cost_nothing_are_counted_together(hosts: list[str]) -> None:
    ours = Allowance()

    assert asked(ours, *hosts) == OF_ONE_SITE + 1
    assert asked(ours, *hosts, now=NOW + SECOND) == 1
    assert asked(ours, *hosts, now=NOW + WITHIN) == OF_ONE_SITE + 1


def test_names_that_have_to_be_paid_for_are_counted_apart() -> None:
    ours = Allowance()

    assert asked(ours, *below("example", OF_ONE_SITE + 50)) == OF_ONE_SITE + 50
    assert asked(ours, *below("co.uk", OF_ONE_SITE + 50)) == OF_ONE_SITE + 50
    assert asked(ours, *below("test", OF_ONE_SITE + 50)) == OF_ONE_SITE + 50


def test_whom_we_follow_is_asked_for_still_once_a_second_and_in_each_ones_name() -> None:
    ours = Allowance()
    asked(ours, *at("big.example", OF_ONE_ORIGIN + 1))
    one, other = "https://big.example/users/one", "https://big.example/users/other"

    for key_id in (f"{one}#key", f"{other}#key"):
        ours.require(key_id, now=NOW, is_followed=True)
    for key_id in (f"{one}#key", f"{one}#another", f"{other}#key"):
        with pytest.raises(NotNow):
            ours.require(key_id, now=NOW, is_followed=True)

    ours.require(f"{one}#another", now=NOW + SECOND, is_followed=True)


def test_whom_we_follow_is_asked_as_often_as_others_while_nothing_is_used_up() -> None:
    ours = Allowance()

    for _ in range(3):
        ours.require("https://big.example/users/one#key", now=NOW, is_followed=True)


def test_one_origin_does_not_use_up_what_its_neighbours_may_be_asked() -> None:
    ours = Allowance()
    for second in range(290):
        asked(ours, *at("loud.host.example", 500), now=NOW + second * SECOND)

    assert asked(ours, *at("quiet.host.example", 90), now=NOW + 290 * SECOND) == 90


def test_no_number_of_names_makes_the_count_of_their_site_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "REMEMBERED", 10)
    ours = Allowance()

    assert asked(ours, *below("evil.example", OF_ONE_SITE + 50)) == OF_ONE_SITE + 1


@pytest.mark.parametrize("url", ["", "nonsense", "https://", "https://[::1/x", "mailto:a@b.example"])
def test_what_is_no_address_is_bounded_too(url: str) -> None:
    assert asked(Allowance(), *[url] * 200) == OF_ONE_ORIGIN + 1


def test_the_memory_is_bounded_and_who_was_asked_last_is_forgotten_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(allowance, "REMEMBERED", 10)
    monkeypatch.setattr(allowance, "OF_ONE_ORIGIN", 2)
    ours, others = Allowance(), [f"https://n{number}.example/x" for number in range(12)]

    first = asked(
        ours, *at("evil.example"), *others[:9], *at("evil.example"), others[9], *at("evil.example", 3)
    )
    asked(ours, *others)

    # Two, and one beyond that, which goes as one a second does; then it is as one who was never asked.
    assert first == 1 + 9 + 1 + 1 + 1
    assert asked(ours, *at("evil.example", 5)) == 2


def test_who_was_let_through_last_is_remembered_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "OF_ONE_ORIGIN", 0)
    monkeypatch.setattr(allowance, "REMEMBERED", 3)
    ours, names = Allowance(), [f"https://n{number}.example/x" for number in range(4)]

    assert asked(ours, *names[:3], *names[:3]) == 3
    assert asked(ours, names[3], names[0]) == 2


def test_who_was_let_through_again_is_forgotten_after_who_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "OF_ONE_ORIGIN", 0)
    monkeypatch.setattr(allowance, "REMEMBERED", 3)
    ours, names = Allowance(), [f"https://n{number}.example/x" for number in range(4)]

    assert asked(ours, *names[:3]) == 3
    assert asked(ours, names[0], names[3], names[0], now=NOW + SECOND) == 2
