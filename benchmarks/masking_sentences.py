"""Makes sentences with planted personal data in plain and disguised forms, and clean ones that look alike. Seeded.

Numbers are made by the rules of their kind (check digits, dates, prefixes in use), not by the detectors' patterns.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.masking_words import (
    ADDRESSES,
    CLEAN,
    GIVEN_NAMES,
    MAIL_HOSTS,
    QUESTIONS,
    SURNAMES,
    TITLES,
)

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999
_REGIONS = ("110101", "310104", "330106", "440305", "510107", "320583", "420111", "610113", "350203", "230102")
_CARD_BEGINNINGS = (("622202", 19), ("621700", 19), ("625800", 16), ("6222", 17), ("4392", 16), ("5187", 16),
                    ("356889", 16), ("376966", 15), ("955880", 19))
_MOBILE_BEGINNINGS = ("130", "135", "138", "139", "147", "150", "159", "166", "176", "177", "188", "191", "198", "199")
_AREA_CODES = ("010", "021", "020", "0571", "0755", "028", "0512", "029", "0592", "0451")
_PLATE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_WRITTEN = str.maketrans("0123456789", "零一二三四五六七八九")
_WRITTEN_OTHERWISE = str.maketrans("0123456789", "〇幺二三四五六七八九")
_CAPITAL = str.maketrans("0123456789", "零壹贰叁肆伍陆柒捌玖")
_CIRCLED = str.maketrans("123456789", "①②③④⑤⑥⑦⑧⑨")
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


@dataclass(frozen=True)
class Planted:
    """A sentence, what was planted in it and how."""

    sentence: str
    kind: str
    item: str       # as made, before its disguise
    disguise: str


def identity_number(rng: random.Random) -> str:
    """Return an identity number of 18 characters with its check digit."""
    body = rng.choice(_REGIONS) + f"{rng.randint(1940, 2020)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    body += f"{rng.randint(1, 999):03}"
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, body, strict=True))
    return body + "10X98765432"[total % 11]


def card_number(rng: random.Random) -> str:
    """Return a bank card's number with Luhn's check digit."""
    beginning, length = rng.choice(_CARD_BEGINNINGS)
    body = beginning + "".join(rng.choice("0123456789") for _ in range(length - 1 - len(beginning)))
    total = sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(reversed(body)))
    return body + str(-total % 10)


def mobile_number(rng: random.Random) -> str:
    """Return a mobile number of eleven digits."""
    return rng.choice(_MOBILE_BEGINNINGS) + f"{rng.randrange(10**8):08}"


def email_address(rng: random.Random) -> str:
    """Return an e-mail address."""
    name = rng.choice(("zhang", "li.na", "wang_wei", "chen-jie", "sunny", "tom+news", "x", "13800138000"))
    return f"{name}{rng.choice(('', rng.randrange(10**4)))}@{rng.choice(MAIL_HOSTS)}"


def _old_identity_number(rng: random.Random) -> str:
    return (rng.choice(_REGIONS) + f"{rng.randint(40, 99)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
            f"{rng.randint(1, 999):03}")


def _landline(rng: random.Random) -> str:
    area = rng.choice(_AREA_CODES)
    return f"{area}-{rng.randint(2, 8)}{rng.randrange(10**7):07}"


def _passport(rng: random.Random) -> str:
    beginning = rng.choice(("E", "G", "C", "EA", "H"))
    return beginning + str(rng.randrange(10**9)).zfill(9)[len(beginning):]


def _ascii_id(rng: random.Random) -> str:
    return rng.choice(("sunny", "lucky", "moon_", "zhang")) + f"{rng.randrange(10**4):04}"


def _plate(rng: random.Random) -> str:
    tail = "".join(rng.choice("0123456789") for _ in range(rng.choice((4, 5)))) + rng.choice("ABCDEFGH0123456789")
    return rng.choice("京沪粤浙苏川鄂湘") + rng.choice(_PLATE_LETTERS) + tail[-6:]


def _name(rng: random.Random) -> str:
    return rng.choice(SURNAMES) + rng.choice(GIVEN_NAMES)


def _address(rng: random.Random) -> str:
    return rng.choice(ADDRESSES).format(a=rng.randint(1, 999), b=rng.randint(1, 30), c=rng.randint(1, 6),
                                        d=rng.randint(101, 2504))


def _birth_date(rng: random.Random) -> str:
    style = rng.choice(("{y}年{m}月{d}日", "{y}年{m}月{d}号", "{y}-{m:02}-{d:02}", "{y}.{m}.{d}", "{y}{m:02}{d:02}"))
    return style.format(y=rng.randint(1940, 2015), m=rng.randint(1, 12), d=rng.randint(1, 28))


def _plain(item: str, rng: random.Random) -> str:
    return item


def _full_width(item: str, rng: random.Random) -> str:
    return item.translate(_FULL_WIDTH)


def _zero_width(item: str, rng: random.Random) -> str:
    return rng.choice("\u200b\u200d\u2060\ufeff\u00ad").join(item)


def _every_digit_apart(item: str, rng: random.Random) -> str:
    return rng.choice((" ", "-", ".", "·", "_", "—", " - ", "\u3000", "*", "、")).join(item)


def _in_groups(item: str, rng: random.Random) -> str:
    """Groups of three and four, as people write phones and cards."""
    first = 3 if len(item) == 11 else 4
    parts = [item[:first], *(item[place:place + 4] for place in range(first, len(item), 4))]
    return rng.choice((" ", "-", ".", "\u3000", "\u2014", "  ")).join(parts)


def _keycaps(item: str, rng: random.Random) -> str:
    return "".join(f"{char}\ufe0f\u20e3" if char.isdigit() else char for char in item)


def _circled(item: str, rng: random.Random) -> str:
    return item.translate(_CIRCLED)


def _written(item: str, rng: random.Random) -> str:
    return item.translate(rng.choice((_WRITTEN, _WRITTEN_OTHERWISE, _CAPITAL)))


def _half_written(item: str, rng: random.Random) -> str:
    return "".join(char.translate(_WRITTEN) if rng.random() < 0.5 else char for char in item)


def _with_country(item: str, rng: random.Random) -> str:
    return rng.choice(("+86", "+86 ", "0086", "86-", "(+86)")) + item


def _at_apart(item: str, rng: random.Random) -> str:
    return item.replace("@", rng.choice((" @ ", "(at)", "[at]", " @", "艾特")))


def _dot_in_chinese(item: str, rng: random.Random) -> str:
    local, _, host = item.partition("@")
    return f"{local}@{host.replace('.', '。')}"


def _joined_otherwise(item: str, rng: random.Random) -> str:
    return item.replace("-", rng.choice((" ", "", ") ")))


def _dotted(item: str, rng: random.Random) -> str:
    return f"{item[:2]}·{item[2:]}"


def _bound(*carriers: str) -> Callable[[str, random.Random], str]:
    return lambda item, rng: rng.choice(carriers).format(item)


_ANY_NUMBER = {"plain": _plain, "full width": _full_width, "zero width": _zero_width,
               "digits apart": _every_digit_apart, "groups": _in_groups, "keycaps": _keycaps, "circled": _circled,
               "Chinese numerals": _written, "half in Chinese": _half_written}
_ANYWHERE = _bound("{}", "我的是{},", "号码：{}。", "记一下{}谢谢", "{} ", "（{}）", "a{}b", "是{}吗？", "\n{}\n")
_INTRODUCED = {
    "PASSPORT": _bound("护照{}", "我的是{},", "号码：{}。", "（{}）"),
    "PLATE": _bound("{}", "车牌{},", "我的车是{}。", "（{}）"),
    "WECHAT": _bound("微信{}", "我微信号是{}", "加我wx：{}", "vx {}", "威信:{}", "WeChat ID: {}"),
    "QQ": _bound("QQ{}", "qq号：{}", "扣扣是{}", "加我Q Q {}"),
    "NAME": _bound("我叫{}，", "我的名字是{}，", "姓名：{} ", "我女儿叫{}今年",
                   *(f"{before}{{}}{title}" for before in ("请问", "昨天见了") for title in TITLES)),
    "ADDRESS": _bound("我住在{}，", "家在{}。", "寄到{} ", "地址：{}\n"),
    "BIRTHDATE": _bound("我生日{}，", "出生日期：{} ", "我{}出生，", "{}生的，", "生于{}，"),
}
# kind -> how it is made, how it is disguised
_KINDS: dict[str, tuple[Callable[[random.Random], str], dict[str, Callable[[str, random.Random], str]]]] = {
    "ID_CARD": (identity_number, _ANY_NUMBER),
    "BANK_CARD": (card_number, _ANY_NUMBER),
    "PHONE": (mobile_number, {**_ANY_NUMBER, "country code": _with_country}),
    "EMAIL": (email_address, {
        "plain": _plain, "full width": _full_width, "zero width": _zero_width, "at sign apart": _at_apart,
        "Chinese full stop": _dot_in_chinese}),
    "ID_CARD, 15 digits": (_old_identity_number, {"plain": _plain, "full width": _full_width}),
    "PHONE, landline": (_landline, {"plain": _plain, "full width": _full_width, "groups": _joined_otherwise}),
    "PASSPORT": (_passport, {"plain": _plain, "full width": _full_width}),
    "WECHAT": (_ascii_id, {"plain": _plain, "full width": _full_width}),
    "QQ": (lambda rng: str(rng.randint(10**5, 10**10)), {"plain": _plain, "full width": _full_width}),
    "PLATE": (_plate, {"plain": _plain, "full width": _full_width, "dot": _dotted}),
    "NAME": (_name, {"plain": _plain}),
    "ADDRESS": (_address, {"plain": _plain, "full width": _full_width}),
    "BIRTHDATE": (_birth_date, {"plain": _plain, "full width": _full_width}),
}


def make_planted(count: int, seed: int = 0) -> Iterator[Planted]:
    """Yield `count` sentences with one planted item each, all kinds and disguises in turn."""
    rng = random.Random(seed)  # noqa: S311 - sentences, not secrets
    forms = [(kind, make, name, disguise) for kind, (make, disguises) in _KINDS.items()
             for name, disguise in disguises.items()]
    for number in range(count):
        kind, make, name, disguise = forms[number % len(forms)]
        item = make(rng)
        carried = _INTRODUCED.get(kind, _ANYWHERE)(disguise(item, rng), rng)
        yield Planted(f"{rng.choice(('', '你好,', '大师 '))}{carried}{rng.choice(QUESTIONS)}", kind, item, name)


def make_clean(count: int, seed: int = 0) -> Iterator[str]:
    """Yield `count` sentences without personal data: years, amounts, dates, words that begin with a surname."""
    rng = random.Random(seed)  # noqa: S311 - sentences, not secrets
    for _ in range(count):
        clean = rng.choice(CLEAN).format(y=rng.randint(1950, 2040), z=rng.randint(2024, 2040), m=rng.randint(1, 12),
                                         d=rng.randint(1, 28), n=rng.randint(1, 99), a=rng.randint(1, 9999) * 100)
        yield f"{rng.choice(('', '你好,', '请问', '大师 '))}{clean}{rng.choice(QUESTIONS)}"
