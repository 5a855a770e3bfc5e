"""The table of who may do what."""

import pytest

from node.errors import NotAllowed
from node.staff.permissions import HANDLERS, MAY, Action, Role, allowed, require

ON_CASES = {
    Action.READ_ALERTS,
    Action.ANSWER_SOURCE,
    Action.CLOSE_ALERT,
    Action.OPEN_CASE,
    Action.READ_CASES,
    Action.WRITE_RECORD,
    Action.PROPOSE,
    Action.CONFIRM,
    Action.DRAFT,
    Action.APPROVE,
}


@pytest.mark.parametrize("action", sorted(ON_CASES))
@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.AUDITOR])
def test_administrators_and_auditors_touch_no_case(role: Role, action: Action) -> None:
    with pytest.raises(NotAllowed):
        require([role], action)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_only_an_administrator_manages_people(role: Role) -> None:
    assert not allowed([role], Action.MANAGE_STAFF)


def test_who_approves_does_not_read_alerts_by_that_role() -> None:
    assert not allowed([Role.PUBLISHER], Action.READ_ALERTS)
    assert not allowed([Role.EDITOR], Action.APPROVE)
    assert not allowed([Role.VERIFIER], Action.APPROVE)


def test_a_role_nobody_knows_may_do_nothing() -> None:
    assert not any(allowed(["director"], action) for action in Action)


def test_nobody_may_do_anything_without_a_role() -> None:
    assert not any(allowed([], action) for action in Action)


def test_the_table_names_every_action() -> None:
    assert set(MAY) == set(Action)
    assert all(MAY.values())


def test_alerts_are_sealed_to_those_who_read_them() -> None:
    assert {Role.INTAKE, Role.VERIFIER} == HANDLERS
