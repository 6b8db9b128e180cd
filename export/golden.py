"""The golden texts that every export is proven on: one token to beyond any maximum length, several scripts."""

from dataclasses import dataclass

# The one text that a version is asked again whenever it has been loaded.
GOLDEN_TEXT = "我今年财运怎么样？"
_TEXTS = (
    "",
    "a",
    "好",
    "Да",
    "🙂",
    "Hello!",
    GOLDEN_TEXT,
    "请问从上海到北京的高铁最早一班是几点发车，需要提前多久到车站检票进站？",
    "如何重置密码",
    "人工智能正在改变人们查找信息的方式；向量检索把一句话变成一串数字，再去找意思最接近的那一句。",
    "Where can I change the delivery address of an order that has not been shipped yet?",
    "The quick brown fox jumps over the lazy dog, while seventeen engineers argue about batch sizes.",
    "Как изменить адрес доставки, если заказ ещё не отправлен?",
    "Сегодня в Москве ожидается снег, а завтра днём похолодает до минус пятнадцати градусов.",
    "👩‍💻 deploying on Friday 🚀🔥 — what could possibly go wrong? 😅",
    "Mixed 中文 и русский text with číslice 12345, e-mail-like tokens a.b@c.example and #tags",
    "  leading and trailing spaces\tand a tab\nand a newline  ",
    "UPPER lower CamelCase snake_case ÀÉÎÕÜ ß ﬁ ① ½ 全角ＡＢＣ",
    "supercalifragilisticexpialidocious" * 4,
)
_PARAGRAPH = (
    "A model server keeps several models in memory, waits a moment so that requests can share a batch, and answers "
    "each of them with its own row. 模型服务把多个请求合成一批，再把结果逐行送回。Сервер собирает запросы в пакеты. "
)


@dataclass(frozen=True)
class GoldenBatch:
    """Texts that are embedded together, with one prompt."""

    indices: tuple[int, ...]   # into golden_texts()
    prompt_name: str | None = None


def golden_texts(max_tokens: int) -> list[str]:
    """Return the texts; the last ones reach and pass `max_tokens` for any tokeniser."""
    # Every tokeniser makes more than one token of ten characters of the paragraph on average, so `max_tokens`
    # paragraphs' worth of text is beyond the limit and cannot be mistaken for a short one.
    repeats = [1, max(1, max_tokens // 100), max(2, max_tokens // 10)]
    return [*_TEXTS, *(_PARAGRAPH * count for count in repeats)]


def golden_batches(texts: int, prompt_names: list[str]) -> list[GoldenBatch]:
    """Return the compositions to prove: each text alone, all together, and mixed batches of several sizes.

    Every prompt is proven on all texts together, because a prompt changes the tokens and not the batching.
    """
    everything = tuple(range(texts))
    alone = [GoldenBatch((index,)) for index in everything]
    strides = [tuple((start + step * stride) % texts for step in range(size))
               for start, stride, size in ((0, 7, 2), (3, 5, 3), (1, 3, 8), (5, 11, 16), (texts - 1, 1, 4))]
    mixed = [GoldenBatch(indices) for indices in (everything, everything[::-1], *strides)]
    prompted = [GoldenBatch(everything, name) for name in prompt_names]
    return alone + mixed + prompted
