"""E-mail addresses, accounts and computers' addresses, and what only looks like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.privacy.masking import mask_personal_data


@pytest.mark.parametrize("text", [
    "a@qq.com", "zhang.san+x_y@mail.example.com.cn", "ZHANG＠ＱＱ．ＣＯＭ", "zhang @ qq.com", "zhang@qq . com",
    "zhang(at)qq.com",
    "zhang[at]163[dot]com", "zhang艾特qq点com".replace("点", "."), "zhang@qq。com", "zh\u200bang@q\u200bq.com",
    "13800138000@163.com",
    "a@b.c.d.e.f.g.h.i.j.k.l.m.museum", "a@xn--fiq228c.xn--p1ai", "x" * 64 + "@qq.com",
])
def test_email_addresses_are_masked_whole(text):
    assert mask_personal_data(f"邮箱{text},谢谢").text == "邮箱<EMAIL>,谢谢"


@given(st.emails())
def test_no_address_of_the_standard_survives(address):
    assert address not in mask_personal_data(f"我的邮箱{address}谢谢").text


@pytest.mark.parametrize(("text", "expected"), [
    ("微信abc_123", "微信<WECHAT>"), ("微信号是zhangsan", "微信号是<WECHAT>"), ("wx:hello6", "wx:<WECHAT>"),
    ("加VX hello666吧", "加VX <WECHAT>吧"),
    ("WeChat ID: sunny123", "WeChat ID: <WECHAT>"), ("微信13800138000", "微信<PHONE>"),
    ("微信123456789", "微信<WECHAT>"),
    ("QQ12345", "QQ<QQ>"), ("qq号：1234567890", "qq号:<QQ>"), ("扣扣是123 456 789", "扣扣是<QQ>"),
    ("加Q Q 123456", "加Q Q <QQ>"),
    ("IP 192.168.1.1。", "IP <IP_ADDRESS>。"), ("192.168.10.100", "<IP_ADDRESS>"), ("2001:db8::1", "<IP_ADDRESS>"),
    ("在192.168.100.10.", "在<IP_ADDRESS>."),
])
def test_accounts_and_computers_are_masked_after_their_keyword(text, expected):
    assert mask_personal_data(text).text == expected


@pytest.mark.parametrize("text", [
    "微信official", "微信支付12345元", "QQ飞车2026年", "qq音乐", "加微信", "v2.3.1", "256.1.1.1", "12:30:45",
    "std::vector", "::",
    "a@b", "3@2.5", "看@微博", "look at qq.com", "微信2026年",
])
def test_what_only_looks_like_an_account_stays(text):
    assert mask_personal_data(text).text == text
