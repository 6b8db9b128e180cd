"""The Tritons that serve, by name. Balances nothing and decides nothing; see control_plane.inference and lifecycle."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from control_plane.triton_gateway import TritonGateway

Result = TypeVar("Result")


class Fleet:
    """One Triton or many; a target's name is its gRPC address."""

    def __init__(self, gateways: Iterable[TritonGateway], vllm: Iterable[str] = ()) -> None:
        """`vllm` are the targets that have NVIDIA's vLLM backend, and none of ours."""
        self._gateways = {gateway.address: gateway for gateway in gateways}
        self._vllm = frozenset(vllm)

    @property
    def names(self) -> list[str]:
        """Names of the targets, in the order in which they were given."""
        return list(self._gateways)

    def holders(self, of_vllm: bool) -> tuple[str, ...] | None:
        """Return the targets that can hold models for vLLM, or all others; None where that is every target."""
        if not self._vllm and not of_vllm:
            return None
        return tuple(target for target in self._gateways if (target in self._vllm) == of_vllm)

    def gateway(self, target: str) -> TritonGateway:
        """Return the gateway of a target."""
        return self._gateways[target]

    def on_each(self, targets: Iterable[str],
                action: Callable[[TritonGateway], Result]) -> dict[str, Result | Exception]:
        """Run `action` on several targets at once; gives each target's result, or the exception it raised."""
        targets = list(targets)
        with ThreadPoolExecutor(max(1, len(targets))) as pool:
            futures = {target: pool.submit(action, self._gateways[target]) for target in targets}
        return {target: future.exception() or future.result() for target, future in futures.items()}
