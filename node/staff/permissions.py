"""Who may do what: one table, no exceptions elsewhere. What needs two people is a rule of the case, not of a role.

The roles are those of fact-checking practice; an administrator looks after people and settings and
opens no case. A small organisation may give one person several roles; it never lets one person publish alone.
"""

from collections.abc import Iterable
from enum import StrEnum

from node.errors import NotAllowed


class Role(StrEnum):
    ADMINISTRATOR = "administrator"
    INTAKE = "intake"
    VERIFIER = "verifier"
    EDITOR = "editor"
    PUBLISHER = "publisher"
    AUDITOR = "auditor"
    CUSTODIAN = "custodian"


class Action(StrEnum):
    MANAGE_STAFF = "manage-staff"
    SEE_STAFF = "see-staff"
    READ_ALERTS = "read-alerts"
    ANSWER_SOURCE = "answer-source"
    CLOSE_ALERT = "close-alert"
    OPEN_CASE = "open-case"
    READ_CASES = "read-cases"
    WRITE_RECORD = "write-record"
    PROPOSE = "propose"
    CONFIRM = "confirm"
    DRAFT = "draft"
    APPROVE = "approve"
    SPEAK_IN_PUBLIC = "speak-in-public"
    HANDLE_REPORTS = "handle-reports"
    DECIDE_HOSTS = "decide-hosts"
    SEE_TERMS = "see-terms"
    SET_TERMS = "set-terms"
    HOLD_RECORDS = "hold-records"
    CLOSE_INTAKE = "close-intake"
    READ_DUTY = "read-duty"
    MAKE_PROMISE = "make-promise"
    READ_AUDIT = "read-audit"
    EDIT_FORMS = "edit-forms"


ADMINISTRATOR, INTAKE, VERIFIER, EDITOR, PUBLISHER, AUDITOR, CUSTODIAN = Role

MAY: dict[Action, frozenset[Role]] = {
    Action.MANAGE_STAFF: frozenset({ADMINISTRATOR}),
    Action.SEE_STAFF: frozenset(Role),
    Action.READ_ALERTS: frozenset({INTAKE, VERIFIER}),
    Action.ANSWER_SOURCE: frozenset({INTAKE, VERIFIER}),
    Action.CLOSE_ALERT: frozenset({INTAKE}),
    Action.OPEN_CASE: frozenset({INTAKE, VERIFIER}),
    Action.READ_CASES: frozenset({INTAKE, VERIFIER, EDITOR, PUBLISHER}),
    Action.WRITE_RECORD: frozenset({INTAKE, VERIFIER}),
    Action.PROPOSE: frozenset({VERIFIER}),
    Action.CONFIRM: frozenset({VERIFIER}),
    Action.DRAFT: frozenset({EDITOR, VERIFIER}),
    Action.APPROVE: frozenset({PUBLISHER}),
    # What others see beside the cases: which stand first, which replies are shown. Changes no case.
    Action.SPEAK_IN_PUBLIC: frozenset({EDITOR, PUBLISHER}),
    Action.HANDLE_REPORTS: frozenset({EDITOR, PUBLISHER, ADMINISTRATOR}),
    Action.DECIDE_HOSTS: frozenset({PUBLISHER, ADMINISTRATOR}),
    # How long records are kept: whoever works on them may hold one, and nobody has to open it for that.
    Action.SEE_TERMS: frozenset(Role) - {CUSTODIAN},
    Action.SET_TERMS: frozenset({ADMINISTRATOR}),
    Action.HOLD_RECORDS: frozenset({INTAKE, VERIFIER, EDITOR, PUBLISHER, ADMINISTRATOR}),
    # A door that is closed in haste harms less than one that stays open.
    Action.CLOSE_INTAKE: frozenset({INTAKE, ADMINISTRATOR}),
    # Within how many hours what is urgent is answered, and whether it was: of each alert only its hours.
    Action.READ_DUTY: frozenset({INTAKE, VERIFIER, ADMINISTRATOR, AUDITOR}),
    Action.MAKE_PROMISE: frozenset({ADMINISTRATOR}),
    Action.READ_AUDIT: frozenset({ADMINISTRATOR, AUDITOR}),
    # What sources are asked; never what they answered.
    Action.EDIT_FORMS: frozenset({ADMINISTRATOR}),
}

# Their recipients stand in the intake manifest: whoever reads alerts.
HANDLERS = MAY[Action.READ_ALERTS]


def allowed(roles: Iterable[str], action: Action) -> bool:
    """Whether one of these roles may do this."""
    return not MAY[action].isdisjoint(roles)


def require(roles: Iterable[str], action: Action) -> None:
    """Raises NotAllowed unless one of these roles may do this."""
    if not allowed(roles, action):
        raise NotAllowed(f"none of the roles may {action}")
