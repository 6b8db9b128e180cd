"""Names with a title or an introduction are masked; words that begin with a surname are not."""

import pytest

from control_plane.privacy.masking import mask_personal_data


@pytest.mark.parametrize(("text", "expected"), [
    ("我叫王小明今年运势", "我叫<NAME>今年运势"), ("我叫王伟今年30岁", "我叫<NAME>今年30岁"),
    ("我的名字是欧阳娜娜", "我的名字是<NAME>"),
    ("姓名：李雷 男", "姓名:<NAME> 男"), ("女儿叫张子涵", "女儿叫<NAME>"), ("我是王伟,", "我是<NAME>,"),
    ("本人李秀英", "本人<NAME>"),
    ("张先生好", "<NAME>先生好"), ("问王建国医生", "问<NAME>医生"), ("诸葛老师", "<NAME>老师"),
    ("周末王老师来", "周末<NAME>老师来"), ("跟王总,", "跟<NAME>总,"),
    ("my name is John Smith", "my name is <NAME>"), ("My name's li lei", "My name's <NAME> lei"),
    ("我叫Tom", "我叫<NAME>"),
    ("Mr. Smith是", "Mr. <NAME>是"), ("我叫李白", "我叫<NAME>"),
])
def test_introduced_and_titled_names_are_masked(text, expected):
    assert mask_personal_data(text).text == expected


@pytest.mark.parametrize("text", [
    "王者荣耀", "李白的诗", "黄金", "金钱", "高考", "周末", "马上", "白羊座", "温州", "我是白羊座", "我是金牛座",
    "我是高三学生", "我是单身", "我是程序员", "我是温州人",
    "语文老师", "历史老师", "高中老师", "周末老师来吗", "数学老师", "产品经理", "白羊座先生", "总经理",
    "由于老师的原因", "向老师请教", "和老师吵架", "我叫他来", "我叫车去",
    "老师", "先生", "王总是迟到", "my name is not", "张家界", "石家庄", "马来西亚", "公安局长", "我是方便的", "主任",
    "高级经理", "黄金周", "方向", "我是属龙的",
])
def test_words_that_begin_with_a_surname_stay(text):
    assert mask_personal_data(text).text == text
