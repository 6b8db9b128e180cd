"""Builds small decoder checkpoints out of the real architectures: two layers, random weights, byte-level BPE."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from export.decoder_builder import CPU, build_graph
from export.decoder_checkpoint import open_checkpoint

VOCABULARY = 320
CONTEXT = 256
CHAT_TEMPLATE = ("{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
                 "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
# Wide enough that predictions are sharp and quantisation does not drown them.
_WEIGHT_SPREAD = 0.12
_SHAPE = {"vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
          "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT,
          "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}

FAMILIES = {
    # With the positions that Llama 3.1 stretches: the plainest rotation is in Qwen2.
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**_SHAPE, rope_scaling={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64})),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**_SHAPE, tie_word_embeddings=True)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**_SHAPE, head_dim=32)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(
        vocab_size=VOCABULARY, n_embd=64, n_layer=2, n_head=4, n_positions=CONTEXT, bos_token_id=2, eos_token_id=2)),
}


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Train a byte-level tokenizer on a little Chinese and English; it has a few tokens fewer than the models."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 8, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(["the model server answers each question", "今年财运怎么样"] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>",
                                   pad_token="<|endoftext|>", chat_template=CHAT_TEMPLATE)


def build_graph_of(family: str, folder: Path) -> Path:
    """Export a family's checkpoint to a graph in float32 and return the graph's folder."""
    checkpoint = open_checkpoint(build_decoder(folder / "checkpoint", family), folder / "opened")
    return build_graph(checkpoint, folder / "graph", "fp32", CPU).parent


def build_decoder(path: Path, family: str = "gpt2", seed: int = 0, safe_serialization: bool = True) -> Path:
    """Save a checkpoint of a family at `path` and return it; GPT-2 is the quickest to export."""
    torch.manual_seed(seed)
    model = FAMILIES[family]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += _WEIGHT_SPREAD * torch.randn_like(parameter)
    model.generation_config.update(do_sample=True, temperature=0.7, top_p=0.8)
    model.save_pretrained(path, safe_serialization=safe_serialization)
    build_tokenizer().save_pretrained(path)
    return path
