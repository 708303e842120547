"""Errors of the API: problem details (RFC 9457) with the house's expected, got and todo."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from xreid.core.errors import ConfigError, DataError, ProtocolError, XReidError
from xreid.retrieval.kept import NotHereError

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("xreid.serving")


class Refusal(Exception):  # noqa: N818 (an answer like others, not a fault)
    """A request that is answered with a problem.

    Args:
        status: HTTP status.
        what: What is wrong.
        expected: What was expected.
        got: What was got.
        todo: What to do.
        headers: To send along.
    """

    def __init__(
        self,
        status: int,
        what: str,
        *,
        expected: str = "",
        got: str = "",
        todo: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(what)
        self.status, self.what, self.headers = status, what, headers
        self.parts = {"expected": expected, "got": got, "todo": todo}

    def response(self) -> JSONResponse:
        """As an answer."""
        return problem(self.status, self.what, headers=self.headers, **self.parts)


def problem(status: int, what: str, *, headers: dict[str, str] | None = None, **parts: Any) -> JSONResponse:
    """An answer with problem details; empty parts are left out."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": what}
    body.update({name: value for name, value in parts.items() if value})
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """Let every error of the app leave as a problem."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> JSONResponse:
        return error.response()

    @app.exception_handler(XReidError)
    async def own(_: Request, error: XReidError) -> JSONResponse:
        return of_error(error)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        return problem(422, "the request does not fit the API's description", errors=_faults(error))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        return problem(error.status_code, str(error.detail), headers=headers)

    @app.exception_handler(ClientDisconnect)
    async def broken_off(request: Request, _: ClientDisconnect) -> JSONResponse:
        _LOG.warning("%s %s: the client went away before all was sent", request.method, request.url.path)
        return problem(400, "the request was broken off")  # for the metrics: nobody reads it

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem(500, "the server failed; its log says why")


def of_error(error: XReidError) -> JSONResponse:
    """What an error of the package means to a client."""
    known = isinstance(error, ProtocolError | ConfigError | DataError)
    status = 404 if isinstance(error, NotHereError) else 422 if known else 500
    return problem(status, error.what, expected=error.expected, got=error.got, todo=error.todo)


def _faults(error: RequestValidationError) -> list[dict[str, str]]:
    faults = [
        {"where": "/".join(str(part) for part in fault["loc"]), "what": str(fault["msg"])}
        for fault in error.errors()
    ]
    return faults[:20]
