"""What an address of a gallery means, and what keeps its rows."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from xreid.core.errors import ConfigError, DataError
from xreid.retrieval.gallery_folder import FolderStore
from xreid.retrieval.gallery_store import Store

if TYPE_CHECKING:
    from pymilvus import MilvusClient

TOKEN, CA = "XREID_MILVUS_TOKEN", "XREID_MILVUS_CA"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_SECRET = re.compile(r"//[^/]*@")
_DEFAULT_NAME = "xreid"
_TIMEOUT_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Address:
    """A Milvus server, and a gallery on it.

    Attributes:
        uri: Of the server, or the file of a Milvus Lite database.
        name: Of the gallery.
    """

    uri: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Address | None:
        """From http(s)://HOST:PORT/NAME or FILE.db; None where it is neither.

        Raises:
            ConfigError: It is an address, but no such one.
        """
        if "://" not in text:
            return cls(uri=text, name=_DEFAULT_NAME) if text.endswith(".db") else None
        try:
            parts = urlsplit(text)
            name, known = parts.path.strip("/") or _DEFAULT_NAME, parts.scheme in ("http", "https")
            sound = known and parts.hostname and not (parts.username or parts.query or parts.fragment)
            port = parts.port or 19530
        except ValueError:
            sound, name, port = False, "", 0
        if not sound or not _NAME.fullmatch(name):
            raise ConfigError(
                f"{_SECRET.sub('//***@', text)} is no address of a gallery",
                expected="a folder, or http(s)://HOST:PORT/NAME with letters, digits and _ in the name",
                todo=f"A token is given in the environment as {TOKEN}.",
            )
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return cls(uri=f"{parts.scheme}://{host}:{port}", name=name)


def open_store(address: str | Path, *, make: bool) -> Store:
    """What keeps the rows of a gallery at this address.

    Args:
        address: A folder, or http(s)://HOST:PORT/NAME.
        make: Whether it may be made.

    Raises:
        DataError: There is none, it is damaged or of a newer format, or the server does not answer.
        ConfigError: That is no address.
    """
    server = Address.parse(address) if isinstance(address, str) else None
    if server is None:
        folder = Path(address)
        return FolderStore.create(folder) if make else FolderStore(folder)
    client = _connect(server, make=make)
    from xreid.retrieval.gallery_milvus import MilvusStore

    return MilvusStore(client, address=str(address), name=server.name, make=make)


def _connect(server: Address, *, make: bool) -> MilvusClient:
    try:
        import grpc
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException
    except ImportError as error:
        raise ConfigError(
            f"a gallery at {server.uri} needs pymilvus", todo="pip install 'xreid[gallery]'"
        ) from error
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs tracebacks of what it raises, too
    options: dict[str, Any] = {"timeout": _TIMEOUT_S}
    if "://" in server.uri:
        options["token"] = os.environ.get(TOKEN, "")
        if server.uri.startswith("https:"):
            options["secure"] = True
            options |= {"ca_pem_path": os.environ[CA]} if CA in os.environ else {}
    else:
        _require_free(Path(server.uri), make=make)
    try:
        return MilvusClient(uri=server.uri, **options)
    except (MilvusException, grpc.RpcError, OSError) as error:
        text = " ".join(str(getattr(error, "message", "") or error).split())
        raise DataError(
            f"no Milvus server answers at {server.uri}",
            got=text[:200],
            todo=f"Start it, or check the address and the token ({TOKEN}).",
        ) from error


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
