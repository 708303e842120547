"""Signing in and out of the page."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from xreid.serving.auth import Here, Viewer, session_of, sign_in
from xreid.serving.schemas import SessionView, SignIn
from xreid.serving.sessions import COOKIE

router = APIRouter(prefix="/api/v1/session", tags=["session"])


@router.post("", status_code=201)
def start_session(asked: SignIn, request: Request, response: Response, site: Here) -> SessionView:
    """Show a token and get a cookie. Programs send it with each request instead: Authorization: Bearer."""
    name, session, who = sign_in(request, asked.token)
    response.set_cookie(COOKIE, name, httponly=True, samesite="strict", secure=site.config.secure, path="/")
    return SessionView(name=who.name, role=who.role.word, csrf=session.csrf)


@router.get("")
def current_session(who: Viewer, request: Request) -> SessionView:
    """Who is signed in."""
    session = session_of(request)
    return SessionView(name=who.name, role=who.role.word, csrf=session.csrf if session else None)


@router.delete("", status_code=204)
def end_session(who: Viewer, request: Request, response: Response, site: Here) -> None:
    """Sign out."""
    site.sessions.end(request.cookies.get(COOKIE))
    response.delete_cookie(COOKIE, path="/")
