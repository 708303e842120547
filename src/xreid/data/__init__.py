"""Readers of tracklet archives, frame sampling, clips, batches and verification."""

from xreid.data.archive import detect_layout, open_archive

__all__ = ["detect_layout", "open_archive"]
