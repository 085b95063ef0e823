import pytest

from kerasgan.errors import ServingError
from kerasgan.serving import metrics
from kerasgan.serving.metrics import RequestMetrics


def test_counts_by_status_and_times_in_buckets(monkeypatch):
    ticks = iter([0, 0.0005, 1, 1.003, 2, 2 + 100])  # seconds: 500 us, 3 ms, 100 s
    monkeypatch.setattr(metrics.time, "perf_counter", lambda: next(ticks))
    counted = RequestMetrics()
    for _ in range(2):
        with counted.request("GRPC") as request:
            request.model = "ct"
    with pytest.raises(ServingError), counted.request("GRPC") as request:
        request.model = "ct"
        raise ServingError("", "INVALID_ARGUMENT")
    lines = counted.text().splitlines()
    assert ':tensorflow:serving:request_count{model_name="ct",status="OK"} 2' in lines
    assert ':tensorflow:serving:request_count{model_name="ct",status="INVALID_ARGUMENT"} 1' in lines
    labels = 'model_name="ct",API="predict",entrypoint="GRPC"'
    latency = ":tensorflow:serving:request_latency"
    below = {1000: 1, 2000: 1, 4000: 2, 65536000: 2, "+Inf": 3}
    for limit, count in below.items():
        assert f'{latency}_bucket{{{labels},le="{limit}"}} {count}' in lines
    assert f"{latency}_sum{{{labels}}} 100003500" in lines and f"{latency}_count{{{labels}}} 3" in lines


def test_other_errors_count_as_internal():
    counted = RequestMetrics()
    with pytest.raises(RuntimeError), counted.request("REST"):
        raise RuntimeError
    assert 'status="INTERNAL"} 1' in counted.text()
