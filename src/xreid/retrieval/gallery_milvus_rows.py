"""Rows of a gallery in a Milvus collection."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import DataError
from xreid.core.tracklets import Modality
from xreid.retrieval.columns import Labels
from xreid.retrieval.gallery_documents import told
from xreid.retrieval.gallery_expression import UNKNOWN_END, UNKNOWN_QUALITY, UNKNOWN_START, token
from xreid.retrieval.gallery_rows import StoredSet, row_id

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_TEXT = 65_535  # most bytes of a text column


def make_rows(client: MilvusClient, name: str, width: int) -> str:
    """Make the collection of rows for vectors of that width; returns its name."""
    from pymilvus import DataType, MilvusClient

    with told():
        if client.has_collection(name):
            client.drop_collection(name)  # of a writer that was killed before it named it
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=32)
    for column in ("set_key", "name", "identity", "camera", "place", "source", "model"):
        schema.add_field(column, DataType.VARCHAR, max_length=64)
    schema.add_field("infrared", DataType.BOOL)
    for column in ("start_s", "end_s", "quality"):
        schema.add_field(column, DataType.DOUBLE)
    schema.add_field("labels", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=256, max_length=64)
    schema.add_field("document", DataType.VARCHAR, max_length=_TEXT)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=width)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="IP")
    with told():
        client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")
        client.load_collection(name)
    return name


def row_of(
    stored: StoredSet, embeddings: EmbeddingSet, number: int, labels: Mapping[str, Labels]
) -> dict[str, Any]:
    """A tracklet as a row of the collection."""
    row = embeddings.table[number]
    entry_id = row_id(stored.key, row.name)
    own = labels.get(entry_id, stored.labels)
    end = row.end_s if row.end_s is not None else row.start_s
    document = {"tracklet": {**asdict(row), "modality": row.modality.value}, "labels": list(own)}
    return {
        "id": entry_id,
        "set_key": stored.key,
        "name": token(row.name),
        "identity": token(row.identity),
        "camera": token(row.camera),
        "place": token(row.place),
        "source": token(row.source),
        "model": embeddings.origin.checkpoint[:64],
        "infrared": row.modality is Modality.INFRARED,
        "start_s": UNKNOWN_START if row.start_s is None else row.start_s,
        "end_s": UNKNOWN_END if end is None else end,
        "quality": UNKNOWN_QUALITY if row.quality is None else row.quality,
        "labels": [token(label) for label in own],
        "document": packed(document, row.name),
        "vector": embeddings.vectors[number].tolist(),
    }


def packed(document: dict[str, Any], what: str) -> str:
    """As readable JSON where it fits, else compressed.

    Raises:
        DataError: It fits neither way.
    """
    text = json.dumps(document, separators=(",", ":"))
    if len(text) > _TEXT:
        text = "zlib:" + base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    if len(text) > _TEXT:
        raise DataError(
            f"tracklet {what} has too many frames for a gallery on a server",
            got=f"{len(document['tracklet']['frames'])} frames",
            todo="Split it, or keep the gallery in a folder.",
        )
    return text


def unpacked(text: str) -> dict[str, Any]:
    """What `packed` packed."""
    if text.startswith("zlib:"):
        text = zlib.decompress(base64.b64decode(text.removeprefix("zlib:"))).decode()
    found: dict[str, Any] = json.loads(text)
    return found
