"""Postal addresses with a house number and number plates are masked; cities, lines and floors are not."""

import pytest

from control_plane.privacy.masking import mask_personal_data


@pytest.mark.parametrize(("text", "expected"), [
    ("我住在北京市朝阳区建国路88号,今年", "我住在<ADDRESS>,今年"),
    ("家在人民路12号阳光花园3栋2单元501室。", "家在<ADDRESS>。"),
    ("寄到上海市浦东新区世纪大道100号", "寄到<ADDRESS>"), ("翠湖小区12号楼3单元502", "<ADDRESS>"),
    ("解放路５弄３号２０１室", "<ADDRESS>"),
    ("光明村三号", "<ADDRESS>"), ("望京西园四区412号楼2单元1501室", "<ADDRESS>"), ("中山北路12-3号", "<ADDRESS>"),
    ("车牌京A12345", "车牌<PLATE>"), ("沪AD12345", "<PLATE>"), ("粤B·F1234", "<PLATE>"), ("粤B·12F34", "<PLATE>"),
    ("苏e 1234学", "<PLATE>"),
    ("京Ａ１２３４５", "<PLATE>"),
])
def test_addresses_and_plates_are_masked(text, expected):
    assert mask_personal_data(text).text == expected


@pytest.mark.parametrize("text", [
    "温州", "在上海工作", "北京市朝阳区的房子", "地铁2号线", "我想知道3号", "住8楼好吗", "新Mate60", "川A6", "新能源车",
    "湘菜", "88号", "知道3号结果", "3号出门",
    "人民路附近", "万达广场", "新iPhone15", "苏州园林",
])
def test_cities_lines_and_models_stay(text):
    assert mask_personal_data(text).text == text
