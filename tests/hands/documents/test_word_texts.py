"""What stands in a DOCX is read wherever Word puts it: in changes that are tracked, controls, fields, boxes and cells."""

import zipfile
from io import BytesIO

import pytest

from tests.hands.documents.test_documents import READERS, archive, docx, kinds, part_of, rows, with_part

PART = "word/document.xml"
MAIN = b"wordprocessingml.document.main+xml"


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def paragraph(inner: str) -> str:
    return f"<w:p>{inner}</w:p>"


def table(*cells: str) -> str:
    return f"<w:tbl><w:tr>{''.join(f'<w:tc>{cell}</w:tc>' for cell in cells)}</w:tr></w:tbl>"


def control(inner: str) -> str:
    return f"<w:sdt><w:sdtPr><w:alias w:val='unseen'/></w:sdtPr><w:sdtContent>{inner}</w:sdtContent></w:sdt>"


def box(inner: str) -> str:
    """A text box as Word writes it: once for itself, once for programs that do not know how."""
    held = f"<w:txbxContent>{inner}</w:txbxContent>"
    mc = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    choice = f"<mc:Choice Requires='wps'><w:drawing>{held}</w:drawing></mc:Choice>"
    old = f"<mc:Fallback><w:pict>{held}</w:pict></mc:Fallback>"
    return f"<w:r><mc:AlternateContent xmlns:mc='{mc}'>{choice}{old}</mc:AlternateContent></w:r>"


def written(body: str) -> bytes:
    made = part_of(docx(), PART)
    start, end = made.index(b"<w:body>") + len(b"<w:body>"), made.index(b"<w:sectPr")
    return with_part(docx(), PART, made[:start] + body.encode() + made[end:])


def text(body: str) -> str:
    return "".join(READERS["docx"].text(written(body)))


@pytest.mark.parametrize(
    "around",
    [
        "<w:ins w:id='1' w:author='a'>{}</w:ins>",
        "<w:moveTo w:id='1' w:author='a'>{}</w:moveTo>",
        control("{}"),
        "<w:fldSimple w:instr='DATE'>{}</w:fldSimple>",
        "<w:smartTag w:element='city'>{}</w:smartTag>",
        "<w:customXml w:element='x'>{}</w:customXml>",
        "<w:hyperlink w:anchor='x'>{}</w:hyperlink>",
        "<w:hyperlink w:anchor='x'><w:ins w:id='1' w:author='a'>{}</w:ins></w:hyperlink>",
        "<w:bdo w:val='rtl'>{}</w:bdo>",
        "<w:r><w:ruby><w:rt><w:r><w:t>read so</w:t></w:r></w:rt><w:rubyBase>{}</w:rubyBase></w:ruby></w:r>",
    ],
)
def test_text_is_read_whatever_stands_around_it(around: str) -> None:
    assert text(paragraph(run("a ") + around.format(run("b")) + run(" c"))) == "a b c\n"


def test_what_was_deleted_or_moved_away_is_not_read() -> None:
    deleted = "<w:del w:id='1' w:author='a'><w:r><w:delText>x</w:delText></w:r></w:del>"
    moved = f"<w:moveFrom w:id='2' w:author='a'>{run('y')}</w:moveFrom>"
    assert text(paragraph(run("a") + deleted + moved + run("b"))) == "ab\n"


def test_paragraphs_and_tables_of_a_control_stand_where_it_does() -> None:
    inner = paragraph(run("b")) + table(paragraph(run("c")), paragraph(run("d")))
    body = paragraph(run("a")) + control(control(inner)) + paragraph(run("e"))
    assert text(body) == "a\nb\nc\td\ne\n"
    assert rows("docx", written(body)) == {"1": [["c", "d"]]}


def test_rows_and_cells_that_are_controls_are_read() -> None:
    cell = control(f"<w:tc>{paragraph(run('a'))}</w:tc>") + f"<w:tc>{control(paragraph(run('b')))}</w:tc>"
    body = f"<w:tbl>{control(f'<w:tr>{cell}</w:tr>')}</w:tbl>"
    assert rows("docx", written(body)) == {"1": [["a", "b"]]}


def test_a_table_within_a_cell_is_read_with_the_cell() -> None:
    body = table(
        paragraph(run("a")) + table(paragraph(run("b")), paragraph(run("c"))) + paragraph(""), paragraph(run("d"))
    )
    assert text(body) == "a\nb\tc\n\td\n"


def test_a_box_is_read_once_after_the_paragraph_that_it_hangs_on() -> None:
    boxed = box(paragraph(run("in ") + box(paragraph(run("deep")))) + paragraph(run("a box")))
    assert text(paragraph(run("a") + boxed + run("b")) + paragraph(run("c"))) == "ab\nin \ndeep\na box\nc\n"


def test_a_box_that_hangs_in_a_cell_is_read_with_the_cell() -> None:
    boxed = box(paragraph(run("in ") + box(paragraph(run("deep")))))
    body = table(paragraph(run("a") + boxed), paragraph(run("b")))
    assert rows("docx", written(body)) == {"1": [["a\nin \ndeep", "b"]]}
    assert text(paragraph(box(body)) + paragraph(run("c"))) == "\na\nin \ndeep\tb\nc\n"


@pytest.mark.parametrize("change", ["del", "moveFrom"])
def test_a_box_that_was_deleted_or_moved_away_is_not_read(change: str) -> None:
    gone = f"<w:{change} w:id='1' w:author='a'>{box(paragraph(run('x')))}</w:{change}>"
    assert text(paragraph(run("a") + gone + run("b"))) == "ab\n"


def test_signs_that_are_no_letters_are_read_as_what_they_stand_for() -> None:
    signs = "<w:tab/><w:br/><w:noBreakHyphen/><w:cr/>"
    assert text(paragraph(f"<w:r><w:t>a</w:t>{signs}<w:br w:type='page'/><w:t>b</w:t></w:r>")) == "a\t\n-\nb\n"


def test_a_document_whose_main_part_has_another_name_is_known() -> None:
    with zipfile.ZipFile(BytesIO(docx())) as old:
        parts = {one.replace("document.xml", "document2.xml"): old.read(one) for one in old.namelist()}
    renamed = archive({name: part.replace(b"document.xml", b"document2.xml") for name, part in parts.items()})
    assert MAIN in part_of(renamed, "[Content_Types].xml")
    assert kinds.kind_of(renamed) == kinds.DOCX
    assert "".join(READERS["docx"].text(renamed)).startswith("# First\n")
