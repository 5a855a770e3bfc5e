"""What both dialects check alike: fields, host and times."""

from datetime import UTC, datetime, timedelta

import pytest

from federation.checks import check_times, find_fields, is_for_us
from federation.requests import Reason

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
HOUR = timedelta(hours=1)


def test_a_signature_without_any_time_is_refused() -> None:
    assert check_times([], None, now=NOW, window=HOUR) is Reason.NO_TIME


def test_the_earliest_time_decides_how_long_a_signature_may_live() -> None:
    day = 24 * 3600

    assert check_times([SECONDS, SECONDS - 3600], SECONDS - 3600 + day, now=NOW, window=HOUR) is None
    assert check_times([SECONDS - 3600, SECONDS], SECONDS + day, now=NOW, window=HOUR) is Reason.OVERLONG


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
