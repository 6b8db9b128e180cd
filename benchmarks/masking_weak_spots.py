"""What masking is known to get wrong, each with an example that a test holds it to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WeakSpot:
    """One known failure: personal data that stays (`is_missed`), or a clean text that is masked."""

    what: str
    example: str
    is_missed: bool = True


WEAK_SPOTS = (
    WeakSpot("a name with neither title nor introduction", "张伟今年财运怎么样"),
    WeakSpot("a nickname", "老张和小王会复合吗"),
    WeakSpot("a rare surname, or one that is mostly a word", "和先生说的对吗"),
    WeakSpot("a name that begins like a word", "高中老师"),
    WeakSpot("an address without a house number", "我住在建国路阳光花园"),
    WeakSpot("letters for digits", "138OO138OOO"),
    WeakSpot("numerals of the radio alphabet", "幺三八洞洞幺三八洞洞洞"),
    WeakSpot("words between the digits", "138然后0013再8000"),
    WeakSpot("more than three separators between two digits", "138-----0013-----8000"),
    WeakSpot("a number run together with others and then broken up", "7138 0013 8000"),
    WeakSpot("a phone number that somebody masked in part", "138****8000"),
    WeakSpot("a mistyped card in groups that does not begin with 62", "4111 1111 1111 1112"),
    WeakSpot("an e-mail address in words", "zhang at qq dot com"),
    WeakSpot("an e-mail address with a Chinese name before the at sign", "张三@公司.中国"),
    WeakSpot("an account without its keyword", "找我 sunny_1234"),
    WeakSpot("a local phone number without its keyword", "打65529988"),
    WeakSpot("a date of birth that nothing introduces as one", "1990年5月3日早上8点,男"),
    WeakSpot("any run of eleven digits counts as a number", "圆周率3.14159265358979", is_missed=False),
    WeakSpot("dates with a time, in one run of digits", "202605031230开业", is_missed=False),
    WeakSpot("a poet whom somebody says to be", "我叫李白", is_missed=False),
    WeakSpot("versions of four numbers", "版本1.2.3.4", is_missed=False),
)
