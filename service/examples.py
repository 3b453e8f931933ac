"""Examples for OpenAPI."""

from __future__ import annotations

from typing import Any

_RADIUS = {"l2": 59.31, "rmse": 19.15, "psnr": 22.5}
_RECORD: dict[str, Any] = {
    "schema": "retr.query/2",
    "query": "img.png",
    "error": None,
    "detail": None,
    "width": 425,
    "height": 489,
    "model": "block-means+retr_s",
    "snapshot": "47b03e59479c0e51",
    "verdict": "copy",
    "point_verdict": "copy",
    "verdict_because": None,
    "eps": {"l2": 3.097, "rmse": 1.0, "psnr": 48.13},
    "copy": _RADIUS,
    "not_a_copy": None,
    "k": 1,
    "where": [],
    "silenced_by": [],
    "banks": [],
    "matches": [
        {
            "rank": 1,
            "id": "96d55abaedf4661e",
            "path": "96d55abaedf4661e",
            "view": "original",
            "query_view": "original",
            "score": 79.76,
            "distance": 0.31,
            "channel": "block-means",
            "top1": {"l2": 47.17, "rmse": 15.23, "psnr": 24.5},
            "topk": None,
            "copy": _RADIUS,
            "accepted": True,
            "tier": None,
            "proved": None,
            "duplicates": [],
        }
    ],
    "thresholds": [{"channel": "block-means", "value": 0.7623, "source": "reference", "share": 0.75, "stale": False}],
    "certificate": {
        "exact": True,
        "rows_scanned": 60,
        "rows_total": 60,
        "lipschitz": {"network": 1.0, "resize": 0.14089, "total": 0.14089},
        "slack": 1.6e-07,
        "limited_by": "1488586f2cd251b6",
    },
    "withheld": None,
    "against": None,
    "companion": None,
    "seconds": {"embed": 0.03, "search": 0.01},
}
_FAULT = {"application/json": {"example": {"error": "usage", "detail": "k is 1 to 1000, got 0"}}}
_WORDS = {
    400: "The form cannot be read.",
    401: "No token, or a wrong one.",
    403: "Not for pages of other sites, or not served.",
    404: "No such item or index.",
    408: "The request came in too slowly.",
    413: "Too many bytes, pixels or images.",
    415: "No image, or no form.",
    421: "Asked for by a name that is not its own.",
    422: "A damaged image, or a field that cannot be.",
    503: "Busy, too slow, or not loaded yet; Retry-After says when to come again.",
}
FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": _FAULT} for status, words in _WORDS.items()
}
ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"description": "A record for each image.", "content": {"application/json": {"example": [_RECORD]}}},
    **FAULTS,
}
