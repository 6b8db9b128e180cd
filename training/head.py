"""The last layer of a classifier: a linear map from unit embeddings to one logit for each intent, and its fitting.

Knows nothing of encoders.
"""

from dataclasses import dataclass

import torch

from training.losses import sigmoid_loss

# L-BFGS goes on, so many steps at a time, until as many gained less than this of the loss.
_STEPS, _LEAST_GAIN = 10, 1e-3
_MOST_ROUNDS = 10
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
    """Return the head of the lowest sigmoid loss on unit embeddings, float32 [examples, dimension], by L-BFGS.

    `penalty` times the squared weights is added to the loss, where the embeddings are moved to mean 0 and scaled to
    mean square length 1. So a penalty means the same for encoders whose embeddings all lie close together
    (multilingual-e5) and for others, and L-BFGS needs fewer steps. The head that is returned has both in it.
    """
    mean = embeddings.mean(dim=0)
    centred = embeddings - mean
    length = centred.square().sum(dim=1).mean().sqrt().clamp(min=torch.finfo(centred.dtype).tiny)
    centred /= length
    weight = (start.weight * length).requires_grad_(True)
    bias = start.logits(mean).requires_grad_(True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = sigmoid_loss(centred @ weight.T + bias, targets, weights) + penalty * weight.square().sum()
        value.backward()
        return value

    before = optimizer.step(loss).item()
    for _ in range(_MOST_ROUNDS - 1):
        value = optimizer.step(loss).item()   # the loss that the round before ended with
        if before - value < _LEAST_GAIN:
            break
        before = value
    fitted = weight.detach() / length
    return Head(fitted, bias.detach() - fitted @ mean)
