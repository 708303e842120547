"""Who is asking, and may they? A token in a header for programs, a session for browsers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from xreid.serving.problems import Refusal
from xreid.serving.sessions import COOKIE, CSRF_HEADER, Session
from xreid.serving.site import Site, site_of
from xreid.serving.tokens import Principal, Role, hash_of

LOCAL = Principal(name="local", role=Role.ADMIN)
_SAFE = ("GET", "HEAD", "OPTIONS")


def principal(request: Request) -> Principal:
    """Whoever makes this request.

    Raises:
        Refusal: 401 without a valid token or session, 403 without the session's CSRF token.
    """
    site = site_of(request)
    if site.tokens is None:
        return LOCAL
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if token:
        found = site.tokens.principal(hash_of(token.strip())) if scheme.lower() == "bearer" else None
        return found or _nobody(request, site)
    session = session_of(request)
    if session is None:
        raise _unknown("sign in first")
    found = site.tokens.principal(session.token_sha256)
    if found is None:
        site.sessions.end(request.cookies.get(COOKIE))
        raise _unknown("the token was withdrawn")
    if request.method not in _SAFE:
        sent = request.headers.get(CSRF_HEADER, "")
        if not secrets.compare_digest(sent.encode(), session.csrf.encode()):
            raise Refusal(403, f"a change from a browser needs its session's token in {CSRF_HEADER}")
    return found


def session_of(request: Request) -> Session | None:
    """The session of a browser, if it has one."""
    return site_of(request).sessions.get(request.cookies.get(COOKIE))


def at_least(role: Role) -> Callable[[Principal], Principal]:
    """A dependency that lets only this role and higher ones pass."""

    def check(who: Annotated[Principal, Depends(principal)]) -> Principal:
        if who.role < role:
            raise Refusal(403, f"this needs the role {role.word}", got=who.role.word)
        return who

    return check


def sign_in(request: Request, token: str) -> tuple[str, Session, Principal]:
    """A new session for a token: name for the cookie, session, and whose it is.

    Raises:
        Refusal: 401 for a token that nobody has, 429 after too many of those, 409 where none is asked for.
    """
    site = site_of(request)
    if site.tokens is None:
        raise Refusal(409, "this server asks for no token")
    sha256 = hash_of(token.strip())
    found = site.tokens.principal(sha256) or _nobody(request, site)
    name, session = site.sessions.start(sha256)
    site.audit.write(found.name, "signed in", {"from": address_of(request)})
    return name, session, found


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else "unknown"


def _nobody(request: Request, site: Site) -> Principal:
    """Refuse a wrong token, slowly after too many of them."""
    address = address_of(request)
    wait = site.attempts.wait_s(address)
    if wait > 0:
        raise Refusal(429, "too many wrong tokens", headers={"retry-after": str(int(wait) + 1)})
    site.attempts.failed(address)
    site.audit.write("unknown", "refused", {"from": address, "why": "wrong token"})
    raise _unknown("the token is not known here")


def _unknown(what: str) -> Refusal:
    return Refusal(
        401, what, headers={"www-authenticate": "Bearer"}, todo="Ask the administrator for a token."
    )


Viewer = Annotated[Principal, Depends(at_least(Role.VIEWER))]
Operator = Annotated[Principal, Depends(at_least(Role.OPERATOR))]
Admin = Annotated[Principal, Depends(at_least(Role.ADMIN))]
Here = Annotated[Site, Depends(site_of)]
