"""What is counted, for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The counters of one service."""

    def __init__(self) -> None:
        self._all = CollectorRegistry()
        self.requests = Counter("retr_requests", "Requests.", ["method", "route", "status"], registry=self._all)
        self.seconds = Histogram("retr_seconds", "Latency.", ["route"], buckets=SECONDS, registry=self._all)
        self.verdicts = Counter("retr_verdicts", "Answered images, by verdict.", ["verdict"], registry=self._all)
        self.withheld = Counter("retr_withheld", "Certificates asked for and withheld.", registry=self._all)
        self.rejected = Counter("retr_rejected", "Images that were refused.", ["reason"], registry=self._all)
        self.rows = Counter("retr_scanned_rows", "Rows that certified answers accounted for.", registry=self._all)
        self.passes = Histogram(
            "retr_pass_images", "Images answered by one pass.", buckets=(1, 2, 4, 8, 16), registry=self._all
        )
        self.waiting = Gauge("retr_waiting_images", "Images that wait for an answer.", registry=self._all)
        self.items = Gauge("retr_items", "Items of an index.", ["index"], registry=self._all)

    def answered(self, record: Mapping[str, Any], *, certify: bool) -> None:
        """One image has an answer."""
        self.verdicts.labels(record["verdict"]).inc()
        if certify and record["withheld"]:
            self.withheld.inc()
        if record["certificate"]:
            self.rows.inc(record["certificate"]["rows_scanned"])

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._all)
