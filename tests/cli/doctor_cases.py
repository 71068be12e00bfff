"""Examinations in this process: what the doctor finds out about somebody who was told this and that."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from gatepass.cli.doctor.examination import Examination
from gatepass.cli.identity import AuthMethod, Who
from gatepass.cli.way import Way

_REPEATED = {"allow_metadata_origin", "allow_endpoint_origin"}


def examined(told):
    """The report about the way in of somebody who was told so, by the names of the command's options."""
    examination = Examination(*_arguments(told), lambda _: None)
    for _ in examination.steps():
        pass
    return examination.report()


def finding(told):
    """The step that failed, and its worst trouble; None where all is well."""
    failure = examined(told).first_failure
    return None if failure is None else (failure.id, failure.troubles[0].id)


def warnings(report):
    """The troubles that stop nobody, with the steps that they belong to."""
    return [(step.id, trouble.id) for step in report.steps for trouble in step.troubles if trouble.verdict == "warning"]


def step_of(report, name):
    return next(step for step in report.steps if step.id == name)


def is_complete(options) -> bool:
    """Whether nothing is left to be filled in."""
    return bool(options) and not any(re.fullmatch(r"[A-Z ]+", str(value)) for value in options.values())


def _arguments(told):
    said = {name: _value(name, value) for name, value in told.items() if value != ""}
    url = said.pop("url")
    who, way = (
        kind(**{field.name: said.pop(field.name) for field in fields(kind) if field.name in said})
        for kind in (Who, Way)
    )
    assert said == {}, "there is no such option"
    return url, who, way


def _value(name, value):
    if name in _REPEATED:
        return [value]
    if name == "auth_method":
        return AuthMethod(value)
    return Path(value) if name.endswith("_file") else value
