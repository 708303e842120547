"""A camera for tests: an RTSP server on this machine that plays pictures as H.264 over RTP, as cameras do.

RFC 2326 (RTSP), RFC 6184 (H.264 in RTP), interleaved over the RTSP connection. One track, no authentication.
"""

from __future__ import annotations

import base64
import re
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterable
from fractions import Fraction
from types import TracebackType

import av
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
_CLOCK, _MOST = 90_000, 1_400


def encode(images: Iterable[Image], *, fps: int, keyframes: int = 5) -> list[list[bytes]]:
    """The NAL units of each picture, parameter sets before every key frame, no B-frames."""
    codec = av.CodecContext.create("libx264", "w")
    units = []
    for number, image in enumerate(images):
        if number == 0:
            codec.height, codec.width = image.shape[:2]
            codec.pix_fmt, codec.time_base = "yuv420p", Fraction(1, fps)
            codec.framerate = Fraction(fps)
            codec.gop_size = keyframes
            codec.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "20"}
        picture = av.VideoFrame.from_ndarray(image, format="bgr24")
        picture.pts = number
        units += [_nals(bytes(packet)) for packet in codec.encode(picture)]
    return units


def _nals(data: bytes) -> list[bytes]:
    return [unit for unit in re.split(rb"\x00?\x00\x00\x01", data) if unit]


class RtspCamera(socketserver.ThreadingTCPServer):
    """Plays pictures in a loop, in real time, to everybody who connects.

    Args:
        units: Of `encode`.
        fps: Pictures a second.
        drop_after: The first so many connections are cut off after so many pictures, e.g. [30]: one after 30.
    """

    allow_reuse_address, daemon_threads, block_on_close = True, True, False

    def __init__(self, units: list[list[bytes]], *, fps: int, drop_after: Iterable[int] = ()) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.units, self.fps, self.drop_after = units, fps, list(drop_after)
        self.connections = 0
        self.paused = threading.Event()  # set: the camera is silent

    @property
    def url(self) -> str:
        return f"rtsp://operator:secret@127.0.0.1:{self.server_address[1]}/yard"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away is no fault, and another test reads stderr by then."""

    def __enter__(self) -> RtspCamera:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()


class _Handler(socketserver.StreamRequestHandler):
    server: RtspCamera

    def handle(self) -> None:
        while request := self._request():
            method, number = request
            extra, body = self._answer(method)
            head = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{extra}"
            self.wfile.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            if method == "PLAY":
                self._play()
                return

    def _request(self) -> tuple[str, str] | None:
        lines = []
        while line := self.rfile.readline().decode("latin-1").strip():
            lines.append(line)
        if not lines:
            return None
        number = next(text.split(":")[1].strip() for text in lines if text.lower().startswith("cseq"))
        return lines[0].split()[0], number

    def _answer(self, method: str) -> tuple[str, str]:
        if method == "DESCRIBE":
            sets = ",".join(base64.b64encode(unit).decode() for unit in self.server.units[0][:2])
            lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=yard", "t=0 0", "m=video 0 RTP/AVP 96"]
            lines += ["a=rtpmap:96 H264/90000", f"a=framerate:{self.server.fps}"]
            lines += [f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}", "a=control:track0"]
            return "Content-Type: application/sdp\r\n", "\r\n".join(lines) + "\r\n"
        if method == "SETUP":
            return "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n", ""
        return "Session: 1\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", ""

    def _play(self) -> None:
        camera, sequence, start = self.server, 0, time.monotonic()
        connection = camera.connections
        camera.connections += 1
        most = camera.drop_after[connection] if connection < len(camera.drop_after) else 1 << 30
        for number in range(most):
            time.sleep(max(0.0, start + number / camera.fps - time.monotonic()))
            if camera.paused.is_set():
                return
            stamp = number * _CLOCK // camera.fps
            packets = [part for unit in camera.units[number % len(camera.units)] for part in _parts(unit)]
            for place, part in enumerate(packets):
                marker = 0x80 if place == len(packets) - 1 else 0
                rtp = struct.pack(">BBHII", 0x80, 96 | marker, sequence & 0xFFFF, stamp, 7) + part
                sequence += 1
                try:
                    self.wfile.write(b"$\x00" + struct.pack(">H", len(rtp)) + rtp)
                except OSError:
                    return
        self.connection.shutdown(socket.SHUT_RDWR)


def _parts(unit: bytes) -> list[bytes]:
    """A NAL unit as it is, or as fragments of type FU-A."""
    if len(unit) <= _MOST:
        return [unit]
    indicator, kind = (unit[0] & 0xE0) | 28, unit[0] & 0x1F
    pieces = [unit[1:][at : at + _MOST] for at in range(0, len(unit) - 1, _MOST)]
    last = len(pieces) - 1
    heads = [kind | (0x80 if i == 0 else 0) | (0x40 if i == last else 0) for i in range(len(pieces))]
    return [bytes([indicator, head]) + piece for head, piece in zip(heads, pieces, strict=True)]
