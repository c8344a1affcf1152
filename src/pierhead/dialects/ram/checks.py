"""What handlers find wrong with a request before they change anything: asked for mock calls."""

from collections.abc import Callable, Mapping

from pierhead.core import trust
from pierhead.core.errors import Invalid
from pierhead.core.identities import LONGEST_SESSION, SHORTEST_SESSION, USUAL_SESSION
from pierhead.core.moments import read_moment
from pierhead.core.policy import parse
from pierhead.dialects.ram.calls import Call
from pierhead.dialects.ram.errors import RamError
from pierhead.dialects.ram.handlers.figures import series_asked
from pierhead.dialects.ram.handlers.storage import account_of
from pierhead.operations import series, storage
from pierhead.operations.connections import check_account
from pierhead.operations.iam.users import check_password


def check(call: Call) -> None:
    """Check a call's values.

    Raises:
        PierheadError: what the handler would raise for values that it cannot use.
    """
    found = _CHECKS.get(call.operation.id)
    if found is not None:
        found(call)


def _policy(call: Call) -> None:
    parse(call.text("PolicyName"), call.text("PolicyDocument"))


def _role(call: Call) -> None:
    for name in ("AssumeRolePolicyDocument", "NewAssumeRolePolicyDocument"):
        if call.text(name):
            trust.check(call.text(name))
    for name in ("MaxSessionDuration", "NewMaxSessionDuration"):
        _within(name, call.number(name), USUAL_SESSION)


def _assume(call: Call) -> None:
    _within("DurationSeconds", call.number("DurationSeconds"), SHORTEST_SESSION)
    if call.text("Policy"):
        try:
            parse("session policy", call.text("Policy"))
        except Invalid as error:
            raise RamError("InvalidParameter.PolicyGrammar", error.message) from error


def _within(name: str, seconds: int | None, shortest: int) -> None:
    if seconds is not None and not shortest <= seconds <= LONGEST_SESSION:
        raise Invalid(name, f"[{seconds}]", f"{shortest} to {LONGEST_SESSION} seconds")


def _password(call: Call) -> None:
    if call.text("Password"):
        check_password(call.text("Password"))


def _series(call: Call) -> None:
    now = read_moment(call.circumstances.get("acs:CurrentTime", "")) or 0
    series.check(series_asked(call), float(now))


def _connection(call: Call) -> None:
    account = account_of(call, created=0.0)
    storage.demand_public(call.principal, account.connection)
    check_account(account)


_CHECKS: Mapping[str, Callable[[Call], None]] = {
    "CreatePolicy": _policy,
    "CreatePolicyVersion": _policy,
    "CreateRole": _role,
    "UpdateRole": _role,
    "AssumeRole": _assume,
    "CreateLoginProfile": _password,
    "UpdateLoginProfile": _password,
    "GetServiceSeries": _series,
    "CreateStorageConnection": _connection,
}
