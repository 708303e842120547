"""Running the application: uvicorn with limits, and a word on the terminal about where it is."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import uvicorn

from xreid.core.errors import ConfigError
from xreid.serving.app import create_app
from xreid.serving.config import ServeConfig
from xreid.serving.patience import patient_protocol
from xreid.serving.site import Site

_BACKLOG = 128


def serve(config: ServeConfig, *, tell: Callable[[str], None] = lambda text: None) -> None:
    """Serve until interrupted.

    Args:
        config: The settings.
        tell: Called with the address, once it listens.

    Raises:
        XReidError: The gallery or the state cannot be opened, or the port is taken.
    """
    config.require_files()
    _require_tls(config)
    listening = _listen(config)
    try:
        site = Site.open(config)
        site.backend.check_strangers()
    except BaseException:
        listening.close()
        raise
    scheme = "https" if config.tls_cert else "http"
    host = f"[{config.host}]" if ":" in config.host else config.host
    tell(f"{scheme}://{host}:{listening.getsockname()[1]}/")
    server(config, site).run(sockets=[listening])


def server(config: ServeConfig, site: Site) -> uvicorn.Server:
    """The server of a site, not running yet."""
    settings = uvicorn.Config(
        create_app(site),
        http=patient_protocol(
            header_seconds=config.limits.header_seconds, idle_seconds=config.limits.idle_seconds
        ),
        ws="none",
        log_level="warning",
        access_log=False,  # addresses name tracklets; the audit log is the record
        server_header=False,
        limit_concurrency=config.limits.connections,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=32 * 1024,
        ssl_certfile=config.tls_cert,
        ssl_keyfile=config.tls_key,
        proxy_headers=config.behind_tls,
        forwarded_allow_ips="127.0.0.1,::1",
    )
    return uvicorn.Server(settings)


def _require_tls(config: ServeConfig) -> None:
    """Tell a wrong certificate or key now, and not by a traceback of the server."""
    if config.tls_cert is None or config.tls_key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.tls_cert, config.tls_key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            "the certificate and the key do not go together, or are none",
            expected="PEM files",
            got=str(error),
        ) from error


def _listen(config: ServeConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((config.host, config.port))
        listening.listen(_BACKLOG)  # who asks before the server runs waits, and is not refused
    except (OSError, OverflowError) as error:
        listening.close()
        raise ConfigError(
            f"cannot listen on {config.host} port {config.port}: {getattr(error, 'strerror', error)}",
            todo="Choose another --port, or stop what uses it.",
        ) from error
    return listening
