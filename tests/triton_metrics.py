"""Names of Triton's own metrics that the dashboard may use; a functional test finds each on a running Triton."""

TRITON_METRICS = frozenset({
    "nv_cpu_utilization",
    "nv_inference_compute_infer_duration_us",
    "nv_inference_pending_request_count",
    "nv_inference_queue_duration_us",
    "nv_inference_request_failure",
    "nv_inference_request_success",
})
