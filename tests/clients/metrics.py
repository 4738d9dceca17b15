"""Reads the text that a gateway answers to GET /metrics with Prometheus' own client, and says what it found.

    python metrics.py <metrics.txt

The last line on standard output is JSON: {"samples": {name: {"labels": [..], "type": type, "series": n}}}, or {"error": ".."}.
"""

import json
import math
import sys

from prometheus_client.parser import text_string_to_metric_families


def check_histogram(family):
    """Buckets rise, end at +Inf, and the count is the last of them."""
    series = {}
    for sample in family.samples:
        labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
        own = series.setdefault(labels, {"buckets": [], "count": None, "sum": None})
        if sample.name.endswith("_bucket"):
            own["buckets"].append((float(sample.labels["le"]), sample.value))
        elif sample.name.endswith("_count"):
            own["count"] = sample.value
        elif sample.name.endswith("_sum"):
            own["sum"] = sample.value
    for labels, own in series.items():
        bounds = [bound for bound, _ in own["buckets"]]
        counts = [count for _, count in own["buckets"]]
        assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, (family.name, labels, bounds)
        assert counts == sorted(counts) and counts[-1] == own["count"], (family.name, labels, counts)
        assert own["sum"] is not None and own["sum"] >= 0, (family.name, labels)


def read(text):
    samples, seen = {}, set()
    for family in text_string_to_metric_families(text):
        assert family.type != "unknown", f"{family.name} has no type"
        assert family.documentation, f"{family.name} has no help"
        if family.type == "histogram":
            check_histogram(family)
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in seen, f"twice: {key}"
            seen.add(key)
            of_name = samples.setdefault(sample.name, {"labels": set(), "type": family.type, "series": 0})
            of_name["labels"].update(sample.labels)
            of_name["series"] += 1
    return {name: {**of, "labels": sorted(of["labels"])} for name, of in samples.items()}


try:
    print(json.dumps({"samples": read(sys.stdin.read())}))
except (AssertionError, ValueError) as error:
    print(json.dumps({"error": str(error)}))
