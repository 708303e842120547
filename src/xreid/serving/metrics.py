"""Figures about the server for Prometheus; no names of people, cameras or tracklets are in them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The figures of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "xreid_requests", "Requests", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "xreid_request_seconds",
            "Time to answer",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.searches = Counter("xreid_searches", "Searches", registry=self.registry)
        self.search_seconds = Histogram(
            "xreid_search_seconds", "Time to search", buckets=_BUCKETS, registry=self.registry
        )
        self.tracklets = Gauge("xreid_gallery_tracklets", "Tracklets in the gallery", registry=self.registry)
        self.jobs = Gauge("xreid_jobs", "Background jobs", ["state"], registry=self.registry)
        self.audit = Gauge("xreid_audit_entries", "Entries of the audit log", registry=self.registry)

    def request(self, method: str, route: str, status: int, *, seconds: float) -> None:
        """Count one request; methods that nobody serves go together, so that a client cannot add series."""
        method = method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") else "other"
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)
