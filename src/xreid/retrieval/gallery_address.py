"""What an address of a gallery means, and what keeps its rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from xreid.core.errors import ConfigError
from xreid.retrieval.gallery_connection import TOKEN, connect
from xreid.retrieval.gallery_folder import FolderStore
from xreid.retrieval.gallery_store import Store

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_SECRET = re.compile(r"//[^/]*@")
_DEFAULT_NAME = "xreid"


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
    client = connect(server.uri, make=make)
    from xreid.retrieval.gallery_milvus import MilvusStore

    return MilvusStore(client, address=str(address), name=server.name, make=make)
