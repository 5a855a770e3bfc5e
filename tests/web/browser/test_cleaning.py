"""Clean copies of documents, made by the browser's modules and read by another program: what was hidden is gone, what is shown is not."""

import base64
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import FreeText
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    TextStringObject,
)

from tests.web.browser.scripts import run

AUTHOR = "Iris Invented"
SECRETS = (AUTHOR, "WordStar 4 (fictional)", "SEALED-CANARY", "app.alert", "an earlier sentence")
XMP = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><dc:creator>{AUTHOR}</dc:creator></x:xmpmeta>"
LOOK = """
    const { lookInto } = await import("./src/cleaning.ts");
    const { clean, ...found } = await lookInto(new File([bytes(given.file)], given.name));
    return { ...found, clean: clean === null ? null : text(await clean.bytes()) };
"""


def looked(content: bytes, name: str = "letter.pdf") -> dict[str, Any]:
    found: dict[str, Any] = run(LOOK, {"file": base64.b64encode(content).decode(), "name": name})
    return found | {"clean": None if found["clean"] is None else base64.b64decode(found["clean"])}


def a_pdf(text: str = "A fictional letter", *, hides: bool = True) -> PdfWriter:
    writer = PdfWriter()
    page = writer.add_blank_page(200, 200)
    content = DecodedStreamObject()
    content.set_data(f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode())
    page[NameObject("/Contents")] = writer._add_object(content)
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    fonts = DictionaryObject({NameObject(k): NameObject(v) for k, v in font.items()})
    page[NameObject("/Resources")] = DictionaryObject(
        {NameObject("/Font"): DictionaryObject({NameObject("/F1"): writer._add_object(fonts)})}
    )
    if hides:
        writer.add_metadata(
            {
                "/Author": AUTHOR,
                "/Producer": "WordStar 4 (fictional)",
                "/CreationDate": "D:20260501120000+02'00'",
            }
        )
        writer.xmp_metadata = XMP.encode()
        writer.add_attachment("notes.txt", b"SEALED-CANARY in an attachment")
        writer.root_object[NameObject("/OpenAction")] = DictionaryObject(
            {
                NameObject("/S"): NameObject("/JavaScript"),
                NameObject("/JS"): TextStringObject("app.alert('fictional');"),
            }
        )
        note = FreeText(text="Look here", rect=(20, 20, 120, 60))
        note[NameObject("/T")] = TextStringObject(AUTHOR)
        note[NameObject("/M")] = TextStringObject("D:20260501")
        writer.add_annotation(0, note)
        private = DictionaryObject({NameObject("/Tool"): TextStringObject("SEALED-CANARY private")})
        page[NameObject("/PieceInfo")] = private
    return writer


def written(writer: PdfWriter) -> bytes:
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def saved_on_top(before: bytes) -> bytes:
    """The same file, changed the way programs do that append: everything of before is still in it."""
    writer = PdfWriter(io.BytesIO(before), incremental=True)
    content = DecodedStreamObject()
    content.set_data(b"BT /F1 12 Tf 20 100 Td (What is left) Tj ET")
    writer.pages[0][NameObject("/Contents")] = writer._add_object(content)
    return written(writer)


def everything_in(reader: PdfReader) -> str:
    """Every object of a PDF, its streams unpacked."""
    said = [repr(reader.trailer)]
    size = reader.trailer["/Size"]
    assert isinstance(size, NumberObject)
    for number in range(1, size):
        found = reader.get_object(number)
        said.append(repr(found))
        if found is not None and hasattr(found, "get_data"):
            said.append(found.get_data().decode("latin-1"))
    return "\n".join(said)


def test_a_pdf_tells_what_it_hides_and_its_clean_copy_shows_the_same_and_hides_nothing() -> None:
    content = written(a_pdf())

    found = looked(content)
    reader = PdfReader(io.BytesIO(found["clean"]), strict=True)
    root, notes = reader.trailer["/Root"], reader.pages[0]["/Annots"]

    assert found["why"] is None
    assert found["traces"]["author"] == AUTHOR
    assert found["traces"]["time"] is True
    assert {"holds-files", "scripts", "commentators"} <= set(found["tells"])
    assert reader.metadata is None
    assert reader.xmp_metadata is None
    assert reader.attachments == {}
    assert isinstance(root, DictionaryObject)
    assert not {"/Names", "/OpenAction", "/AcroForm", "/Metadata"} & set(root)
    assert "A fictional letter" in reader.pages[0].extract_text()
    assert isinstance(notes, ArrayObject)
    (note,) = (one.get_object() for one in notes)
    assert note["/Contents"] == "Look here"
    assert not {"/T", "/M", "/PieceInfo"} & (set(note) | set(reader.pages[0]))
    raw = found["clean"].decode("latin-1") + everything_in(reader)
    assert [one for one in SECRETS if one in raw] == []


def test_earlier_versions_are_told_and_do_not_come_along() -> None:
    content = saved_on_top(written(a_pdf("an earlier sentence", hides=False)))

    found = looked(content)
    reader = PdfReader(io.BytesIO(found["clean"]), strict=True)

    assert b"an earlier sentence" in content
    assert "earlier-versions" in found["tells"]
    assert "What is left" in reader.pages[0].extract_text()
    assert "an earlier sentence" not in found["clean"].decode("latin-1") + everything_in(reader)
    assert found["clean"].count(b"startxref") == 1


def test_a_picture_in_a_pdf_loses_its_place_and_keeps_its_points() -> None:
    exif = b"\xff\xe1\x00\x19Exif\0\0SEALED-CANARY GPS"
    scan = b"\xff\xda\x00\x04\x00\x00points\xff\xd9"
    frame = b"\xff\xc0\x00\x0b\x08\x00\x01\x00\x01\x01\x01\x11\x00"
    writer = a_pdf(hides=False)
    picture = DecodedStreamObject()
    picture.set_data(b"\xff\xd8" + exif + frame + scan)
    for key, value in (("/Type", "/XObject"), ("/Subtype", "/Image"), ("/Filter", "/DCTDecode")):
        picture[NameObject(key)] = NameObject(value)
    for key in ("/Width", "/Height"):
        picture[NameObject(key)] = NumberObject(1)
    resources = writer.pages[0]["/Resources"]
    assert isinstance(resources, DictionaryObject)
    resources[NameObject("/XObject")] = DictionaryObject({NameObject("/I1"): writer._add_object(picture)})

    clean = looked(written(writer))["clean"]

    assert b"SEALED-CANARY" not in clean
    assert b"\xff\xd8" + frame + scan in clean


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("torn.pdf", b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog", "broken"),
        ("nothing.pdf", b"", "broken"),
        ("text.pdf", b"not a PDF at all", "broken"),
        ("torn.docx", b"PK\x03\x04 torn", "broken"),
        ("locked.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512, "locked"),
    ],
)
def test_what_cannot_be_taken_apart_is_refused_and_says_why(name: str, content: bytes, why: str) -> None:
    found = looked(content, name)

    assert (found["clean"], found["why"]) == (None, why)


def test_a_locked_pdf_and_a_form_whose_answers_are_not_drawn_are_refused() -> None:
    locked, form = a_pdf(), a_pdf(hides=False)
    locked.encrypt("a fictional passphrase", algorithm="RC4-128")
    field = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Annot"),
            NameObject("/Subtype"): NameObject("/Widget"),
            NameObject("/FT"): NameObject("/Tx"),
            NameObject("/T"): TextStringObject("name"),
            NameObject("/V"): TextStringObject("an answer"),
            NameObject("/Rect"): ArrayObject([NumberObject(one) for one in (0, 0, 50, 20)]),
        }
    )
    ref = form._add_object(field)
    form.pages[0][NameObject("/Annots")] = ArrayObject([ref])
    form.root_object[NameObject("/AcroForm")] = DictionaryObject({NameObject("/Fields"): ArrayObject([ref])})

    assert looked(written(locked))["why"] == "locked"
    found = looked(written(form))
    assert (found["clean"], found["why"]) == (None, "form")
    assert "form" in found["tells"]


def zipped(entries: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


TYPES = (
    '<Types><Override PartName="/docProps/core.xml" ContentType="a"/>'
    '<Override PartName="/word/document.xml" ContentType="b"/></Types>'
)
RELS = (
    '<Relationships><Relationship Id="1" Type="c" Target="docProps/core.xml"/>'
    '<Relationship Id="2" Type="d" Target="word/document.xml"/></Relationships>'
)
DOCX = {
    "[Content_Types].xml": TYPES,
    "_rels/.rels": RELS,
    "docProps/core.xml": f"<cp:coreProperties><dc:creator>{AUTHOR}</dc:creator></cp:coreProperties>",
    "docProps/app.xml": "<Properties><Application>WordStar 4 (fictional)</Application></Properties>",
    "word/document.xml": f'<w:document><w:ins w:id="1" w:author="{AUTHOR}" w:date="2026-05-01T10:00:00Z"><w:t>kept</w:t></w:ins></w:document>',
    "word/comments.xml": f'<w:comments><w:comment w:author="{AUTHOR}" w:initials="II"><w:t>said</w:t></w:comment></w:comments>',
}
ODT = {
    "mimetype": "application/vnd.oasis.opendocument.text",
    "META-INF/manifest.xml": '<manifest:manifest><manifest:file-entry manifest:full-path="content.xml"/>'
    '<manifest:file-entry manifest:full-path="meta.xml"/></manifest:manifest>',
    "meta.xml": f"<office:meta><meta:initial-creator>{AUTHOR}</meta:initial-creator></office:meta>",
    "content.xml": f"<office:text><office:annotation><dc:creator>{AUTHOR}</dc:creator><text:p>kept</text:p></office:annotation></office:text>",
    "Thumbnails/thumbnail.png": "SEALED-CANARY",
}


@pytest.mark.parametrize(("name", "entries"), [("letter.docx", DOCX), ("letter.odt", ODT)])
def test_an_office_file_keeps_its_words_and_loses_its_makers(name: str, entries: dict[str, str]) -> None:
    found = looked(zipped(entries), name)

    assert found["why"] is None
    assert found["traces"]["author"] == AUTHOR
    assert "commentators" in found["tells"]
    with zipfile.ZipFile(io.BytesIO(found["clean"])) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        text = "\n".join(archive.read(one).decode() for one in names)
        assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert "kept" in text
    assert [one for one in SECRETS if one in text] == []
    assert not any(one.startswith(("docProps", "meta", "Thumb")) for one in names)
    assert "docProps" not in text
    assert "meta.xml" not in text
    assert name != "letter.odt" or (names[0], found["clean"][8:10]) == ("mimetype", b"\0\0")


def test_an_office_file_that_holds_another_is_refused() -> None:
    found = looked(zipped(DOCX | {"word/embeddings/sheet.xlsx": "PK"}), "letter.docx")

    assert (found["clean"], found["why"]) == (None, "holds-files")
    assert "holds-files" in found["tells"]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    pieces = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (*chunks, (b"IEND", b""))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


HEAD, LINES = (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0\x7f"))


@pytest.mark.parametrize("name", ["photo.png", "photo.jpg", "image1.bin"])
def test_a_png_in_an_office_file_keeps_its_points_and_loses_what_it_tells(name: str) -> None:
    told = (b"tEXt", b"Author\0" + AUTHOR.encode())
    loud = png(
        HEAD, told, (b"gAMA", b"\0\0\xb1\x8f"), (b"eXIf", AUTHOR.encode()), LINES, (b"tIME", b"1234567")
    )

    found = looked(zipped(DOCX | {f"word/media/{name}": loud + AUTHOR.encode()}), "letter.docx")

    assert found["why"] is None
    with zipfile.ZipFile(io.BytesIO(found["clean"])) as archive:
        assert archive.read(f"word/media/{name}") == png(HEAD, (b"gAMA", b"\0\0\xb1\x8f"), LINES)


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("photo.png", b"no picture at all"),
        ("photo.png", png(HEAD, LINES)[:-6]),
        ("photo.png", png(HEAD)[:30] + b"\xff\xff\xff\xfftEXtx"),
        ("scan.tiff", b"II*\0"),
        ("drawing.svg", b"<svg/>"),
    ],
)
def test_an_office_file_with_a_picture_that_cannot_be_taken_apart_has_no_clean_copy(
    name: str, picture: bytes
) -> None:
    found = looked(zipped(DOCX | {f"word/media/{name}": picture}), "letter.docx")

    assert (found["clean"], found["why"]) == (None, "pictures")
