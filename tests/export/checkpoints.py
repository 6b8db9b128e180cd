"""Builds small checkpoints out of the real architectures and real tokenisers: two layers, random weights.

The vocabularies cover every text of `ALPHABET` character by character (WordPiece, Unigram) or byte by byte (BPE), so
Chinese, Cyrillic and emoji become tokens of their own.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.implementations import ByteLevelBPETokenizer

from export.catalog import CatalogEntry
from export.contract import ENCODER_FOLDER, HEAD_FILE, INTENT_FILE, INTENT_FORMAT
from export.encoder_export import ExportRequest, export_encoder
from export.golden import golden_texts
from export.sources.checkpoint import Checkpoint

HIDDEN = 32
HEADS = 4
LAYERS = 2
MAX_TOKENS = 40
_POSITIONS = 64
INTENTS = ("wealth", "爱情", "career")
ALPHABET = sorted(set("".join(golden_texts(MAX_TOKENS))) | set(map(chr, range(33, 127))))
_WORDS = ("the", "model", "server", "query", "##ing", "##er", "question")
# Weights as wide as these make attention sharp and every bias matter, so that a wrong mask or a lost bias shows.
_WEIGHT_SPREAD = 0.25

Head = Callable[[int], torch.nn.Module]  # the pooling's dimension -> a module that comes after it


def build_checkpoint(path: Path, body: str = "bert", pooling: str | Sequence[str] = "mean", heads: Sequence[Head] = (),
                     include_prompt: bool = True, prompts: dict[str, str] | None = None,
                     default_prompt: str | None = None, max_tokens: int = MAX_TOKENS, lowercase: bool = True,
                     do_lower_case: bool = False, seed: int = 0, safe_serialization: bool = True) -> Path:
    """Save a sentence-transformers checkpoint at `path` and return it.

    `heads` make the modules after the pooling, `lowercase` is the tokeniser's own, `do_lower_case` that of
    sentence-transformers.
    """
    torch.manual_seed(seed)
    body_dir = build_body(path / "body", body, lowercase, safe_serialization)
    modules = [Transformer(str(body_dir), max_seq_length=max_tokens, do_lower_case=do_lower_case),
               Pooling(HIDDEN, pooling, include_prompt=include_prompt)]
    for head in heads:
        modules.append(Normalize() if head is Normalize else head(modules[1].get_embedding_dimension()))
    model = SentenceTransformer(modules=modules, prompts=prompts, default_prompt_name=default_prompt, device="cpu")
    spread_weights(model)
    model.save(str(path / "checkpoint"), create_model_card=False, safe_serialization=safe_serialization)
    return path / "checkpoint"


def build_intent_checkpoint(path: Path, labels: Sequence[str] = INTENTS, prompt_name: str | None = None,
                            temperature: float = 1.5, seed: int = 0, **options) -> Path:
    """Save a trained intent checkpoint with a random head at `path` and return it; `options` are build_checkpoint's."""
    made = build_checkpoint(path / "made", seed=seed, **options)
    made.rename(path / ENCODER_FOLDER)
    encoder = SentenceTransformer(str(path / ENCODER_FOLDER), device="cpu")
    embeddings = encoder.encode(golden_texts(MAX_TOKENS), normalize_embeddings=True, convert_to_tensor=True)
    # Scores near 0, near 1 and between: the logits of the golden texts have mean 0 and standard deviation 2.
    weight = torch.randn(len(labels), embeddings.shape[1])
    weight *= 2 / (embeddings @ weight.T).std(dim=0)[:, None]
    save_file({"weight": weight, "bias": -weight @ embeddings.mean(dim=0)}, path / HEAD_FILE)
    description = {
        "format": INTENT_FORMAT, "labels": list(labels), "thresholds": [0.5 - 0.1 * (place % 3) for place in
                                                                       range(len(labels))],
        "temperature": temperature, "prompt_name": prompt_name, "dataset_sha256": "ab" * 32,
        "base": {"source": "hub:org/base", "revision": "r7"}, "recipe": "head", "seed": seed,
        "metrics": {"macro_f1": 0.75, "per_label": {"wealth": 0.5}, "ece": None}}
    (path / INTENT_FILE).write_text(json.dumps(description, ensure_ascii=False), encoding="utf-8")
    return path


def build_body(path: Path, body: str = "bert", lowercase: bool = True, safe_serialization: bool = True) -> Path:
    """Save a plain transformers checkpoint (configuration, weights, tokeniser) at `path` and return it."""
    path.mkdir(parents=True)
    tokenizer, config = _BODIES[body](path, lowercase)
    tokenizer.save_pretrained(str(path))
    model = transformers.AutoModel.from_config(config)
    spread_weights(model)
    model.save_pretrained(str(path), safe_serialization=safe_serialization)
    return path


def export_to(repository: Path, checkpoint: Path, engine: str = "openvino", precision: str = "fp32",
              name: str = "small", entry: CatalogEntry | None = None, min_cosine: float | None = None,
              calibration: Path | None = None, on_step: Callable[[str], None] = lambda step: None) -> Path:
    """Export `checkpoint` as `conch export` would and return the version directory."""
    request = ExportRequest(entry or CatalogEntry(name), Checkpoint(checkpoint, f"path:{checkpoint}", "r1"),
                            repository, name, engine, precision, min_cosine, calibration)
    return export_encoder(request, on_step)


def spread_weights(module: torch.nn.Module) -> None:
    """Move every weight and bias away from its initial value."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * _WEIGHT_SPREAD)


def _sizes(tokenizer, positions: int = _POSITIONS) -> dict:
    return {"vocab_size": len(tokenizer), "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS, "intermediate_size": 2 * HIDDEN, "max_position_embeddings": positions,
            "pad_token_id": tokenizer.pad_token_id}


def _bert(path: Path, lowercase: bool):
    vocab = _word_pieces(path, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer = transformers.BertTokenizerFast(vocab, do_lower_case=lowercase, model_max_length=_POSITIONS)
    return tokenizer, transformers.BertConfig(**_sizes(tokenizer))


def _distilbert(path: Path, lowercase: bool):
    vocab = _word_pieces(path, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer = transformers.DistilBertTokenizerFast(vocab, do_lower_case=lowercase, model_max_length=_POSITIONS)
    return tokenizer, transformers.DistilBertConfig(
        vocab_size=len(tokenizer), dim=HIDDEN, n_layers=LAYERS, n_heads=HEADS, hidden_dim=2 * HIDDEN,
        max_position_embeddings=_POSITIONS, pad_token_id=tokenizer.pad_token_id)


def _mpnet(path: Path, lowercase: bool):
    vocab = _word_pieces(path, ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>"])
    tokenizer = transformers.MPNetTokenizerFast(vocab, do_lower_case=lowercase, model_max_length=_POSITIONS)
    return tokenizer, transformers.MPNetConfig(**_sizes(tokenizer, _POSITIONS + 2))


def _roberta(path: Path, lowercase: bool):
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(golden_texts(MAX_TOKENS), vocab_size=400, show_progress=False,
                            special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer = transformers.RobertaTokenizerFast(*bpe.save_model(str(path)), model_max_length=_POSITIONS)
    return tokenizer, transformers.RobertaConfig(**_sizes(tokenizer, _POSITIONS + 2))


def _xlm_roberta(path: Path, lowercase: bool):
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0),
              *((word, -4.0) for word in ("▁the", "▁model", "▁query", "ing")),
              *((character, -6.0) for character in ALPHABET if not character.isspace() and character != "▁"),
              ("<mask>", 0.0)]
    unigram = Tokenizer(models.Unigram(pieces, unk_id=3))
    unigram.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    unigram.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    unigram.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer = transformers.XLMRobertaTokenizerFast(tokenizer_object=unigram, model_max_length=_POSITIONS)
    return tokenizer, transformers.XLMRobertaConfig(**_sizes(tokenizer, _POSITIONS + 2))


_BODIES = {"bert": _bert, "distilbert": _distilbert, "mpnet": _mpnet, "roberta": _roberta,
           "xlm-roberta": _xlm_roberta}
BODIES = tuple(_BODIES)


def _word_pieces(path: Path, special_tokens: list[str]) -> str:
    characters = [character for character in ALPHABET if not character.isspace()]
    pieces = [*special_tokens, *_WORDS, *characters, *(f"##{character}" for character in characters)]
    file = path / "vocab.txt"
    file.write_text("\n".join(dict.fromkeys(pieces)) + "\n", encoding="utf-8")
    return str(file)


def edit_json(file: Path, **changes) -> None:
    """Change keys of a JSON object in place."""
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")
