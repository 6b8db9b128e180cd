"""A GGUF file becomes a checkpoint with the same weights and the tokenizer that the file describes."""

import numpy as np
import pytest
import torch
from gguf import GGUFWriter, TokenType
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from export.errors import UnsupportedModelError
from export.sources.gguf import build_tokenizer, count_gguf_parameters, find_gguf, unpack_gguf
from tests.export.decoders import CHAT_TEMPLATE

TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *"ab12 ".replace(" ", "Ġ"), "ab", "12"]
HEADS, KV_HEADS, HIDDEN, INNER = 4, 2, 32, 48
# llama.cpp's names of a block's tensors (gguf: constants).
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}


def build_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=len(TOKENS), hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=1,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, max_position_embeddings=64, rms_norm_eps=1e-5)).eval()


def write_gguf(path, model, pre="smollm", kind="gpt2"):
    """Write the model as llama.cpp's converter does, in float32."""
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (len(TOKENS) - 3))
    writer.add_token_merges(["a b", "1 2"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHAT_TEMPLATE)
    for name, value in model.state_dict().items():
        _add_tensor(writer, name, value.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tensor(writer, name, value):
    whole = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}
    if name not in whole:
        part = NAMES[name.removeprefix("model.layers.0.").removesuffix(".weight")]
        if part in ("attn_q", "attn_k"):  # llama.cpp interleaves the two halves of each head.
            heads = HEADS if part == "attn_q" else KV_HEADS
            value = value.reshape(heads, 2, value.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(value.shape)
        whole[name] = f"blk.0.{part}.weight"
    writer.add_tensor(whole[name], np.ascontiguousarray(value))


@pytest.fixture
def model():
    return build_model()


def test_the_unpacked_checkpoint_computes_what_was_packed(tmp_path, model):
    file = write_gguf(tmp_path / "model.gguf", model)
    unpack_gguf(file, tmp_path / "plain")
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "plain", local_files_only=True)
    ids = torch.tensor([[3, 4, 5, 6, 8]])
    with torch.inference_mode():
        torch.testing.assert_close(found(ids).logits, model(ids).logits)
    assert (found.config.bos_token_id, found.config.eos_token_id) == (1, 2)
    assert count_gguf_parameters(file) == model.num_parameters()


def test_the_tokenizer_has_the_files_own_splits_special_tokens_and_template(tmp_path, model):
    unpack_gguf(write_gguf(tmp_path / "model.gguf", model), tmp_path / "plain")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "plain", local_files_only=True)
    assert tokenizer("ab 12")["input_ids"] == [8, 7, 5, 6]  # Digits stand alone, and no BOS is put before.
    assert tokenizer("<|im_start|>ab<|im_end|>")["input_ids"] == [1, 8, 2]
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert tokenizer.decode([8, 7, 5]) == "ab 1"
    assert tokenizer.chat_template == CHAT_TEMPLATE


def test_another_split_gives_other_tokens(tmp_path, model):
    assert build_tokenizer(write_gguf(tmp_path / "model.gguf", model, "gpt-2"))("ab12")["input_ids"] == [8, 9]


@pytest.mark.parametrize(("pre", "kind"), [("unheard-of", "gpt2"), ("smollm", "llama")])
def test_an_unknown_tokenizer_is_refused_rather_than_guessed(tmp_path, model, pre, kind):
    with pytest.raises(UnsupportedModelError, match=r"pre-tokenizer .* is not known"):
        unpack_gguf(write_gguf(tmp_path / "model.gguf", model, pre, kind), tmp_path / "plain")


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF and nothing more")
    with pytest.raises(UnsupportedModelError, match=r"model\.gguf is not a readable GGUF file"):
        unpack_gguf(find_gguf(tmp_path), tmp_path / "plain")


def test_one_file_must_be_there(tmp_path):
    with pytest.raises(UnsupportedModelError, match=r"one .gguf file is needed, found 0"):
        find_gguf(tmp_path)
