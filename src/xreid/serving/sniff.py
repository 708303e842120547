"""What a file is by its first bytes; its name and what the client calls it do not count.

Only containers that hold their pictures themselves are known. A playlist or a concatenation script would make
the decoder open other files and addresses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HEAD_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file.

    Attributes:
        what: image or video.
        name: The format's usual name.
        decoder: Name of FFmpeg's demuxer, or of Pillow's format; no other is tried.
    """

    what: Literal["image", "video"]
    name: str
    decoder: str


def kind_of(head: bytes) -> Kind | None:
    """The kind of a file that begins with `head`; None where it is none of those known."""
    return _image(head) or _video(head)


def _image(head: bytes) -> Kind | None:
    for magic, name in ((b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"BM", "BMP")):
        if head.startswith(magic):
            return Kind(what="image", name=name, decoder=name)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Kind(what="image", name="WebP", decoder="WEBP")
    if head[:4] in (b"II*\x00", b"MM\x00*"):
        return Kind(what="image", name="TIFF", decoder="TIFF")
    return None


def _video(head: bytes) -> Kind | None:
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return Kind(what="video", name="MP4", decoder="mov")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return Kind(what="video", name="Matroska", decoder="matroska")
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return Kind(what="video", name="AVI", decoder="avi")
    if head[:3] == b"FLV":
        return Kind(what="video", name="FLV", decoder="flv")
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return Kind(what="video", name="MPEG-TS", decoder="mpegts")
    if head.startswith((b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")):
        return Kind(what="video", name="MPEG-PS", decoder="mpeg")
    return None
