"""Small tasks for the recipes."""

import pytest
import torch

from tests.training.toy import quick_plan, silent, toy_examples
from training.dataset import Dataset
from training.encoder import Encoder
from training.head import first_head
from training.progress import Progress
from training.recipes.recipe import Part, Task
from training.saved_state import SavedState

LABELS = ("wealth", "love")


def part(seed):
    """Return toy examples with their targets."""
    dataset = Dataset(LABELS, tuple(toy_examples(LABELS, each=20, out_of_scope=5, seed=seed)), "")
    return Part(tuple(example.text for example in dataset.examples), torch.from_numpy(dataset.targets()))


@pytest.fixture
def make_task(small_checkpoint, tmp_path):
    """Return a task with changes to the plan."""
    torch.set_num_threads(1)

    def make(**changes):
        plan = quick_plan(**changes)
        encoder = Encoder(small_checkpoint, None, plan.max_tokens, plan.precision)
        return Task(encoder, plan, part(0), part(1), first_head(LABELS, encoder.dimension, {}),
                    Progress(silent, 0, 1), SavedState(tmp_path, "test"))
    return make
