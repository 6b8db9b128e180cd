import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from benchmarks.generation_prompts import PromptMaker
from export.contract import TOKENIZER_FILE
from serving.sample_texts import sample_texts


@pytest.fixture(scope="module")
def version_dir(tmp_path_factory):
    """A directory with a tokeniser of byte pairs."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=800, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([*sample_texts("long", 50), "this and that and more"], trainer)
    folder = tmp_path_factory.mktemp("version")
    tokenizer.save(str(folder / TOKENIZER_FILE))
    return folder


@pytest.mark.parametrize("tokens", [20, 200, 1000])
def test_prompts_have_exactly_as_many_tokens_as_were_asked_for(version_dir, tokens):
    prompts = PromptMaker(version_dir).make(5, tokens, first=100)
    tokenizer = Tokenizer.from_file(str(version_dir / TOKENIZER_FILE))
    assert [tokenizer.encode(prompt.text).ids for prompt in prompts] == [prompt.token_ids for prompt in prompts]
    assert {len(prompt.token_ids) for prompt in prompts} == {tokens}


def test_no_number_gives_a_prompt_twice_and_the_same_number_gives_the_same(version_dir):
    maker = PromptMaker(version_dir)
    first, second = maker.make(8, 20, first=0), maker.make(8, 20, first=8)
    assert len({prompt.text for prompt in [*first, *second]}) == 16
    assert maker.make(8, 20, first=8) == second
