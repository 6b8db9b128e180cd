"""Generates realistic texts for measurements: the same seed gives the same texts on every machine.

Random letters would cost a tokenizer far more word pieces than language does, and one text repeated would flatter a
cache; so these are sentences from a small grammar, mostly English and now and then Chinese. Standard library only.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

DEFAULT_SEED = 20_251
# One text in twenty is Chinese: enough to meet multi-byte UTF-8 on every path, too few to drown an English model
# in characters it never learned.
CHINESE_SHARE = 0.05


@dataclass(frozen=True)
class Mix:
    """The bounds, in words and inclusive, between which the lengths of texts are spread evenly."""

    min_words: int
    max_words: int


MIXES = {
    "short": Mix(min_words=4, max_words=40),     # questions, queries, chat turns
    "long": Mix(min_words=100, max_words=250),   # passages of a document
}

# Keys are the placeholders of the sentence patterns below.
ENGLISH_WORDS = {
    "who": """the manager|a customer|our team|the nurse|my neighbour|the engineer|a student|the driver|the council|
        an editor|the chef|a tourist|the supplier|her brother|the lawyer|a volunteer|the gardener|their coach|
        the librarian|a visitor|the pilot|the accountant|my grandmother|the developer|the landlord|a reporter""",
    "noun": """order|invoice|password|account|meeting|report|window|bicycle|train|ticket|recipe|garden|contract|
        camera|battery|kitchen|holiday|library|parcel|salary|budget|engine|river|bridge|school|museum|printer|
        message|calendar|address|delivery|refund|subscription|warranty|keyboard|hospital|vaccine|market|factory|
        coffee|medicine|insurance|apartment|village|concert|laptop|server|database|network|schedule|interview|
        letter|photograph|machine|forest|island|harbour|kettle|lesson|exam|project|sample|measurement|theory""",
    "adjective": """new|old|broken|expensive|quiet|early|late|heavy|bright|empty|local|small|large|urgent|careful|
        simple|strange|careless|green|wooden|digital|annual|missing|second|cheap|warm|cold|modern|reliable|busy|
        famous|narrow|public|private|useful|delicate""",
    "past": """opened|returned|repaired|cancelled|ordered|forgot|found|described|measured|painted|moved|checked|
        replaced|borrowed|explained|delivered|lost|bought|sold|cleaned|reviewed|approved|copied|noticed|mentioned|
        inspected|designed|tested|signed|ignored|compared|rescued""",
    "verb": """open|return|repair|cancel|order|find|describe|measure|paint|move|check|replace|borrow|explain|
        deliver|change|buy|sell|clean|review|print|copy|install|test|sign|compare|update|remove|share|book""",
    "where": """near the station|in the old town|at the front desk|behind the school|on the second floor|
        at the airport|in the warehouse|next to the river|outside the office|in the northern district|
        under the bridge|at the corner shop|in the mountains|by the sea""",
    "when": """yesterday|last week|this morning|on Monday|before lunch|after the storm|in the spring|
        at the end of the month|two days ago|during the holidays|every evening|on a rainy afternoon""",
    "how": """quickly|slowly|carefully|by mistake|without asking|in great detail|with a smile|for the first time|
        again|in silence|with some help|at no extra cost""",
    "because": """the weather had changed|nobody had answered the phone|the price was too high|it was already dark|
        the old one no longer worked|there was not enough time|the instructions were not clear|
        everyone wanted a better view|the roads were closed|the first attempt had failed""",
}
ENGLISH_SENTENCES = (
    "how do I {verb} my {adjective} {noun} {where}?",
    "can you {verb} the {noun} and tell me where the {adjective} {noun} is?",
    "{who} {past} the {adjective} {noun} {when} because {because}.",
    "{when} {who} {past} a {noun} {where}, and {who} {past} it {how}.",
    "the {noun} {where} is {adjective}, but the {noun} is more {adjective} than {who} expected.",
    "although {because}, {who} {past} the {noun} {how}.",
    "please {verb} the {noun} before {who} arrives {where}.",
    "{who} said that the {adjective} {noun} and the {noun} were {past} {how} {when}.",
    "what happens to my {noun} if I {verb} the {adjective} {noun} {when}?",
    "nobody {past} the {noun}, so {who} {past} another {adjective} {noun} {where}.",
)
CHINESE_WORDS = {
    "谁": "客户|我们|老师|经理|邻居|医生|司机|编辑|工程师|学生|房东|记者",
    "物": """订单|发票|密码|账户|会议|报告|自行车|车票|合同|相机|电池|包裹|
        预算|桥梁|学校|打印机|地址|退款|保险|公寓|电脑|课程|项目|照片""",
    "形": "新的|旧的|昂贵的|安静的|紧急的|简单的|本地的|丢失的|可靠的|忙碌的|有用的|明亮的",
    "动": "打开|退回|修理|取消|找到|检查|更换|购买|清洁|安装|比较|更新|分享|预订",
    "时": "昨天|上周|今天早上|星期一|午饭前|下雨以后|春天|月底|两天前|假期里",
    "处": "车站旁边|老城区|前台|学校后面|二楼|机场|仓库|河边|办公室外面|山里",
}
# Words stand apart here so that they can be counted; they are joined without spaces.
CHINESE_SENTENCES = (
    "请问 怎么 {动} {形} {物} ？",
    "{谁} {时} 在 {处} {动} 了 {形} {物} ，",
    "因为 {物} 不 在 {处} ， 所以 {谁} {时} {动} 了 {物} 。",
    "{时} {谁} 说 {形} {物} 和 {物} 都 已经 {动} 好 了 。",
    "如果 {谁} {动} {物} ， 我的 {物} 会 怎么样 ？",
)
CHINESE_MARKS = "，。？"


def sample_texts(
    mix_name: str, count: int, seed: int = DEFAULT_SEED, chinese_share: float = CHINESE_SHARE
) -> list[str]:
    """Return `count` texts of the mix `mix_name`, a key of MIXES; KeyError for another name.

    `chinese_share` (0 to 1) is the probability that a text is Chinese.
    """
    mix = MIXES[mix_name]
    chooser = random.Random(f"{mix_name}:{seed}")  # noqa: S311 - reproducible texts, not secrets.
    return [_write_text(chooser, mix, chinese_share) for _ in range(count)]


def _write_text(chooser: random.Random, mix: Mix, chinese_share: float) -> str:
    words_wanted = chooser.randint(mix.min_words, mix.max_words)
    if chooser.random() < chinese_share:
        return _write_chinese(chooser, words_wanted)
    return _write_english(chooser, words_wanted)


def _write_english(chooser: random.Random, words_wanted: int) -> str:
    words = list(islice(_english_words(chooser), words_wanted))
    last = words[-1].rstrip(",.?")
    mark = "?" if words[-1].endswith("?") else "."
    return " ".join([*words[:-1], last + mark])


def _english_words(chooser: random.Random) -> Iterator[str]:
    while True:
        sentence = _fill(chooser, chooser.choice(ENGLISH_SENTENCES), ENGLISH_WORDS)
        yield from (sentence[0].upper() + sentence[1:]).split()


def _write_chinese(chooser: random.Random, words_wanted: int) -> str:
    written: list[str] = []
    words = 0
    for piece in _chinese_pieces(chooser):
        words += piece not in CHINESE_MARKS
        if words > words_wanted:
            break
        written.append(piece)
    return "".join(written).rstrip(CHINESE_MARKS) + "。"


def _chinese_pieces(chooser: random.Random) -> Iterator[str]:
    while True:
        yield from _fill(chooser, chooser.choice(CHINESE_SENTENCES), CHINESE_WORDS).split()


def _fill(chooser: random.Random, pattern: str, words: dict[str, str]) -> str:
    """Replace every {placeholder} of `pattern` with a choice of its own, even where one occurs twice."""
    filled: list[str] = []
    for piece in pattern.split("{"):
        name, brace, rest = piece.partition("}")
        filled.append(_choose(chooser, words[name]) + rest if brace else piece)
    return "".join(filled)


def _choose(chooser: random.Random, alternatives: str) -> str:
    return " ".join(chooser.choice(alternatives.split("|")).split())
