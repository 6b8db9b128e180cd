"""What an administrator may set for a model at run time; validated before anything is touched."""

from pydantic import BaseModel, ConfigDict, Field

from control_plane.json_schema import whole_number
from export.contract import MAX_BATCH_SIZE


class ModelConfiguration(BaseModel):
    """Values over those of config.pbtxt; a field left out stays as the file says (Triton: model configuration)."""

    model_config = ConfigDict(extra="forbid")

    instances: whole_number(1, 64) | None = Field(None, description=(
        "Copies of the model; they share the cores, and more of them than cores are refused."))
    max_batch_size: whole_number(1, MAX_BATCH_SIZE) | None = Field(None, description=(
        "Rows that Triton may put into one batch, and that one KServe request may carry."))
    queue_delay_us: whole_number(0, 1_000_000) | None = Field(None, description=(
        "Microseconds that a request may wait for others to share its batch."))
    max_queue_size: whole_number(0, 1_000_000) | None = Field(None, description=(
        "Requests that may wait; further ones are refused. 0: no limit."))
    queue_timeout_ms: whole_number(0, 3_600_000) | None = Field(None, description=(
        "Milliseconds after which a request that still waits is refused. 0: none."))
    priority_levels: whole_number(0, 16) | None = Field(None, description=(
        "Priorities that requests may name, 1 being the highest. 0: none."))

    def stated(self) -> dict[str, int]:
        """Return the fields that say something."""
        return self.model_dump(exclude_none=True)
