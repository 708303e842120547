"""Files that clients send: streamed to disk with their hash, looked at, kept for a while."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xreid.retrieval.kept import KeptFolders, new_id
from xreid.serving.config import MIB, Limits
from xreid.serving.decoding import Decoded, decode
from xreid.serving.ids import Busy
from xreid.serving.problems import Refusal
from xreid.serving.sniff import HEAD_BYTES, Kind, kind_of


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that was sent.

    Attributes:
        id: 16 hexadecimal digits.
        name: What the client calls it, shortened; only shown.
        owner: Who sent it.
        sha256: Of its bytes.
        size: Bytes.
        kind: What it is by its first bytes.
        width: Pixels.
        height: Pixels.
        seconds: Length of a video, 0 of a picture.
        frames: Frames of a video, as far as known.
        chroma: Mean spread of the colour channels; infrared pictures have next to none.
        made: Unix seconds.
    """

    id: str
    name: str
    owner: str
    sha256: str
    size: int
    kind: Kind
    width: int
    height: int
    seconds: float
    frames: int
    chroma: float
    made: float


class Uploads:
    """The files kept.

    Args:
        folder: Where.
        limits: The server's.
    """

    def __init__(self, folder: Path, *, limits: Limits) -> None:
        self.kept, self.limits = KeptFolders(folder, what="upload", todo="Send the file again."), limits
        self._decoding = Busy("a decoder", waiting=8)

    async def receive(self, chunks: AsyncIterator[bytes]) -> tuple[Path, str, int]:
        """Write a body to a temporary folder: the folder, the hash and the size of the file in it.

        Raises:
            Refusal: 507 where no room is left, 422 for an empty body.
        """
        room = self.limits.uploads_mib * MIB - self._held()
        folder = self.kept.room()
        digest, size = hashlib.sha256(), 0
        try:
            with open(folder / "file", "wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > room:
                        raise Refusal(507, "no room is left for uploads", todo="Delete some, or wait.")
                    digest.update(chunk)
                    file.write(chunk)
            if not size:
                raise Refusal(422, "the upload is empty", expected="the bytes of an image or a video")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder, digest.hexdigest(), size

    def keep(self, folder: Path, *, sha256: str, size: int, name: str, owner: str) -> Upload:
        """Look at what `receive` wrote, and keep it.

        Raises:
            Refusal: It is no image or video, is damaged, or is too large.
        """
        try:
            with open(folder / "file", "rb") as file:
                kind = kind_of(file.read(HEAD_BYTES))
            if kind is None:
                raise Refusal(
                    415,
                    "the file is no image or video that is known here",
                    expected="JPEG, PNG, MP4, MKV, AVI, ...",
                )
            with self._decoding:
                seen = decode(folder / "file", kind, limits=self.limits, any_length=True, frames=1)
            upload = Upload(
                id=new_id(),
                name=_shown(name),
                owner=owner,
                sha256=sha256,
                size=size,
                kind=kind,
                width=seen.width,
                height=seen.height,
                seconds=seen.seconds,
                frames=seen.frames,
                chroma=seen.chroma,
                made=time.time(),
            )
            self.kept.put(folder, upload.id, asdict(upload))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return upload

    def get(self, name: str) -> Upload:
        """An upload.

        Raises:
            NotHereError: There is none, or its time is over.
        """
        plain = self.kept.record(name)
        return Upload(**{**plain, "kind": Kind(**plain["kind"])})

    def path(self, upload: Upload) -> Path:
        """Where its bytes lie."""
        return self.kept.at(upload.id) / "file"

    def pictures(self, upload: Upload, out: Path, **asked: Any) -> Decoded:
        """Decode pictures of an upload into a folder; see `decoding.Request` for what can be asked."""
        with self._decoding:
            return decode(self.path(upload), upload.kind, limits=self.limits, out=str(out), **asked)

    def _held(self) -> int:
        return sum(path.stat().st_size for path in self.kept.folder.glob("*/file"))


def _shown(name: str) -> str:
    """A client's name for a file: its last part, printable, short. It never becomes a path."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(letter for letter in last if letter.isprintable())[:80] or "file"
