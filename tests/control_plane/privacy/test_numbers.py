"""Cards, phones and papers in the ways in which people write them, and numbers that are none."""

import pytest

from control_plane.privacy.masking import mask_personal_data


@pytest.mark.parametrize(("text", "expected"), [
    ("身份证11010519491231002X对吗", "身份证<ID_CARD>对吗"), ("110105 19491231 002x", "<ID_CARD>"),
    ("110105-1949-1231-002X", "<ID_CARD>"),
    ("110105194912310021", "<ID_CARD>"), ("我110105491231002", "我<ID_CARD>"),
    ("一一零一零五一九四九一二三一零零二X", "<ID_CARD>"),
    ("卡4111 1111 1111 1111", "卡<BANK_CARD>"), ("６２２２-0212-3456-7890", "<BANK_CARD>"),
    ("378282246310005", "<BANK_CARD>"),
    ("卡号是1234567890", "卡号是<NUMBER>"), ("工号A10086x", "工号<NUMBER>"),
    ("订单号:2026050312345678", "订单号:<NUMBER>"),
    ("护照E12345678", "护照<PASSPORT>"), ("通行证c12345678,", "通行证<PASSPORT>,"),
    ("护照号AB1234567", "护照号<NUMBER>"),
])
def test_papers_and_cards_are_masked(text, expected):
    assert mask_personal_data(text).text == expected


@pytest.mark.parametrize("text", [
    "13800138000", "138 0013 8000", "138-0013-8000", "138.001.38000", "1.3.8.0.0.1.3.8.0.0.0", "1 3 8 0 0 1 3 8 0 0 0",
    "+86 13800138000",
    "+8613800138000", "0086-138-0013-8000", "(+86)13800138000", "8613800138000", "013800138000",
    "１３８００１３８０００",
    "一三八零零一三八零零零", "幺三八〇〇幺三八〇〇〇", "壹叁捌零零壹叁捌零零零", "138零零1三八000",
    "138\u200b0013\u200d8000", "138——0013——8000",
    "13800138000元", "010-65529988", "01065529988", "(010)65529988", "0571 8765432", "0571-87654321转123",
    "010-65529988-801",
    "+852 9123 4567", "+1 415-555-2671", "1381 2345 678", "138\n0013\n8000",
])
def test_phones_are_masked_whole(text):
    assert mask_personal_data(text).text.removesuffix("元") in ("<PHONE>", "<NUMBER>")


@pytest.mark.parametrize(("text", "expected"), [
    ("电话65529988", "电话<PHONE>"), ("手机号是 138 0013", "手机号是 <PHONE>"), ("Tel: 6552-9988", "Tel: <PHONE>"),
    ("2026 138 0013 8000", "2026 <PHONE>"), ("a13800138000b", "a<PHONE>b"),
    ("13800138000 13900139000", "<PHONE> <PHONE>"),
    ("123456789012345678901234", "<NUMBER>"), ("7138001380001", "<NUMBER>"),
])
def test_numbers_are_found_among_others(text, expected):
    assert mask_personal_data(text).text == expected


@pytest.mark.parametrize("text", [
    "2026年", "2025年到2027年", "2025-01-01 2026-01-01", "1990.05.03 1992.08.15", "2023 2024 2025 2026",
    "1990,05,03,12,3",
    "2026-05-03 10:30:45", "400-123-4567", "电话400-123-4567", "拨打10086", "电话 2026-05-03", "13,800,138,000",
    "15000-200000元",
    "1,380,000元", "股票600519", "3.14159", "1+1=2", "双色球 03 07 12 19 25 31 08", "一二三四五六七八九", "一五一十",
    "8:30", "身高175体重60",
    "E5", "K歌", "iPhone15", "月薪12000-15000", "1949年10月1日",
])
def test_years_dates_amounts_and_service_numbers_stay(text):
    assert mask_personal_data(text).text == text
