"""Small documents in a Milvus collection: what gallery.json is to a folder.

A document is JSON, compressed and cut into parts that fit a text column. Reading one that is being rewritten
gives the old or the new one: parts carry the hash of the whole, and the version names the one that holds.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from xreid.core.errors import DataError, XReidError
from xreid.retrieval.gallery_expression import listed, token

if TYPE_CHECKING:
    from pymilvus import MilvusClient

Level = Literal["Strong", "Session"]
# Strong: all that anybody has written; waits for the server's next tick, up to 0.2 s. Session: all that this
# process has written, and what others had written some moments ago.
STRONG: Level = "Strong"
SESSION: Level = "Session"
_PART = 60_000  # characters of a part; Milvus allows 65,535 bytes
_ROWS = 4  # parts of one request, so that it stays far below 64 MB
_READ = 16_384  # most rows of an answer
_KINDS = 40


class Documents:
    """Documents by kind and name.

    Args:
        client: Of the server.
        collection: Where they lie; made where missing.
        make: Whether it may be made.

    Raises:
        DataError: The collection is not there.
    """

    def __init__(self, client: MilvusClient, collection: str, *, make: bool) -> None:
        self._client, self._collection = client, collection
        with told():
            there = client.has_collection(collection)
        if not there and not make:
            raise DataError(
                f"the server has no gallery {collection.removesuffix('_documents')!r}",
                todo="Make one with `xreid gallery add ADDRESS EMBEDDINGS`.",
            )
        if not there:
            self._make()

    def put(self, kind: str, name: str, value: Any) -> None:
        """Write a document."""
        text = base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()
        parts = [text[i : i + _PART] for i in range(0, len(text), _PART)] or [""]
        digest = token(text)
        rows = [
            {
                "id": f"{token(kind + ':' + name)}{number:06d}",
                "kind": kind,
                "owner": token(kind + ":" + name),
                "of": json.dumps([name, digest, number, len(parts)]),
                "text": part,
                "vector": [0.0, 0.0],
            }
            for number, part in enumerate(parts)
        ]
        with told():
            # The first part comes last: until then the old document's first part does not fit the new rest.
            for start in range(0, len(rows), _ROWS):
                self._client.upsert(self._collection, rows[::-1][start : start + _ROWS])

    def drop(self, kind: str, name: str) -> None:
        """Delete a document."""
        with told():
            self._client.delete(self._collection, filter=f"owner in {listed([token(kind + ':' + name)])}")

    def get(self, kind: str, name: str, *, level: Level = STRONG) -> Any:
        """One document; None where it is not there."""
        rows = self._rows(f"owner in {listed([token(kind + ':' + name)])}", level)
        return _joined(rows).get(name)

    def all(self, kind: str) -> dict[str, Any]:
        """All documents of a kind, by name."""
        assert kind.isalpha()
        return _joined(self._rows(f'kind == "{kind}"'))

    def names(self, kind: str) -> list[str]:
        """Names of all documents of a kind."""
        return sorted(self.all(kind))

    def flush(self) -> None:
        """Have them written to disk."""
        with told():
            self._client.flush(self._collection)

    def _rows(self, condition: str, level: Level = STRONG) -> list[dict[str, Any]]:
        with told():
            rows: list[dict[str, Any]] = self._client.query(
                self._collection,
                filter=condition,
                output_fields=["of", "text"],
                limit=_READ,
                consistency_level=level,
            )
        return rows

    def _make(self) -> None:
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
        for name, length in (("kind", _KINDS), ("owner", 64), ("of", 4096), ("text", 65_535)):
            schema.add_field(name, DataType.VARCHAR, max_length=length)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # Milvus has no collection without one
        index = MilvusClient.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="IP")
        with told():
            self._client.create_collection(
                self._collection, schema=schema, index_params=index, consistency_level="Strong"
            )
            self._client.load_collection(self._collection)


def _joined(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Documents from their parts; those whose parts do not fit together are left out."""
    parts: dict[tuple[str, str], dict[int, str]] = {}
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        name, digest, number, count = json.loads(row["of"])
        parts.setdefault((name, digest), {})[number] = row["text"]
        counts[name, digest] = count
    found = {}
    for (name, digest), texts in parts.items():
        if len(texts) == counts[name, digest]:
            text = "".join(texts[number] for number in sorted(texts))
            found[name] = json.loads(zlib.decompress(base64.b64decode(text)))
    return found


@contextmanager
def told() -> Iterator[None]:
    """Errors of the client as one message."""
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except (MilvusException, grpc.RpcError) as error:
        text = " ".join(str(getattr(error, "message", "") or error).split())
        text = text.rpartition("attempt #0: ")[2]  # before it the server puts a stack trace
        raise XReidError("the Milvus server did not do what was asked", got=text[:300]) from error
