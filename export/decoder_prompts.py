"""The fixed prompts that every exported decoder is compared on: Chinese, English, code and turns of a chat."""

from transformers import PreTrainedTokenizerFast

_TEXTS = (
    "我今年财运怎么样？",
    "人工智能正在改变人们查找信息的方式。向量检索把一句话变成一串数字，再去找意思",
    "北京是中国的首都，有三千多年的建城史。城市的中轴线全长约",
    "The capital of France is Paris. The capital of Germany is Berlin. The capital of Italy is",
    "A model server keeps several models in memory, waits a moment so that requests can share a batch, and answers",
    "On the morning of the launch the engineers found that the valve had frozen overnight, so they",
    "Water boils at 100 degrees Celsius at sea level. At higher altitudes the pressure is lower, and therefore",
    'def fibonacci(n: int) -> int:\n    """Return the n-th Fibonacci number."""\n    if n < 2:\n        return n\n',
    "SELECT customers.name, COUNT(orders.id) AS orders\nFROM customers\nJOIN orders ON",
    "{\"name\": \"conch\", \"version\": \"1.0.0\", \"dependencies\": {\"numpy\": \"1.26.4\", \"flask\":",
)
_CHATS = (
    ({"role": "user", "content": "What should I see in Rome in one day?"},),
    ({"role": "user", "content": "请用一句话解释什么是黑洞。"},),
    ({"role": "user", "content": "Give me a word that rhymes with cat."}, {"role": "assistant", "content": "Hat."},
     {"role": "user", "content": "Another one, and use both in a sentence."}),
    ({"role": "user", "content": "Write a Python function that reverses a list without using reversed()."},),
)


def quality_prompts(tokenizer: PreTrainedTokenizerFast, max_tokens: int) -> list[list[int]]:
    """Return the token ids of every prompt, cut to `max_tokens`; chats go through the template where there is one."""
    rows = [tokenizer(text)["input_ids"] for text in _TEXTS]
    for chat in _CHATS:
        if tokenizer.chat_template:
            text = tokenizer.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=True)
            rows.append(tokenizer(text, add_special_tokens=False)["input_ids"])
        else:
            rows.append(tokenizer("\n".join(turn["content"] for turn in chat))["input_ids"])
    return [row[:max_tokens] for row in rows]
