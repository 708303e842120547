"""Connecting to a Milvus server: token, certificate, and one message for whatever goes wrong."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from xreid.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

TOKEN, CA = "XREID_MILVUS_TOKEN", "XREID_MILVUS_CA"
_TIMEOUT_S = 15.0
_START_S = 300.0  # Milvus Lite is started here: on a machine that is busy that takes as long as it takes
_TLS_TODO = f"Check the address, and name who vouches for the certificate in {CA}."


def connect(uri: str, *, make: bool) -> MilvusClient:
    """A client of a server, or of the file of a Milvus Lite database.

    Args:
        uri: http(s)://HOST:PORT, or a file.
        make: Whether the file may be made.

    Raises:
        ConfigError: pymilvus is not installed, or the certificate of the environment is none.
        DataError: No server answers there, or it refuses the token, or nobody vouches for its certificate.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes to stderr what it raises, too
    try:
        import grpc
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException
    except ImportError as error:
        raise ConfigError(
            f"a gallery at {uri} needs pymilvus", todo="pip install 'xreid[gallery]'"
        ) from error
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs tracebacks of what it raises, too
    options: dict[str, Any] = {"timeout": _TIMEOUT_S if "://" in uri else _START_S}
    if "://" in uri:
        options["token"] = os.environ.get(TOKEN, "")
        if uri.startswith("https:"):
            options |= {"secure": True} | _certificate()
    else:
        _require_free(Path(uri), make=make)
    try:
        return MilvusClient(uri=uri, **options)
    except (MilvusException, grpc.RpcError, OSError) as error:
        text = " ".join(str(getattr(error, "message", "") or error).split())
        fault = tls_fault(uri, options.get("server_pem_path")) if uri.startswith("https:") else None
        if fault is not None:
            raise DataError(f"there is no secure connection to {uri}", got=fault, todo=_TLS_TODO) from error
        if _listens(uri):
            raise DataError(
                f"{uri} lets nobody in",
                expected="a Milvus server that knows the token",
                got=text[:200],
                todo=f"Check the token (user:password in {TOKEN}), and http or https.",
            ) from error
        raise DataError(
            f"no Milvus server answers at {uri}", got=text[:200], todo="Start it, or check the address."
        ) from error


def tls_fault(uri: str, authority: str | None) -> str | None:
    """Why no TLS connection comes about, in words; None where it does, or where nobody listens.

    Args:
        uri: https://HOST:PORT.
        authority: File of the certificate of who must vouch for the server's; None for those of the system.
    """
    parts = urlsplit(uri)
    context = ssl.create_default_context(cafile=authority)
    try:
        with (
            socket.create_connection((parts.hostname, parts.port), timeout=_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted: {error.verify_message}"
    except ssl.SSLError as error:
        return f"it does not speak TLS ({error.reason})"
    except OSError:
        return None


def _listens(uri: str) -> bool:
    parts = urlsplit(uri)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=_TIMEOUT_S).close()
    except (OSError, ValueError):
        return False
    return True


def _certificate() -> dict[str, str]:
    """Who must vouch for the server, from the environment.

    Raises:
        ConfigError: The file is not there, or holds no certificate.
    """
    path = os.environ.get(CA)
    if not path:
        return {}
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # SSLError is one
        raise ConfigError(
            f"{CA} names no certificate",
            expected="a PEM file",
            got=f"{path}: {error.strerror or error}"[:200],
        ) from error
    return {"server_pem_path": path}


def _require_free(database: Path, *, make: bool) -> None:
    """Milvus Lite serves one process at a time.

    Raises:
        DataError: Another process holds it, there is none, or no folder to make it in.
    """
    if not database.parent.is_dir():
        raise DataError(f"{database} is in no folder", todo="Make the folder first.")
    if not make and not database.exists():
        raise DataError(
            f"{database} is no gallery", todo=f"Make one with `xreid gallery add {database} ...`."
        )
    pid = _holder(database / "LOCK")
    if pid not in (None, os.getpid()):
        raise DataError(
            f"{database} is held by process {pid}{_command(pid)}",
            expected="one process at a time: Milvus Lite allows no more",
            todo="End that process, or use a folder or a server, which many may use at once.",
        )


def _holder(lock: Path) -> int | None:
    """The process that has locked a file, as Linux tells it."""
    try:
        inode = lock.stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    held = [line.split() for line in lines if f":{inode} " in line and "FLOCK" in line]
    return int(held[0][-4]) if held else None


def _command(pid: int | None) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""
    return f" ({words[:80]})"
