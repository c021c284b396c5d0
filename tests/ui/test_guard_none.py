"""PySide6 6.12.0 on Python 3.11 loses a reference to None per call and aborts after some thousand calls."""

import sys

import pytest
from PySide6.QtWidgets import QLabel


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal from Python 3.12 on")
def test_none_keeps_its_references_over_a_thousand_calls(qtbot):
    label = QLabel()
    qtbot.addWidget(label)
    for _ in range(10):
        label.setText("warm")
    before = sys.getrefcount(None)
    for number in range(1000):
        label.setText(str(number))
    assert sys.getrefcount(None) >= before - 5
