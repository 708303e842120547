"""What `xreid serve` is told, and the limits it keeps; imports nothing heavy."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from xreid.core.errors import ConfigError

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one client may ask of the server.

    Attributes:
        upload_mib: Largest upload, in MiB.
        uploads_mib: All uploads that are kept at once, in MiB.
        image_megapixels: Largest picture, and largest frame of a video.
        video_seconds: Longest video to search with; longer ones can only be taken in as footage.
        query_frames: Most frames taken from a video to search with.
        body_kib: Largest JSON body, in KiB.
        header_seconds: Until the head of a request must have come.
        idle_seconds: Longest pause within a request's body, or of a client that does not read its answer.
        decode_seconds: CPU time that decoding an upload may take.
        decode_mib: Address space that decoding may take, in MiB.
        connections: Open connections; more are answered with 503.
        keep_minutes: How long uploads and the queries made of them are kept.
        session_minutes: A session of the browser ends after that long without a request.
    """

    upload_mib: int = 512
    uploads_mib: int = 4096
    image_megapixels: int = 40
    video_seconds: float = 120.0
    query_frames: int = 64
    body_kib: int = 256
    header_seconds: float = 10.0
    idle_seconds: float = 20.0
    decode_seconds: int = 60
    decode_mib: int = 3072
    connections: int = 200
    keep_minutes: float = 60.0
    session_minutes: float = 60.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if getattr(self, name) <= 0:
                raise ConfigError(
                    f"limits.{name} is out of range", expected="more than 0", got=str(getattr(self, name))
                )


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """A server's settings.

    Attributes:
        gallery: Folder of the gallery, or the address of its server.
        checkpoint: Checkpoint or run that embedded the gallery; without it nothing can be uploaded.
        host: Address to listen on. Beyond loopback a token is required.
        port: Port to listen on; 0 takes a free one.
        token_file: Tokens with their roles, as hashes; see `--new_token`.
        state: Folder for what the server itself writes: audit log, jobs, uploads; for a gallery that is no
            folder its cases, watch list and alerts, too.
        graph: Cameras and the ways between them, so that impossible transitions are marked.
        imports: Folder whose videos and embedding sets may be taken in by their path.
        footage: Folders of recordings: moments of those that were taken in, and lie there, can be shown.
        allow_host: Names, besides loopback's and plain addresses, that a browser may reach the server under.
        tls_cert: Certificate (PEM) for https.
        tls_key: Its private key (PEM).
        behind_tls: A proxy in front speaks https: cookies are marked Secure, its forwarded headers are read.
        limits: What one client may ask.
    """

    gallery: str
    checkpoint: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8765
    token_file: Path | None = None
    state: Path | None = None
    graph: Path | None = None
    imports: Path | None = None
    footage: list[Path] = field(default_factory=list)
    allow_host: list[str] = field(default_factory=list)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_tls: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ConfigError("--port is out of range", expected="0 to 65535", got=str(self.port))
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigError("https needs both --tls_cert and --tls_key")
        beyond = [] if is_loopback(self.host) else [f"--host {self.host}"]
        beyond += [f"--allow_host {name}" for name in self.allow_host if not is_loopback(name)]
        beyond += ["--behind_tls"] if self.behind_tls else []
        if beyond and self.token_file is None:
            raise ConfigError(
                f"{beyond[0]} lets others in, and no token is asked for",
                expected="--token_file FILE",
                todo="Make one with `xreid serve --new_token admin --token_file FILE`.",
            )

    def require_files(self) -> None:
        """Check that the files and folders that are only read are there.

        Raises:
            ConfigError: One is not.
        """
        for option in ("imports", "graph", "tls_cert", "tls_key"):
            path = getattr(self, option)
            if path is not None and not path.exists():
                raise ConfigError(f"--{option} {path} does not exist")
        for folder in self.footage:
            if not folder.is_dir():
                raise ConfigError(f"--footage {folder} is no folder", expected="folders of recordings")

    @property
    def secure(self) -> bool:
        """Whether browsers reach the server by https."""
        return self.behind_tls or self.tls_cert is not None

    @property
    def state_folder(self) -> Path:
        """Where the server writes: `state`, or beside the gallery."""
        if self.state is not None:
            return self.state
        if "://" in self.gallery:
            return Path("xreid-serve")
        folder = Path(self.gallery)
        return folder.with_name(f"{folder.name}.serve")


def is_loopback(host: str) -> bool:
    """Whether a name or address never leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
