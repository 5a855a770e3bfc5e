"""What both dialects check alike: fields, host and times."""

from datetime import UTC, datetime, timedelta

import pytest

from federation.checks import check_times, find_fields, is_for_us
from federation.requests import OWN_WINDOW, Reason

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
HOUR = timedelta(hours=1)
DAY = 24 * 3600


def test_a_signature_without_any_time_is_refused() -> None:
    assert check_times([], None, now=NOW, window=HOUR) is Reason.NO_TIME


@pytest.mark.parametrize(
    ("created", "expires", "expected"),
    [
        (-3900, None, None),
        (-3901, None, Reason.STALE),
        (3600, None, None),
        (3601, None, Reason.FUTURE),
        (-600, -300, None),
        (-7200, -3600, None),
        (-7200, -3601, Reason.EXPIRED),
        (0, 2 * DAY, None),
        (-13 * 3600, 2 * DAY, None),
        (-13 * 3600 - 1, 2 * DAY, Reason.STALE),
        (0, 30 * DAY, None),
        (0, 30 * DAY + 1, Reason.OVERLONG),
        (0, -3601, Reason.EXPIRED),
    ],
)
def test_a_signature_holds_until_its_end_and_an_hour_more_for_clocks(
    created: int, expires: int | None, expected: Reason | None
) -> None:
    end = None if expires is None else SECONDS + expires

    assert check_times([SECONDS + created], end, now=NOW, window=HOUR) is expected


def test_a_server_of_ours_is_given_five_minutes_instead() -> None:
    def outcome(created: int, expires: int | None = None) -> Reason | None:
        end = None if expires is None else SECONDS + expires
        return check_times([SECONDS + created], end, now=NOW, window=OWN_WINDOW)

    assert (outcome(-600), outcome(300), outcome(-600, -300)) == (None, None, None)
    assert (outcome(-601), outcome(301)) == (Reason.STALE, Reason.FUTURE)
    assert outcome(-602, -301) is Reason.EXPIRED


def test_the_earliest_time_decides_when_a_signature_ends_and_the_latest_whether_it_began() -> None:
    assert check_times([SECONDS, SECONDS - 3901], None, now=NOW, window=HOUR) is Reason.STALE
    assert check_times([SECONDS - 3000, SECONDS + 3601], None, now=NOW, window=HOUR) is Reason.FUTURE


def test_an_end_that_was_not_signed_brings_it_nearer_and_never_puts_it_off() -> None:
    def outcome(created: int, expires: int) -> Reason | None:
        return check_times(
            [SECONDS + created], SECONDS + expires, now=NOW, window=HOUR, is_expiry_signed=False
        )

    assert outcome(-3901, DAY) is Reason.STALE
    assert outcome(-3700, -3650) is Reason.EXPIRED
    assert outcome(-3700, -3600) is None


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        (b"node.example", "https://node.example", True),
        (b" NODE.example\t", "https://node.example", True),
        (b"node.example:443", "https://node.example", True),
        (b"127.0.0.1:80", "http://127.0.0.1", True),
        (b"node.example:80", "https://node.example", False),
        (b"node.example/x", "https://node.example", False),
        (b"node.example.", "https://node.example", False),
        (b"node.example, node.example", "https://node.example", False),
        (b"node.example@evil.example", "https://node.example", False),
        (b"", "https://node.example", False),
        (b"\xff", "https://node.example", False),
    ],
)
def test_the_host_must_be_ours(host: bytes, origin: str, expected: bool) -> None:
    assert is_for_us({b"host": host}, origin) is expected


def test_a_request_without_a_host_is_not_for_us() -> None:
    assert not is_for_us({}, "https://node.example")


def test_repeated_fields_are_joined_and_told() -> None:
    fields, repeated = find_fields([(b"a", b" 1 "), (b"b", b"2"), (b"a", b"3 ")])

    assert fields == {b"a": b"1, 3", b"b": b"2"}
    assert repeated == {b"a"}
