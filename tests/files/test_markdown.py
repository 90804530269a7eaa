"""The data dictionary: its form, its figures, and text that tries to be more than text."""

# ruff: noqa: RUF001 - the letters and dashes that look like others are what is tested

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from duckwarp.files.markdown import ColumnEntry, dictionary
from duckwarp.model.column import Column
from duckwarp.model.pg_type import PgType
from duckwarp.model.results import ColumnStatistics, FileFacts
from duckwarp.model.source import Source

PG_TEXT = PgType(
    oid=25, name="text", schema="pg_catalog", kind="base", output_function="pg_catalog.textout"
)
PAGE_TOKENS = {"heading", "paragraph", "bullet_list", "list_item", "hr", "inline"}
INLINE_TOKENS = {"text", "code_inline", "em", "strong", "hardbreak", "softbreak"}
LINK_TO_THE_CATALOG = "*Catalog: [catalog.parquet](catalog.parquet)*\n"


def entry(
    name: str = "col",
    *,
    data_type: str = "text",
    written_as: str | None = None,
    notes: tuple[str, ...] = (),
    nulls: int | None = None,
    minimum: str | None = None,
    maximum: str | None = None,
    **known: Any,
) -> ColumnEntry:
    column = Column(name=name, position=1, data_type=data_type, pg_type=PG_TEXT, **known)
    statistics = ColumnStatistics(null_count=nulls, minimum=minimum, maximum=maximum)
    return ColumnEntry(column=column, written_as=written_as, statistics=statistics, notes=notes)


def page(
    *columns: ColumnEntry,
    name: str = "Sample",
    code: str = "sample",
    description: str | None = None,
    registered: bool = True,
    rows: int = 1_304,
    size_bytes: int = 80_123,
    notes: tuple[str, ...] = (),
) -> str:
    source = Source(
        code=code,
        name=name,
        schema="staging",
        table="tbl_sample",
        description=description,
        registered=registered,
    )
    return dictionary(
        source,
        columns or (entry(),),
        facts=FileFacts(rows=rows, size_bytes=size_bytes, columns=()),
        generated=datetime(2026, 1, 17, 9, 30, tzinfo=UTC),
        version="0.1.0",
        notes=notes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A page as a reader with HTML, tables and strikethrough makes it out.

    `texts` has the text of each heading and paragraph, a line break where the page has one.
    """

    tokens: tuple[str, ...]
    headings: tuple[tuple[str, str], ...]
    texts: tuple[str, ...]
    items: int

    def headings_of(self, tag: str) -> list[str]:
        return [text for heading, text in self.headings if heading == tag]


def render(markdown: str) -> Rendered:
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = reader.parse(markdown)
    return Rendered(
        tokens=tuple(_types(tokens)),
        headings=tuple(
            (before.tag, _text(token))
            for before, token in itertools.pairwise(tokens)
            if before.type == "heading_open"
        ),
        texts=tuple(_text(token) for token in tokens if token.type == "inline"),
        items=sum(1 for token in tokens if token.type == "list_item_open" and token.level == 1),
    )


def _types(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        yield token.type.removesuffix("_open").removesuffix("_close")
        yield from _types(token.children or ())


def _text(inline: Token) -> str:
    breaks = {"hardbreak": "\n", "softbreak": "\n"}
    return "".join(breaks.get(child.type, child.content) for child in inline.children or ())


def structure(markdown: str) -> Counter[str]:
    """How many there are of each thing that text must never bring about or do away with."""
    assert markdown.endswith(f"\n\n{LINK_TO_THE_CATALOG}")
    rendered = render(markdown.removesuffix(LINK_TO_THE_CATALOG))
    assert set(rendered.tokens) <= PAGE_TOKENS | INLINE_TOKENS
    tags = Counter(tag for tag, _ in rendered.headings)
    rules = rendered.tokens.count("hr")
    return tags + Counter(items=rendered.items, rules=rules)


ISSUE_PAGE = """\
# ADHD Summary - Open Referrals by Age

Open referrals at the end of the month, by age band.

**Dataset:** `adhd_summary_open_referrals_age`

**Rows:** 1,304

**Columns:** 4

**File Size:** 0.08 MB

---

## Columns

### `sub_icb_location_code`

**Type:** `varchar(255)`

The ODS code of the sub-ICB location, for example "00L".

*Source column:* `SUB ICB LOCATION CODE`

*Role:* dimension

*Keywords:* `sub icb`, `location`

*Range:* `00L` – `W2U3Z`

*NULLs:* none, NOT NULL in the database

- `age_band` (varchar(20))
- `referrals` (numeric(12,2))
  - *Role:* measure
  - *Range:* `0.00` – `1204.00`
  - *NULLs:* 0.92 % (12 of 1,304)
  - *Note:* 3 values (NaN) written as NULL

### `details`

**Type:** `jsonb`

**Written as:** `JSON`

What the provider sent.

---

*Generated: 2026-01-17 09:30:00*

*Source: duckwarp 0.1.0 with enriched metadata*

*Catalog: [catalog.parquet](catalog.parquet)*
"""


def test_a_page_has_exactly_the_published_form() -> None:
    got = page(
        entry(
            "sub_icb_location_code",
            data_type="varchar(255)",
            description='The ODS code of the sub-ICB location, for example "00L".',
            original_name="SUB ICB LOCATION CODE",
            is_dimension=True,
            keywords=("sub icb", "location"),
            nullable=False,
            nulls=0,
            minimum="00L",
            maximum="W2U3Z",
        ),
        entry("age_band", data_type="varchar(20)", original_name="age_band"),
        entry(
            "referrals",
            data_type="numeric(12,2)",
            is_measure=True,
            nulls=12,
            minimum="0.00",
            maximum="1204.00",
            notes=("3 values (NaN) written as NULL",),
        ),
        entry(
            "details", data_type="jsonb", written_as="JSON", description="What the provider sent."
        ),
        name="ADHD Summary - Open Referrals by Age",
        code="adhd_summary_open_referrals_age",
        description="Open referrals at the end of the month, by age band.",
    )
    assert got == ISSUE_PAGE


@pytest.mark.parametrize(
    ("facts", "want"),
    [
        pytest.param({"rows": 0}, "**Rows:** 0", id="no rows"),
        pytest.param({"rows": 500_000}, "**Rows:** 500,000", id="thousands have commas"),
        pytest.param({"rows": 21_000_000_000}, "**Rows:** 21,000,000,000", id="billions"),
        pytest.param({"size_bytes": 80_123}, "**File Size:** 0.08 MB", id="MB are 10**6 bytes"),
        pytest.param(
            {"size_bytes": 1}, "**File Size:** < 0.01 MB", id="a tiny file is not nothing"
        ),
        pytest.param({"size_bytes": 9_999}, "**File Size:** < 0.01 MB", id="just below 0.01 MB"),
        pytest.param({"size_bytes": 10_000}, "**File Size:** 0.01 MB", id="just 0.01 MB"),
        pytest.param({"size_bytes": 12_345_678_901}, "**File Size:** 12,345.68 MB", id="large"),
    ],
)
def test_figures_of_the_file_are_printed_for_people(facts: dict[str, Any], want: str) -> None:
    assert want in page(**facts).splitlines()


def test_the_number_of_columns_is_that_of_the_entries() -> None:
    markdown = page(*(entry(f"c{number}") for number in range(15)))
    assert "**Columns:** 15" in markdown.splitlines()
    assert render(markdown).items == 15


@pytest.mark.parametrize(
    ("nulls", "rows", "want"),
    [
        pytest.param(0, 1_304, "none", id="no NULL"),
        pytest.param(1_304, 1_304, "all 1,304", id="nothing but NULL"),
        pytest.param(652, 1_304, "50 % (652 of 1,304)", id="half"),
        pytest.param(1, 3, "33.3 % (1 of 3)", id="a third has one decimal"),
        pytest.param(12, 1_304, "0.92 % (12 of 1,304)", id="below 1 % there are two"),
        pytest.param(1, 25_000, "< 0.01 % (1 of 25,000)", id="0.004 % is not 0 %"),
        pytest.param(1, 10_000, "0.01 % (1 of 10,000)", id="just 0.01 %"),
        pytest.param(24_999, 25_000, "> 99.99 % (24,999 of 25,000)", id="99.996 % is not 100 %"),
        pytest.param(9_996, 10_000, "99.96 % (9,996 of 10,000)", id="99.96 % is not 100 % either"),
        pytest.param(1, 10, "10 % (1 of 10)", id="the nought of ten stays"),
    ],
)
def test_the_share_of_nulls_is_never_rounded_to_none_or_all(
    nulls: int, rows: int, want: str
) -> None:
    assert f"  - *NULLs:* {want}" in page(entry(nulls=nulls), rows=rows).splitlines()


@pytest.mark.parametrize(
    ("column", "want"),
    [
        pytest.param(entry(), [], id="nothing is known"),
        pytest.param(entry(nulls=0, nullable=True), ["*NULLs:* none"], id="no NULL by chance"),
        pytest.param(entry(nullable=False), ["*NULLs:* NOT NULL in the database"], id="NOT NULL"),
        pytest.param(
            entry(nullable=False, nulls=326),
            ["*NULLs:* 25 % (326 of 1,304), NOT NULL in the database"],
            id="NOT NULL, and values that could not be kept",
        ),
        pytest.param(entry(is_dimension=True), ["*Role:* dimension"], id="a dimension"),
        pytest.param(entry(is_measure=True), ["*Role:* measure"], id="a measure"),
        pytest.param(
            entry(is_dimension=True, is_measure=True),
            ["*Role:* dimension and measure"],
            id="both at once",
        ),
        pytest.param(entry(original_name="Col"), ["*Source column:* `Col`"], id="another name"),
        pytest.param(entry(original_name="col"), [], id="the same name is not repeated"),
        pytest.param(
            entry(minimum="-5", maximum="7"),
            ["*Range:* `-5` – `7`"],
            id="a range",
        ),
        pytest.param(entry(maximum="7"), ["*Range:* to `7`"], id="only the upper end is known"),
        pytest.param(entry(minimum="7"), ["*Range:* from `7`"], id="only the lower end is known"),
        pytest.param(
            entry(minimum="", maximum="b"),
            ["*Range:* (empty) – `b`"],
            id="the empty text is the smallest",
        ),
        pytest.param(
            entry(minimum="a" * 80, maximum="b" * 81),
            [f"*Range:* `{'a' * 80}` – `{'b' * 80}`…"],
            id="a long value is cut",
        ),
        pytest.param(entry(written_as="JSON"), ["*Written as:* `JSON`"], id="another type"),
        pytest.param(
            entry(notes=("One.", "Two.")), ["*Note:* One.", "*Note:* Two."], id="every note"
        ),
    ],
)
def test_a_column_without_a_description_is_an_item_with_its_facts_below(
    column: ColumnEntry, want: list[str]
) -> None:
    lines = page(column).splitlines()
    start = lines.index("- `col` (text)") + 1
    assert lines[start : lines.index("---", start)] == [*(f"  - {fact}" for fact in want), ""]


def test_columns_keep_their_order_whether_described_or_not() -> None:
    described = {"b", "d", "e"}
    markdown = page(
        *(entry(name, description="Text." if name in described else " \n") for name in "abcdef")
    )
    beginnings = ("- `", "### `")
    got = [line for line in markdown.splitlines() if line.startswith(beginnings)]
    want = ["- `a` (text)", "### `b`", "- `c` (text)", "### `d`", "### `e`", "- `f` (text)"]
    assert got == want


@pytest.mark.parametrize(
    ("column", "registered", "want"),
    [
        pytest.param(entry(description="x"), True, " with enriched metadata", id="a description"),
        pytest.param(entry(keywords=("x",)), True, " with enriched metadata", id="a keyword"),
        pytest.param(entry(is_measure=True), True, " with enriched metadata", id="a role"),
        pytest.param(entry(nulls=1), True, "", id="no metadata of any column"),
        pytest.param(entry(description="x"), False, "", id="a comment, without a registry"),
    ],
)
def test_the_page_says_whether_the_registry_enriched_it(
    column: ColumnEntry, registered: bool, want: str
) -> None:
    assert page(column, registered=registered).endswith(
        f"\n*Source: duckwarp 0.1.0{want}*\n\n{LINK_TO_THE_CATALOG}"
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Patients (all ages), 18-64 & 65+; R&D, 50% of 1.5", id="punctuation"),
        pytest.param("values <5 are shown as 5 < x > 0", id="small numbers suppressed"),
        pytest.param("see sub_icb_location_code #1 at https://example.org/a_b?c=d", id="names"),
        pytest.param("Größe in µm – 年齢 😀", id="other scripts"),
    ],
)
def test_ordinary_text_stays_as_it_was_written(text: str) -> None:
    assert text in page(entry(description=text)).splitlines()


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("https://a.org/b_c?d=1&e=2", "https://a.org/b_c?d=1&e=2", id="plain"),
        pytest.param("https://a.org/*b*", r"https\://a.org/\*b\*", id="escaped inside"),
        pytest.param("WWW.a.org/~b", r"WWW\.a.org/\~b", id="escaped inside, without a scheme"),
        pytest.param("<http://a.org>", r"&lt;http\://a.org>", id="in angle brackets"),
        pytest.param("[a](http://b.org)", r"\[a](http\://b.org)", id="behind another text"),
    ],
)
def test_an_address_is_left_as_it_is_or_is_no_link(text: str, want: str) -> None:
    assert want in page(entry(description=text)).splitlines()


HOSTILE = [
    pytest.param("<script>alert(1)</script>", id="a script"),
    pytest.param("<!-- a comment", id="an HTML comment that never ends"),
    pytest.param("<div>\n\n</div>", id="a block of HTML"),
    pytest.param("<http://example.org>", id="an autolink"),
    pytest.param("&lt;b&gt; &#60;i&#x3e; &amp;amp;", id="entities"),
    pytest.param("a | b\n--- | ---\n1 | 2", id="a table"),
    pytest.param("| a |\n|---|\n| 1 |", id="a table with outer pipes"),
    pytest.param("`code` and ``more` code``", id="backticks"),
    pytest.param("```\nfenced\n```", id="a fence"),
    pytest.param("```sql", id="a fence that never ends"),
    pytest.param("~~~\nfenced", id="a fence of tildes"),
    pytest.param("\\| and \\ and \\\\ and \\", id="backslashes"),
    pytest.param("one\\\ntwo  \nthree", id="hard line breaks"),
    pytest.param("    indented\n\n\tas code", id="indented code"),
    pytest.param("# heading\n## heading ##\n#\n#hash", id="headings"),
    pytest.param("# Name #", id="a heading that is closed"),
    pytest.param("heading\n===\n\nheading\n---\n\nheading\n-", id="underlined headings"),
    pytest.param("- list\n+ list\n* list\n1. list\n2) list\n-", id="lists"),
    pytest.param("- [ ] task\n- [x] done", id="tasks"),
    pytest.param("> quoted\n>> twice", id="quotations"),
    pytest.param("***\n- - -\n___\n* * *", id="rules"),
    pytest.param("[x](y) ![x](y) [x][y] [x]", id="links and images"),
    pytest.param("[x]: http://example.org\n\n[x] [^1]\n\n[^1]: note", id="link definitions"),
    pytest.param("*a* **b** _c_ __d__ ~~e~~ ~f~ a*b*c _a_b_", id="emphasis"),
    pytest.param("**Rows:** 7\n\n### `fake`\n\n*Generated: never*", id="a page within the page"),
    pytest.param("---\ntitle: x\n---", id="front matter"),
    pytest.param("https://a.org/_b_/*c*?d=~e&copy;=1 www.a.org/b__c", id="bare addresses"),
    pytest.param("😀 👩‍⚕️ 🏳️‍🌈", id="emoji"),
]


def told(text: str) -> list[str]:
    """The lines of `text` that are not blank, without what surrounds them."""
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_descriptions_are_read_back_as_text(text: str) -> None:
    markdown = page(entry(description=text), entry("next"), description=text)
    want = Counter({"h1": 1, "h2": 1, "h3": 1, "items": 1, "rules": 2})
    assert structure(markdown) == want
    got = [line for shown in render(markdown).texts for line in shown.split("\n")]
    head, foot = got.index("Dataset: sample"), got.index("Type: text") + 1
    assert got[1:head] == told(text)
    assert got[foot : foot + len(told(text))] == told(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_read_back_as_text(text: str) -> None:
    line = text.replace("\n", " ").replace("\t", " ")
    markdown = page(
        entry(line, description="x", original_name=f"{line}?", minimum=line, keywords=(line,)),
        entry(line, data_type=line, notes=(line,), maximum=line),
        name=line,
        code=line,
    )
    want = Counter({"h1": 1, "h2": 1, "h3": 1, "items": 1, "rules": 2})
    assert structure(markdown) == want
    rendered = render(markdown)
    assert rendered.headings_of("h1") == [line.strip()]
    assert rendered.headings_of("h3") == [line]
    for shown in (
        f"Dataset: {line}",
        f"Source column: {line}?",
        f"Keywords: {line}",
        f"Range: from {line}",
        f"{line} ({line.strip()})",
        f"Range: to {line}",
        f"Note: {line.strip()}",
    ):
        assert shown in rendered.texts


@pytest.mark.parametrize(
    ("name", "want"),
    [
        pytest.param("`", "`` ` ``", id="a backtick alone"),
        pytest.param("a`b", "``a`b``", id="a backtick inside"),
        pytest.param("a``b`", "``` a``b` ```", id="runs of backticks"),
        pytest.param(" a ", "`  a  `", id="blanks on both sides"),
        pytest.param("a ", "`a `", id="a trailing blank"),
        pytest.param(" ", "` `", id="a blank alone"),
        pytest.param("a\\", "`a\\`", id="a backslash escapes nothing"),
        pytest.param("pipe|<i>&lt;", "`pipe|<i>&lt;`", id="nothing else is escaped"),
        pytest.param("a\nb\r\tc", "`a\\nb\\r\\tc`", id="line breaks are spelled out"),
        pytest.param("\u202eb\u2028\x00\ufeff", "`\\u202eb\\u2028\\u0000\\ufeff`", id="no shape"),
    ],
)
def test_column_names_are_code_whatever_they_hold(name: str, want: str) -> None:
    lines = page(entry(name, description="x"), entry(name)).splitlines()
    assert f"### {want}" in lines
    assert f"- {want} (text)" in lines


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("\u202eright-to-left", "\\u202eright-to-left", id="an override"),
        pytest.param("a\u2066b\u2069\u200f", "a\\u2066b\\u2069\\u200f", id="isolates and marks"),
        pytest.param("a\x00b\x1b[31m\x7f", "a\\u0000b\\u001b[31m\\u007f", id="control characters"),
        pytest.param("a\U000e0041b", "a\\U000e0041b", id="invisible tags"),
        pytest.param("a\ud800b", "a\\ud800b", id="half a surrogate pair"),
        pytest.param("שלום, جملة", "שלום, جملة", id="letters that run to the left are left alone"),
        pytest.param("می\u200cخواهم", "می\u200cخواهم", id="joiners that spelling needs"),
        pytest.param("a\r\nb\rc\x0bd\u2028e\x85f", "a\nb\nc\nd\ne\nf", id="every line break"),
        pytest.param("a\tb", "a b", id="a tab is a blank"),
    ],
)
def test_characters_without_a_shape_are_spelled_out(text: str, want: str) -> None:
    assert want in render(page(entry(description=text))).texts


def test_paragraphs_and_lines_of_a_description_are_kept() -> None:
    markdown = page(description="First\r\n  and second line.\r\n \r\n\r\nNext paragraph.\r\n")
    assert render(markdown).texts[1:3] == ("First\nand second line.", "Next paragraph.")


def test_comments_that_broke_other_dictionaries_do_not_break_this_one() -> None:
    lines = "First line | with pipe\n\nSecond paragraph\r\n- list\n# heading\n```"
    script = r"use `code` and <script>alert(1)</script> and \| and [x](y)"
    markdown = page(
        entry("id", data_type="integer", nullable=False, nulls=0, minimum="1", maximum="1"),
        entry("pipe|col", description="multi\nline | pipe"),
        entry("tick`col", description=script),
        entry("e", data_type="staging.typ", description="  leading and trailing backslash \\"),
        entry("n", data_type="numeric(10,2)", description="\u202eright-to-left \U0001f600"),
        entry("<i>", minimum="<u>", maximum="<u>"),
        description=lines,
        registered=False,
    )
    want = Counter({"h1": 1, "h2": 1, "h3": 4, "items": 2, "rules": 2})
    assert structure(markdown) == want
    rendered = render(markdown)
    assert rendered.headings_of("h3") == ["pipe|col", "tick`col", "e", "n"]
    assert rendered.texts[1:3] == (
        "First line | with pipe",
        "Second paragraph\n- list\n# heading\n```",
    )
    for text in (
        "multi\nline | pipe",
        script,
        "leading and trailing backslash \\",
        "\\u202eright-to-left \U0001f600",
        "id (integer)",
        "<i> (text)",
        "Range: <u> – <u>",
    ):
        assert text in rendered.texts


# Mostly what Markdown acts upon, at the length where the characters meet each other.
marks = st.text(
    alphabet="ab1 \n\t\\`*_~|<>&;:#=+-.)![](){}/'\"?\r\u2028\u202e\x00\xa0", max_size=24
)
texts = marks | st.text(max_size=40)
names = texts.filter(bool)
optional = st.none() | texts


@st.composite
def entries(draw: st.DrawFn) -> ColumnEntry:
    return entry(
        draw(names),
        data_type=draw(names),
        description=draw(optional),
        original_name=draw(optional),
        keywords=tuple(draw(st.lists(names, max_size=2))),
        minimum=draw(optional),
        maximum=draw(optional),
        written_as=draw(optional),
        notes=tuple(draw(st.lists(texts, max_size=2))),
    )


@given(columns=st.lists(entries(), min_size=1, max_size=4), name=names, description=optional)
@example(columns=[entry("a", description="x\n-")], name="#", description="\\\n=")
def test_no_text_breaks_the_structure(
    columns: list[ColumnEntry], name: str, description: str | None
) -> None:
    markdown = page(*columns, name=name, code=name, description=description)
    described = sum(1 for each in columns if (each.column.description or "").strip())
    want = Counter(h1=1, h2=1, h3=described, items=len(columns) - described, rules=2)
    assert structure(markdown) == +want
    assert render(markdown).headings_of("h2") == ["Columns"]
    assert not {c for c in markdown if unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "RLI")}
    assert markdown.encode("utf-8").decode() == markdown


@given(texts)
def test_no_description_loses_a_word(text: str) -> None:
    lines = [line for shown in render(page(description=text)).texts for line in shown.split("\n")]
    want = [_spelled(line.strip()).replace("\t", " ") for line in text.splitlines() if line.strip()]
    assert lines[1 : lines.index("Dataset: sample", 1 + len(want))] == want


def _spelled(line: str) -> str:
    invisible = {
        c for c in line if unicodedata.category(c) in ("Cc", "Cf") and c not in "\t\u200c\u200d"
    }
    for character in invisible:
        escape = character.encode("unicode_escape").decode().replace("\\x", "\\u00")
        line = line.replace(character, escape)
    return line


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("# a\n\n<b>x</b>\n", id="HTML inline"),
        pytest.param("# a\n\n<div>\n", id="HTML block"),
        pytest.param("# a\n\n[x](y)\n", id="a link"),
        pytest.param("a | b\n--|--\n1 | 2\n", id="a table"),
        pytest.param("~~a~~\n", id="struck through"),
        pytest.param("    code\n", id="a code block"),
        pytest.param("```\n", id="a fence"),
        pytest.param("1. a\n", id="a numbered list"),
        pytest.param("> a\n", id="a quotation"),
    ],
)
def test_the_check_of_structure_can_fail(broken: str) -> None:
    with pytest.raises(AssertionError):
        structure(broken)


def test_what_a_reader_should_know_of_the_whole_file_stands_above_the_columns() -> None:
    text = page(notes=('row-level security: only the rows that role "a_b" may see',))
    assert text.index("row-level security") < text.index("## Columns")
    assert '*Note:* row-level security: only the rows that role "a_b" may see' in text
