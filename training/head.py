"""The last layer of a classifier: a linear map from unit embeddings to one logit for each intent, and its fitting.

Knows nothing of encoders.
"""

from dataclasses import dataclass

import torch

from training.losses import intent_loss

_STEPS = 60          # of L-BFGS; more change no decision on CLINC150
# A label that nothing is known of starts as an unlikely one: sigmoid(-3) is 0.05.
_FIRST_BIAS = -3.0


@dataclass(frozen=True)
class Head:
    """`weight` float32 [labels, dimension], `bias` float32 [labels], on the CPU."""

    weight: torch.Tensor
    bias: torch.Tensor

    def logits(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the logits of unit embeddings; float32 [texts, labels]."""
        return embeddings @ self.weight.T + self.bias


def first_head(labels: tuple[str, ...], dimension: int, known: dict[str, tuple[torch.Tensor, float]]) -> Head:
    """Return the head that training starts from: the weight and bias of `known` labels, and zeros for new ones."""
    weight, bias = torch.zeros(len(labels), dimension), torch.full((len(labels),), _FIRST_BIAS)
    for row, label in enumerate(labels):
        if label in known:
            weight[row], bias[row] = known[label]
    return Head(weight, bias)


def fit_head(embeddings: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, start: Head,
             penalty: float) -> Head:
    """Return the head of the lowest loss on unit embeddings, float32 [examples, dimension], by L-BFGS.

    `penalty` times the squared weights is added to the loss.
    """
    weight, bias = (tensor.clone().requires_grad_(True) for tensor in (start.weight, start.bias))
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = intent_loss(embeddings @ weight.T + bias, targets, weights, 0.0) + penalty * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return Head(weight.detach(), bias.detach())
