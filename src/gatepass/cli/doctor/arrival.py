"""Before anything is asked: the client's credential on this machine, and the way to a server below HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gatepass
from gatepass.cli.doctor.causes import admission, network
from gatepass.cli.doctor.causes.network import day
from gatepass.cli.doctor.outline import skipped, step
from gatepass.cli.doctor.report import Exchange, Party, Side, Verdict
from gatepass.cli.exits import Exit, exit_of
from gatepass.errors import ConfigurationError
from gatepass.profiles.workload_identity import WorkloadIdentity

if TYPE_CHECKING:
    from gatepass.cli.doctor.case import Case
    from gatepass.cli.doctor.reach import Reached
    from gatepass.cli.doctor.report import Fields, Step, Trouble
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.core.secret import Secret
    from gatepass.core.world import PrivateKey, Signer

__all__ = ["client", "connection", "name"]

_QUOTES = "\"'"


def client(case: Case) -> Step:
    """What proves the client, read where it stands. None of it is sent."""
    if case.anonymous:
        case.barred = "No client was given: --client-id says who it is."
        return skipped("client", "None was given; the way is looked at as far as anybody can see.")
    who = case.client
    asked = Side(
        f"the client {who.client_id}" if who and who.client_id else "the client", _given(case), "the credential"
    )
    try:
        fields, troubles = _read(case, who)
    except ConfigurationError as error:
        failure = error.again()
    else:
        answered = Side("it can be read" if fields else "there is nothing to read", fields, "can be read")
        return step("client", [Exchange(to="here", asked=asked, answered=answered)], troubles)
    answered = Side("it can't be used", short=f"can't be used ({failure.code})")
    exchange = Exchange(to="here", asked=asked, answered=answered, verdict=Verdict.FAILED)
    case.barred = "The client's credential can't be used."
    return step("client", [exchange], [admission.unusable(failure)], exit_code=exit_of(failure))


def name(case: Case) -> Step:
    """Where the MCP server's name leads."""
    here = case.reach(case.endpoint)
    if here.proxy is not None:
        return skipped("name", f"The proxy {here.proxy} looks it up.")
    if here.literal:
        return skipped("name", f"{here.host} is an address.")
    asked = Side(f"the addresses of {here.host}", short=f"DNS {here.host}")
    if here.addresses:
        return step("name", [Exchange(to="here", asked=asked, answered=_addresses(here))])
    said = here.flaw.said if here.flaw else ""
    answered = Side(f"none: {said}", short="no address")
    exchange = Exchange(to="here", asked=asked, answered=answered, verdict=Verdict.FAILED)
    return step("name", [exchange], [network.unreached(here, case.endpoint)], exit_code=Exit.UNREACHABLE)


def connection(case: Case, url: str, *, id: str, to: Party) -> Step:  # noqa: A002 - it is the step's
    """How far one gets to a server.

    Args:
        case: the case.
        url: a URL of the server.
        id: of the step.
        to: whose server it is.
    """
    there = case.reach(url)
    flaw = there.flaw
    if flaw is not None and flaw.stage == "name" and id == "connection":
        return skipped(id, "There is no address to connect to.")
    verdict = Verdict.OK if flaw is None else Verdict.FAILED
    exchanges = [Exchange(to=to, asked=_hello(there, url), answered=_met(there), verdict=verdict)]
    if flaw is not None:
        return step(id, exchanges, [network.unreached(there, url)], exit_code=Exit.UNREACHABLE)
    return step(id, exchanges, network.doubts(there, url))


# The credential.


def _given(case: Case) -> Fields:
    """What was said of the credential, and where."""
    said = case.access.said
    return tuple((said.named[each], str(said.values[each])) for each in _PROOFS if each in said.values)


_PROOFS = (
    "client_secret_file",
    "client_secret_env",
    "client_secret_from",
    "private_key_file",
    "private_key_from",
    "assertion_file",
    "assertion_from",
    "workload",
    "cert_file",
)


def _read(case: Case, who: ClientAuthentication | None) -> tuple[Fields, list[Trouble]]:
    """What may be said of the credential.

    Raises:
        ConfigurationError: it can't be read, or is none.
    """
    fields: Fields = ()
    troubles: list[Trouble] = []
    match who:
        case gatepass.ClientSecret():
            value = case.world.reveal(who.secret)
            fields = (("client secret", _place(who.secret)),)
            troubles = [admission.stray_characters(_place(who.secret))] if value != value.strip().strip(_QUOTES) else []
        case gatepass.PrivateKeyJwt():
            fields = _key(case, who.key)
        case gatepass.ClientAssertion():
            fields = (("assertion", "a JWT, read when it is needed"),)
        case gatepass.TlsClient():
            fields = (("certificate", f"SHA-256 thumbprint {case.world.certificate()}"),)
        case _:
            pass
    if isinstance(case.profile, WorkloadIdentity):
        source = getattr(case.profile.source, "name", "where you said")
        fields = (*fields, ("workload", f"a JWT from {source}, read when it is needed"))
    return fields, troubles


def _key(case: Case, key: PrivateKey | Signer) -> Fields:
    from gatepass.keys.thumbprint import thumbprint

    signer = case.world.signer(key)
    case.algorithms = signer.algorithms
    kid = signer.public_jwk.get("kid")
    return (
        ("private key", f"signs with {', '.join(signer.algorithms)}"),
        ("thumbprint", f"{thumbprint(signer.public_jwk)} (RFC 7638)"),
        *((("kid", str(kid)),) if kid is not None else ()),
    )


def _place(secret: Secret) -> str:
    return str(secret.reference) if secret.reference is not None else "an argument"


# The connection.


def _addresses(there: Reached) -> Side:
    return Side(", ".join(there.addresses), short=there.addresses[0])


def _hello(there: Reached, url: str) -> Side:
    what = "a TLS connection" if url.startswith("https:") else "a connection"
    way = f" through the proxy {there.proxy}" if there.proxy else ""
    return Side(f"{what} to {there.host}:{there.port}{way}", short="TLS" if url.startswith("https:") else "TCP")


def _met(there: Reached) -> Side:
    if there.unseen:
        return Side("not looked at: the library alone speaks to such a proxy", short="not looked at")
    fields: list[tuple[str, str]] = []
    if there.addresses and there.host not in there.addresses:
        fields.append(("address", ", ".join(there.addresses)))
    if there.certificate is not None:
        shown_ = there.certificate
        fields += [
            ("certificate of", shown_.subject),
            ("for", ", ".join(shown_.names) or "no name"),
            ("signed by", shown_.issuer),
            ("good", f"from {day(shown_.not_before)} to {day(shown_.not_after)}"),
        ]
    if there.flaw is not None:
        return Side(f"none: {there.flaw.said}", tuple(fields), short=there.flaw.id)
    return Side(there.tls or "connected, without TLS", tuple(fields), short=there.tls or "connected")
