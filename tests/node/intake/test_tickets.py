"""Tickets of the doors without scripts: nothing on an ordinary day; under load one that waited, once, and made here."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from node.errors import Throttled
from node.intake.pressure import FREE, MOST, Pressure
from node.intake.tickets import LONGEST, Tickets, WaitNeeded

WAIT = timedelta(seconds=30)
NONE = timedelta()


@pytest.fixture
def tickets() -> Tickets:
    return Tickets(b"a fictional secret of a node")


def test_on_an_ordinary_day_no_ticket_is_asked_for(tickets: Tickets, now: Any) -> None:
    for ticket in ("", "x", tickets.issue(now=now)):
        with tickets.held(ticket, wait=NONE, now=now):
            pass


def test_a_young_ticket_is_refused_with_the_time_that_is_left_and_is_good_when_it_has_passed(
    tickets: Tickets, now: Any
) -> None:
    ticket = tickets.issue(now=now)
    with pytest.raises(WaitNeeded) as refused, tickets.held(ticket, wait=WAIT, now=now + WAIT / 3):
        pass
    assert (refused.value.retry_after, refused.value.is_young) == (20, True)

    with tickets.held(ticket, wait=WAIT, now=now + WAIT):
        pass


def test_a_ticket_lets_one_through_and_is_given_back_when_nothing_came_of_it(
    tickets: Tickets, now: Any
) -> None:
    ticket, later = tickets.issue(now=now), now + WAIT
    with pytest.raises(LookupError), tickets.held(ticket, wait=WAIT, now=later):
        raise LookupError
    # Two at the same moment are one too many.
    with (
        tickets.held(ticket, wait=WAIT, now=later),
        pytest.raises(WaitNeeded),
        tickets.held(ticket, wait=WAIT, now=later),
    ):
        pass

    with pytest.raises(WaitNeeded) as refused, tickets.held(ticket, wait=WAIT, now=later):
        pass
    assert not refused.value.is_young


@pytest.mark.parametrize(
    "spoil",
    [
        lambda ticket: "",
        lambda ticket: "..",
        lambda ticket: "é" + ticket,
        lambda ticket: ticket[:-1] + ("0" if ticket[-1] != "0" else "1"),
        lambda ticket: f"1{ticket}",
        lambda ticket: ticket + "0" * 200,
        lambda ticket: ticket.rpartition(".")[0],
    ],
)
def test_a_ticket_that_was_not_made_here_is_none(
    tickets: Tickets, now: Any, spoil: Callable[[str], str]
) -> None:
    ticket = spoil(tickets.issue(now=now))

    with pytest.raises(WaitNeeded), tickets.held(ticket, wait=WAIT, now=now + WAIT):
        pass


def test_a_ticket_of_another_node_of_tomorrow_or_of_yesterday_is_none(tickets: Tickets, now: Any) -> None:
    other = Tickets(b"the secret of another node").issue(now=now)
    for ticket, at in (
        (other, now + WAIT),
        (tickets.issue(now=now + timedelta(hours=1)), now),
        (tickets.issue(now=now), now + LONGEST + timedelta(seconds=1)),
    ):
        with pytest.raises(WaitNeeded), tickets.held(ticket, wait=WAIT, now=at):
            pass


def test_another_process_of_the_same_node_knows_the_ticket(tickets: Tickets, now: Any) -> None:
    with Tickets(tickets.secret).held(tickets.issue(now=now), wait=WAIT, now=now + WAIT):
        pass


def test_what_is_spent_is_forgotten_when_it_would_be_too_old_anyway(tickets: Tickets, now: Any) -> None:
    for _ in range(3):
        with tickets.held(tickets.issue(now=now), wait=WAIT, now=now + WAIT):
            pass
    later = now + LONGEST + WAIT
    with tickets.held(tickets.issue(now=later - WAIT), wait=WAIT, now=later):
        pass

    assert len(tickets.spent) == 1


def test_patience_grows_with_the_flood_and_ends_in_a_closed_door(now: Any) -> None:
    pressure = Pressure()
    waits = []
    for _ in range(MOST):
        waits.append(pressure.wait(now=now).total_seconds())
        pressure.admit(now=now)
        pressure.count(now=now)

    assert waits[:FREE] == [0] * FREE
    assert sorted(set(waits)) == [0, 15, 30, 60, 120]
    assert waits == sorted(waits)
    with pytest.raises(Throttled):
        pressure.admit(now=now)
