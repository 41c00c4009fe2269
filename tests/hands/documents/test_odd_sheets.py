"""One odd cell, or an odd rule, of a workbook does not keep the rest of it from being read."""

import re
from datetime import date

import pytest

from tests.hands.documents.test_documents import part_of, rows, with_part, xlsx


@pytest.mark.parametrize(
    ("odd", "shown"),
    [
        (b't="d"><v>2024-02-30</v>', "2024-02-30"),
        (b"><v>1,5</v>", "1,5"),
        (b't="b"><v>yes</v>', "yes"),
        (b's="1"><v>-1000000</v>', "-1000000"),
        (b't="e"><v>#DIV/0!</v>', "#DIV/0!"),
    ],
)
def test_a_cell_with_no_value_of_its_type_is_text_and_the_others_are_read(odd: bytes, shown: str) -> None:
    raw, sheet = xlsx(("a", date(2026, 6, 1), 2), ("b", date(2026, 6, 2), 3)), "xl/worksheets/sheet1.xml"
    part, day = part_of(raw, sheet), b's="1" t="n"><v>46174</v>'
    assert day in part
    for told in (part, re.sub(b' r="[A-Z]+[0-9]+"', b"", part)):
        assert rows("xlsx", with_part(raw, sheet, told.replace(day, odd)))["Sales"] == [
            ["a", shown, 2], ["b", "2026-06-02T00:00:00", 3]
        ]  # fmt: skip


def test_what_a_sheet_says_of_its_look_does_not_keep_its_rows_from_being_read() -> None:
    raw, sheet = xlsx(("a", 1)), "xl/worksheets/sheet1.xml"
    odd = b'<dataValidations count="1"><dataValidation type="odd" sqref="A1"/></dataValidations>'
    part = part_of(raw, sheet).replace(b"<sheetData>", b'<cols><col min="0" max="99999999"/></cols><sheetData>')
    assert rows("xlsx", with_part(raw, sheet, part.replace(b"</sheetData>", b"</sheetData>" + odd)))["Sales"] == [
        ["a", 1]
    ]
