"""Errors: what is copied when one is raised anew, and what is left behind."""

from __future__ import annotations

import pytest

from gatepass.errors import (
    ConfigurationError,
    GatepassError,
    RemoteError,
    SignInRequiredError,
    StoreError,
    UnreachableError,
)

KINDS = [GatepassError, ConfigurationError, RemoteError, UnreachableError, StoreError, SignInRequiredError]


def raised(kind: type[GatepassError]) -> GatepassError:
    error = kind("It failed.", code="x", error="e", status=400, retryable=True, retry_at=5.0, by="resource_server")
    with pytest.raises(kind) as caught:
        raise error from ValueError("the cause")
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_raised_anew_with_what_it_says_and_without_where_it_was(kind: type[GatepassError]) -> None:
    first = raised(kind)
    again = first.again()
    assert (type(again), str(again), vars(again)) == (kind, "It failed.", vars(first))
    assert (again.__traceback__, again.__cause__, again.__context__) == (None, None, None)
    assert first.__traceback__ is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_with_changes_leaves_the_original(kind: type[GatepassError]) -> None:
    first = raised(kind)
    changed = first.with_(retry_at=7.0)
    assert (changed.retry_at, first.retry_at, changed.status) == (7.0, 5.0, 400)


def test_an_error_that_wants_a_person_keeps_its_url() -> None:
    error = SignInRequiredError("Sign in.", code="sign_in_required")
    assert error.url is None
    asked = error.with_(url="https://as.example.com/authorize")
    assert asked.url == asked.again().url == "https://as.example.com/authorize"
    assert error.url is None
    assert not isinstance(error, ConfigurationError | RemoteError | UnreachableError | StoreError)
