"""The door: which requests come in, how large and how slow they may be, and what every answer carries."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xreid.serving.config import MIB, Limits
from xreid.serving.metrics import Metrics
from xreid.serving.problems import problem

UPLOADS = "/api/v1/uploads"
_SAFE = ("GET", "HEAD", "OPTIONS")
_LEAST_RATE = 4096  # bytes a second that a client must send on average, after the first pause
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; form-action 'none'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Wraps the application.

    Args:
        app: The application.
        limits: What a client may ask.
        hosts: Names, besides loopback's and plain addresses, that the server goes by.
        secure: Whether browsers come by https.
        metrics: Counts every request.
    """

    def __init__(
        self, app: ASGIApp, *, limits: Limits, hosts: Collection[str], secure: bool, metrics: Metrics
    ) -> None:
        self.app, self.limits, self.metrics = app, limits, metrics
        self.hosts = {host.lower() for host in hosts} | {"localhost"}
        self.headers = dict(_HEADERS)
        if secure:
            self.headers["strict-transport-security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            refused = self._refusal(scope)
            if refused is not None:
                await problem(*refused)(scope, receive, told)
            else:
                await self.app(scope, self._measured(scope, receive), told)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.request(scope["method"], route, status, seconds=time.perf_counter() - start)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return 421, "this server does not go by that name; name it with --allow_host"
        if not _same_origin(headers, hosts[0]):
            return 403, "requests from other sites are refused"
        if scope["method"] not in _SAFE and _is_form(headers):
            return 415, "forms are not taken; send JSON, or the bytes of a file"
        stated = headers.get("content-length", "0")
        if stated.isascii() and stated.isdigit() and int(stated) > self._most_bytes(scope):
            return 413, f"the request is larger than the {self._most_bytes(scope)} bytes allowed here"
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header is honest: a name that others let point here (DNS rebinding) is not."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            urlsplit(f"//{host}").port  # noqa: B018 (raises where it is none)
        except ValueError:
            return False
        if name.lower() in self.hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True  # an address is nobody's name

    def _most_bytes(self, scope: Scope) -> int:
        upload = scope["path"] == UPLOADS
        return self.limits.upload_mib * MIB if upload else self.limits.body_kib * 1024

    def _measured(self, scope: Scope, receive: Receive) -> Receive:
        """`receive` that ends requests which grow too large or come too slowly."""
        taken, waited = 0, 0.0

        async def measured() -> Message:
            nonlocal taken, waited
            if scope.get("xreid.body_read"):
                return await receive()  # only waits for the client to leave
            patience = self.limits.idle_seconds + taken / _LEAST_RATE - waited
            begun = time.perf_counter()
            try:
                message = await asyncio.wait_for(receive(), max(patience, 0.01))
            except TimeoutError:
                raise HTTPException(408, "the request came too slowly", {"connection": "close"}) from None
            waited += time.perf_counter() - begun
            taken += len(message.get("body", b""))
            scope["xreid.body_read"] = not message.get("more_body", False)
            if taken > self._most_bytes(scope):
                raise HTTPException(
                    413, f"the request is larger than the {self._most_bytes(scope)} bytes allowed here"
                )
            return message

        return measured


def _same_origin(headers: Headers, host: str) -> bool:
    """Whether a browser says that another site made it send this. A link that is followed is not refused."""
    site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "")
    if site not in ("none", "same-origin") and mode != "navigate":
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def _is_form(headers: Headers) -> bool:
    """Whether the body is of a kind that a page of another site may send without asking."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
