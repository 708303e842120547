"""xreid: video-based visible-infrared person re-identification (X-ReID, AAAI 2026)."""

__version__ = "0.1.0"
