"""Only a processor with all of the instructions is asked to run them."""

import pytest

from serving.generator.native.processor import processor_can

FLAGS = "flags\t\t: fpu avx2 avx512f avx512dq avx512bw avx512vl{}\nbugs\t\t: none\n"


@pytest.mark.parametrize(("text", "expected"), [
    (FLAGS.format(" avx512_vnni"), True), (FLAGS.format(""), False), ("Features\t: fp asimd asimddp\n", False),
    ("", False)])
def test_it_is_read_from_what_linux_says(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n" + text)
    assert processor_can(tmp_path / "cpuinfo") == expected


def test_a_system_that_says_nothing_cannot(tmp_path):
    assert not processor_can(tmp_path / "cpuinfo")
