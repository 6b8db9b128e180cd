"""Detectors of how a person is reached other than by phone: e-mail, WeChat, QQ, and IPv6 addresses."""

import re

from control_plane.privacy.detector import Detector
from control_plane.privacy.number_checks import is_internet_address

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}"              # RFC 5321, 4.5.3.1.1; RFC 5322, 3.2.3
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"      # RFC 1035, 2.3.4: at most 63 characters
_LAST_LABEL = r"[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])"
_AT = r"\s{0,2}(?:@|[\[({](?:at|AT|艾特)[\])}]|艾特)\s{0,2}"
_DOT = r"(?:[.。]|\s{0,2}[\[({](?:dot|DOT|点)[\])}]\s{0,2})"
_ENDINGS = r"(?i:com|cn|net|org|edu|gov|io|hk|tw)"             # Words may follow a full stop; these are none.
_MAX_LABELS = 127                                               # of one character each, in the 255 of RFC 1035
_IS = r"\s?(?:号码|账号|帐号|号|id)?(?:就是|是|为|[:=\s]){0,4}"


def _is_address(match: re.Match[str]) -> bool:
    return match.group() != "::" and is_internet_address(match.group())


def _is_chosen_id(match: re.Match[str]) -> bool:
    """Tell an id from a word after the keyword, as in 微信 official: a digit, a joint, or words that introduce it."""
    introduction = match.string[match.start():match.start("hidden")]
    return bool(re.search(r"[\d_-]", match.group("hidden")) or re.search(r"[:=是为号]|id\s?$", introduction.lower()))


CONTACTS = (
    Detector("EMAIL", re.compile(
        rf"{_LOCAL}{_AT}(?:(?:{_LABEL}\s{{0,2}}{_DOT}\s{{0,2}}){{1,4}}{_ENDINGS}(?![A-Za-z])|"
        rf"(?:{_LABEL}{_DOT}){{1,{_MAX_LABELS}}}{_LAST_LABEL})")),
)
ACCOUNTS = (
    Detector("WECHAT", re.compile(
        rf"(?:微信|薇信|威信|加v|加微|(?<![a-z0-9])(?:wechat|weixin|v信|wx|vx)){_IS}"
        r"(?P<hidden>[a-z][a-z0-9_-]{5,19}(?![a-z0-9_-])|[1-9]\d{4,9}(?![\da-z年人元块次个]))", re.IGNORECASE),
        _is_chosen_id),
    Detector("QQ", re.compile(
        rf"(?:(?<![a-z0-9])q\s?q|扣扣|企鹅|球球|秋秋){_IS}"
        r"(?P<hidden>[1-9](?:[\s.\-·]{0,2}\d){4,9}(?![\d年人元块次个]))", re.IGNORECASE)),
)
LONG_ADDRESSES = (
    Detector("IP_ADDRESS", re.compile(
        r"(?<![A-Za-z0-9:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![A-Za-z0-9:])"), _is_address),
)
