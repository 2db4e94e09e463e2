"""Good lines go on, bad ones are told: line by line, whatever stands around them."""

import pytest
from pydantic import BaseModel

from shared.imports.kinds import Kind
from shared.imports.reading import CHUNK_LINES, Reader, Refusal
from shared.imports.rows import BadHeader
from tests.unit.shared.imports.parcels import HEADER, LOCKED, PARCELS, SENT, WATCHED, all_chunks, read

NOT_CSV = "The line is not CSV: a quotation mark or a line break is where none can be."
EVERYTHING = "stamps,sent_at,insured,paid_grams,grams,label,parcel_id"


def test_every_form_of_a_field_is_read_in_any_order_of_columns() -> None:
    items, refusals = read("a;b,2026-11-23T08:15:00Z,true,5,7,x,p-1", header=EVERYTHING)
    assert refusals == []
    assert items == [
        {
            "stamps": ["a", "b"],
            "sent_at": "2026-11-23T08:15:00Z",
            "insured": True,
            "paid_grams": 5,
            "grams": 7,
            "label": "x",
            "parcel_id": "p-1",
        }
    ]


def test_an_empty_field_is_one_that_is_not_given() -> None:
    assert read(",,,,7,x,p-1", header=EVERYTHING) == ([{"grams": 7, "label": "x", "parcel_id": "p-1"}], [])


def test_quotation_marks_carriage_returns_and_empty_lines_are_as_rfc_4180_has_them() -> None:
    items, refusals = read('"p-1","x",7\r', "", "   ", "\r", 'p-2,"y",7')
    assert refusals == []
    assert [item["parcel_id"] for item in items] == ["p-1", "p-2"]


@pytest.mark.parametrize(
    ("line", "column", "why"),
    [
        ("p-1,x", "", "The line has 2 fields, the header 3."),
        ("p-1,x,7,8", "", "The line has 4 fields, the header 3."),
        ('"p-1,x,7', "", NOT_CSV),
        ('p-1,"x"y,7', "", NOT_CSV),
        (
            "p-1,x,7\rp-2,y,7",
            "",
            NOT_CSV,
        ),
        ("p-1,x\0,7", "", "The line holds a NUL character."),
        ("p-1,x,1_000", "grams", "It should be a whole number."),
        ("p-1,x,7.0", "grams", "It should be a whole number."),
        ("p-1,x, 7", "grams", "It should be a whole number."),
        ("p-1,x,٣", "grams", "It should be a whole number."),
        ("p-1,x,0", "grams", "Input should be greater than or equal to 1."),
        ("p-1,x,", "grams", "Field required."),
        ("P 1,x,7", "parcel_id", "String should match pattern '^[a-z0-9-]{1,20}$'."),
    ],
)
def test_a_bad_line_is_told_between_good_ones(line: str, column: str, why: str) -> None:
    items, refusals = read("p-8,v,7", line, "p-9,w,7")
    assert [item["parcel_id"] for item in items] == ["p-8", "p-9"]
    assert refusals == [Refusal(3, column, why, line)]


@pytest.mark.parametrize(
    ("line", "column"),
    [
        (",2026-11-23,,,7,x,p-1", "sent_at"),
        (",1763885700,,,7,x,p-1", "sent_at"),
        (",2026-11-23T08:15:00,,,7,x,p-1", "sent_at"),
        (",2026-13-23T08:15:00Z,,,7,x,p-1", "sent_at"),
        (",,1,,7,x,p-1", "insured"),
        (",,True,,7,x,p-1", "insured"),
        ("a;;b,,,,7,x,p-1", "stamps"),
        (",,,8,7,x,p-1", ""),
    ],
)
def test_what_only_looks_right_is_refused(line: str, column: str) -> None:
    items, [refusal] = read(line, header=EVERYTHING)
    assert items == []
    assert refusal.column == column


def test_all_faults_of_a_line_are_told() -> None:
    _, refusals = read("P 1,X,0")
    assert [(refusal.line, refusal.column) for refusal in refusals] == [
        (2, "grams"),
        (2, "label"),
        (2, "parcel_id"),
    ]


def test_a_line_that_is_not_utf_8_is_told_by_itself() -> None:
    chunks = list(Reader(PARCELS, iter([HEADER.encode(), b"p-1,\xff,7", b"p-2,x,7"])).chunks())
    assert [row.item["parcel_id"] for row in chunks[0].rows] == ["p-2"]
    assert [(refusal.line, refusal.why) for refusal in chunks[0].refusals] == [(2, "The line is not UTF-8.")]


def test_of_lines_that_name_the_same_only_the_first_good_one_is_taken() -> None:
    items, refusals = read("p-1,X,7", "p-1,x,7", "p-1,y,7", "p-2,x,7", "p-3,z,7")
    assert [item["label"] for item in items] == ["x", "z"]
    assert [(refusal.line, refusal.column) for refusal in refusals] == [
        (2, "label"),
        (4, "parcel_id"),
        (5, "label"),
    ]
    assert refusals[1].why == "Line 3 has the same parcel_id: only that one is taken."


def test_lines_that_name_the_same_are_found_across_chunks() -> None:
    many = [f"p-{number},x{number},7" for number in range(CHUNK_LINES + 500)]
    items, [refusal] = read(*many, "p-0,new,7")
    assert len(items) == len(many)
    assert refusal.why == "Line 2 has the same parcel_id: only that one is taken."


def test_every_line_is_in_exactly_one_chunk_of_at_most_as_many_as_a_request_takes() -> None:
    many = [f"p-{number},x{number},7" for number in range(2 * CHUNK_LINES + 1)]
    chunks = all_chunks([HEADER, *many])
    assert [len(chunk.rows) for chunk in chunks] == [CHUNK_LINES, CHUNK_LINES, 1]
    assert [chunk.last_line for chunk in chunks] == [
        CHUNK_LINES + 1,
        2 * CHUNK_LINES + 1,
        2 * CHUNK_LINES + 2,
    ]
    assert [row.line for chunk in chunks for row in chunk.rows] == list(range(2, len(many) + 2))


def test_the_digest_tells_whether_anything_up_to_there_has_changed() -> None:
    many = [f"p-{number},x{number},7" for number in range(2 * CHUNK_LINES)]
    before = [chunk.digest for chunk in all_chunks([HEADER, *many])]
    later = [chunk.digest for chunk in all_chunks([HEADER, *many[:-1], "p-0,x,8", "p-1,y,9"])]
    assert (before[0] == later[0], before[1] == later[1]) == (True, False)
    assert all_chunks([HEADER, "p-0,x0,8", *many[1:]])[1].digest != before[1]


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("", "The file is empty"),
        ("parcel_id,label", "grams is missing"),
        ("parcel_id,label,grams,colour", "it names colour, which is no column of parcels"),
        ("parcel_id,label,grams,grams", "grams is there twice"),
        ("p-1,4242 4242,7", "it names something else"),
        ("parcel_id;label;grams", "it names something else"),
        ('"parcel_id,label,grams', "The first line is no header"),
    ],
)
def test_without_a_proper_header_nothing_is_read_and_the_first_line_not_shown(header: str, told: str) -> None:
    with pytest.raises(BadHeader) as error:
        read("p-1,x,7", header=header)
    assert told in str(error.value)
    assert "4242" not in str(error.value)


@pytest.mark.parametrize("texts", [(), ("", "")])
def test_a_file_with_nothing_but_a_header_is_an_error(texts: tuple[str, ...]) -> None:
    with pytest.raises(BadHeader, match="no line but its header"):
        read(*texts)


def test_secrets_are_masked_in_what_is_shown() -> None:
    _, refusals = read(
        "p-1,X,7,s3cret", "p-2,x,7,s3cret,", '"p-3,x,7,s3cret', header=f"{HEADER},code", kind=LOCKED
    )
    assert [refusal.given for refusal in refusals] == ["p-1,X,7,***", "***", "***"]


def test_what_must_be_nowhere_is_refused_and_nothing_of_its_line_shown() -> None:
    [chunk] = all_chunks([HEADER, "p-1,bomb,7", "p-2,x,7", "p-3,bomb,7,8", '"p-4,bomb,7'], WATCHED)
    assert [row.item["parcel_id"] for row in chunk.rows] == ["p-2"]
    assert [refusal.given for refusal in chunk.refusals] == ["***", "***", "***"]
    assert [refusal.why for refusal in chunk.refusals[:2]] == ["A parcel must not hold a bomb."] * 2
    assert chunk.forbidden == 2


def test_the_fields_of_a_part_of_the_body_are_columns_of_their_own() -> None:
    items, refusals = read(
        "p-1,elm,3,",
        "p-2,elm,,oak",
        "p-3,Elm,x,",
        "p-4,elm,,Oak",
        header="parcel_id,to.street,to.floor,back_to.street",
        kind=SENT,
    )
    assert items == [
        {"parcel_id": "p-1", "to": {"street": "elm", "floor": 3}},
        {"parcel_id": "p-2", "to": {"street": "elm"}, "back_to": {"street": "oak"}},
    ]
    assert [(refusal.line, refusal.column) for refusal in refusals] == [
        (4, "to.floor"),
        (5, "back_to.street"),
    ]
    assert [name for name, column in SENT.columns.items() if column.required] == ["parcel_id", "to.street"]
    with pytest.raises(BadHeader, match=r"to\.street is missing"):
        read("p-1", header="parcel_id", kind=SENT)


def test_a_body_that_no_line_can_hold_is_a_mistake_of_ours() -> None:
    class Nested(BaseModel):
        weights: float

    kind = Kind(name="n", item=Nested, service="post", url="", path="", unique=())
    with pytest.raises(TypeError, match="cannot hold a value of the type number"):
        _ = kind.columns
