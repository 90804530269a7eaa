"""Tables of shapes that nobody tuned for, each with what the others lack, as a warehouse has them.

Every value is computed from the row's number `g` or a hash of it: the same data on every server.
They describe no person, no provider and no real place. No two rows of a table are equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

LARGEST = 2**63 - 1

AGES = ("0 to 4", "5 to 10", "11 to 17", "18 to 24", "25 to 34", "35 to 49", "50 to 64", "65+")
BANDS = ("Up to 13 weeks", "13 to 26 weeks", "26 to 52 weeks", "52 to 104 weeks", "Over 104 weeks")
KINDS = ("acute", "ambulance", "community", "mental health", "primary care", "social care")
PRIORITIES = ("routine", "urgent", "two week wait", "emergency")
SEXES = ("Female", "Male", "Not known", "Not specified")
STATES = ("open", "waiting", "assessed", "treated", "discharged", "withdrawn")
SUBJECTS = ("clinic", "contact", "data", "letter", "outcome", "pathway", "referral", "review")
FATES = ("delayed", "duplicate", "late", "merged", "missing", "revised", "submitted", "withdrawn")
WORDS = (*SUBJECTS, *FATES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A table: its title, its rows at full size, and the SQL of each column.

    `enums` are the types that it needs, with their labels.
    """

    title: str
    rows: int
    columns: Mapping[str, str]
    enums: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def statement(self) -> str:
        """The template of the SQL that makes the table and its types."""
        types = [
            f"DROP TYPE IF EXISTS {{schema}}.{name}; CREATE TYPE {{schema}}.{name} AS ENUM "
            f"({_listed(labels)}); "
            for name, labels in self.enums.items()
        ]
        columns = ", ".join(f"{expression} AS {name}" for name, expression in self.columns.items())
        table = f"CREATE TABLE {{schema}}.{{table}} AS SELECT {columns} "
        return "".join(types) + table + "FROM generate_series(1, {rows}) g"


# In PostgreSQL's SQL. `seed` is another for each column that is to be independent of others.


def _noise(seed: int, below: int) -> str:
    """A whole number (bigint) from 0 to `below` - 1."""
    return f"((hashint4extended(g, {seed}) & {LARGEST}) % {below})"


def _count(seed: int, below: int) -> str:
    """A count (bigint): most are small."""
    return f"({_noise(seed, below)} * {_noise(seed + 1000, below)} / {below})"


def _code(prefix: str, digits: int, number: str) -> str:
    return f"('{prefix}' || lpad(({number})::text, {digits}, '0'))"


def _name(number: str) -> str:
    return f"('NHS Sampleshire ' || {number} || ' Integrated Care Board')"


def _one_of(labels: Sequence[str], number: str) -> str:
    return f"(ARRAY[{_listed(labels)}])[1 + {number} % {len(labels)}]"


def _words(seed: int, number: int) -> str:
    """A remark of so many words."""
    chosen = (_one_of(WORDS, _noise(seed + 100 * each, len(WORDS))) for each in range(number))
    return " || ' ' || ".join(chosen)


def _sometimes(value: str, seed: int, percent: int) -> str:
    """The value in so many of a hundred rows, else NULL; a cast has to stand around it."""
    return f"(CASE WHEN {_noise(seed, 100)} < {percent} THEN {value} END)"


def _day(seed: int, days: int = 2000) -> str:
    return f"(date '2020-04-01' + {_noise(seed, days)}::integer)"


def _moment(seed: int, kind: str = "timestamp") -> str:
    """A moment to the microsecond, within three years."""
    return f"({kind} '2023-01-01 00:00:00Z' + {_noise(seed, 10**14)} * interval '1 microsecond')"


def _digest(salt: str) -> str:
    """A hash of 32 hexadecimal digits, another for each row."""
    return f"md5('{salt}' || g)"


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(f"'{label}'" for label in labels)


_LOADED = {
    "_load_id": "4711::bigint",
    "_loaded_at": "timestamptz '2026-01-15 09:30:00Z' + g / 10000 * interval '1 second'",
    "_period": _code("2025-", 2, "1 + g % 12"),
}

_INTEGERS = {
    "organisation_id": f"{_noise(1, 9000)}::integer",
    "period": f"(202001 + {_noise(2, 60)})::integer",
    "pathway_id": "g * 2654435761 % 4294967291",
    "referrals": f"{_count(3, 4000)}::integer",
    "contacts": f"{_count(4, 900)}::smallint",
    "waiting_days": _sometimes(f"{_count(5, 1500)}::integer", 6, 85),
    "age": f"{_noise(7, 105)}::smallint",
    "beds": f"{_noise(8, 1200)}::integer",
    "cost_pence": f"{_count(9, 50_000_000)}",
    "_manifest_file_id": "(308 + g / 100000)::integer",
}

_NAMES = {
    "pathway_reference": f"upper(left({_digest('pathway')}, 20))",
    "provider_code": _code("PRV", 3, _noise(1, 140)),
    "provider_name": _name(_noise(1, 140)),
    "specialty": _one_of(KINDS, _noise(2, 6)),
    "referral_date": _day(3),
    "weeks_waiting": f"{_count(4, 200)}::smallint",
    "is_open": f"{_noise(5, 3)} = 0",
    "remark": _sometimes(_words(6, 4), 7, 40),
    **_LOADED,
}

_PREFIXES = {
    "provider_url": "'https://data.sampleshire.example/organisations/integrated-care-boards/' || "
    + _code("providers/SYN", 5, _noise(1, 20_000)),
    "measure": "'urn:sampleshire:measure:waiting-times:referral-to-treatment:' || "
    + _code("incomplete:", 4, _noise(2, 3000)),
    "location_name": "'NHS Sampleshire Integrated Care Board - Sub-location number ' || "
    + _noise(3, 50_000),
    "record_url": "'https://data.sampleshire.example/records/pathways/2025/' || "
    + _digest("record"),
    "week_ending": _day(4, 300),
    "referrals": f"{_count(5, 900)}::integer",
    "mean_wait_weeks": f"({_noise(6, 9000)} / 100.0)::numeric(12,2)",
    "_load_id": "4711::bigint",
}

_MIXED = {
    "reporting_date": f"date '2023-04-01' + 7 * {_noise(1, 150)}::integer",
    "icb_code": _code("QZ", 2, _noise(2, 42)),
    "icb_name": _name(_noise(2, 42)),
    "sub_icb_location_code": _code("SYN", 3, _noise(3, 163)),
    "sub_icb_location_name": f"'NHS Sampleshire ICB - ' || {_code('SYN', 3, _noise(3, 163))}",
    "provider_code": _code("PRV", 4, _noise(4, 3000)),
    "provider_name": f"'Sampleshire Partnership NHS Foundation Trust ' || {_noise(4, 3000)}",
    "specialty": _one_of(KINDS, _noise(5, 6)),
    "age_group": _one_of(AGES, _noise(6, 8)),
    "sex": _one_of(SEXES, _noise(7, 4)),
    "wait_band": _one_of(BANDS, _noise(8, 5)),
    "priority": _one_of(PRIORITIES, _noise(9, 4)),
    "state": _one_of(STATES, _noise(10, 6)),
    "submission_reference": _digest("submission"),
    "submission_file": "'returns/2025/' || " + _code("submission_", 7, "g") + " || '.csv'",
    "submitted_by": _code("user", 4, _noise(11, 800)) + " || '@nhs.example'",
    **{f"{name}_date": _day(20 + n) for n, name in enumerate(("referral", "assessment"))},
    **{
        f"{name}_date": _sometimes(_day(24 + n), 28 + n, 60)
        for n, name in enumerate(("first_contact", "treatment", "discharge", "review"))
    },
    **{
        f"referrals_{name.replace(' ', '_')}": f"{_count(40 + n, 3000)}::integer"
        for n, name in enumerate(STATES)
    },
    **{
        f"contacts_{name.replace(' ', '_')}": _sometimes(f"{_count(50 + n, 500)}::integer", 60, 80)
        for n, name in enumerate(KINDS)
    },
    **{
        f"mean_wait_{name}": f"({_noise(70 + n, 90_000)} / 100.0)::numeric(12,2)"
        for n, name in enumerate(("weeks", "days", "weeks_adult", "weeks_child"))
    },
    **{
        f"rate_{name}": f"({_noise(80 + n, 100_000)} / 1000.0)::float8"
        for n, name in enumerate(("per_100k", "per_list", "did_not_attend", "discharged"))
    },
    **{
        f"cost_{name}": _sometimes(f"{_count(90 + n, 10**7)} / 100.0", 95, 70) + "::numeric(14,2)"
        for n, name in enumerate(("total", "staff", "medication"))
    },
    **{
        f"is_{name}": f"{_noise(100 + n, 10)} = 0"
        for n, name in enumerate(("suppressed", "estimate", "provisional", "revised"))
    },
    **{
        name: _sometimes(_words(110 + n, 8), 120 + n, 50)
        for n, name in enumerate(("remark", "data_quality_note", "method_note", "revision_note"))
    },
    "opened_at": _moment(130, "timestamptz"),
    "closed_at": _sometimes(_moment(131, "timestamptz"), 132, 55),
    "list_size": f"(1000 + {_noise(133, 60_000)})::integer",
    **_LOADED,
    "_manifest_file_id": "308",
}

_NUMERICS = {
    "practice_code": _code("Y", 5, _noise(1, 6500)),
    "month": f"(date '2020-01-01' + 30 * {_noise(2, 60)}::integer)",
    # Declared: some come near 0, and some never do.
    "items": f"{_count(3, 20_000)}::numeric(10,0)",
    "net_cost": f"({_count(4, 10**7)} / 100.0)::numeric(12,2)",
    "actual_cost": f"(10 + {_noise(5, 90_000)} / 100.0)::numeric(12,2)",
    "list_price": f"(100 + {_noise(6, 500_000)} / 10000.0)::numeric(18,4)",
    "share": f"({_noise(7, 10_001)} / 10000.0)::numeric(5,4)",
    "unit_price": f"(1 + {_noise(8, 10**7)} / 1000000.0)::numeric(15,6)",
    "weight": f"({_noise(9, 10**9)} / 1000000000.0)::numeric(38,10)",
    "adjustment": _sometimes(f"{_noise(10, 20_000)} / 100.0 - 100", 11, 70) + "::numeric(9,2)",
    # Undeclared: money, counts, and quotients of as many digits as PostgreSQL gives.
    "budget": f"{_noise(12, 10**8)} / 100.0",
    "patients": f"(1000 + {_noise(13, 9000)})::numeric",
    "rate_per_1000": f"{_count(14, 9000)} * 1000.0 / (1000 + {_noise(13, 9000)})",
    "growth": _sometimes(f"({_noise(15, 2001)} - 1000) / 1000.0", 16, 90),
    "row_number": "g::numeric",
}

_NESTED = {
    "provider_code": _code("PRV", 3, _noise(1, 400)),
    "record_id": "g",
    "payload": "jsonb_build_object('resourceType', 'ServiceRequest', 'id', "
    f"{_digest('request')}, 'status', {_one_of(STATES, _noise(2, 6))}, 'priority', "
    f"{_one_of(PRIORITIES, _noise(3, 4))}, 'wait', jsonb_build_object('weeks', {_noise(4, 200)}, "
    f"'band', {_one_of(BANDS, _noise(4, 5))}), 'codes', jsonb_build_array({_noise(5, 90_000)}, "
    f"{_noise(6, 90_000)}))",
    "submitted": f"json_build_object('file', {_code('return_', 6, _noise(7, 5000))}, 'line', g, "
    f"'warnings', json_build_array({_one_of(WORDS, _noise(8, 16))}))",
    "diagnoses": f"ARRAY[{_code('F', 2, _noise(9, 99))}, {_code('G', 2, _noise(10, 99))}, "
    f"{_code('R', 2, _noise(11, 99))}]",
    "monthly_counts": f"ARRAY[{', '.join(f'{_count(20 + n, 500)}::integer' for n in range(12))}]",
    "tags": _sometimes(f"ARRAY[{_one_of(KINDS, _noise(40, 6))}, NULL, ''::text]", 41, 60),
    "visit_dates": f"ARRAY[{_day(42)}, {_day(43)}]",
    "scores": f"ARRAY[{_noise(44, 1000)} / 10.0::float8, {_noise(45, 1000)} / 10.0::float8]",
}

_MOMENTS = {
    "event_id": f"{_digest('event')}::uuid",
    "patient_key": f"md5('patient' || {_noise(1, 300_000)})::uuid",
    "event_at": _moment(2, "timestamptz"),
    "recorded_at": _moment(3, "timestamptz"),
    "local_time": _moment(4),
    "day": _day(5),
    "slot": f"(time '08:00' + {_noise(6, 36_000)} * interval '1 second')::time",
    "updated_at": _sometimes(_moment(7), 8, 50),
    "row_hash": f"decode({_digest('row')}, 'hex')",
    "signature": f"decode({_digest('a')} || {_digest('b')}, 'hex')",
    "state": _one_of(STATES, _noise(9, 6)),
}

# Ten columns of each of four types, each with a value in one to ten of a hundred rows.
_SPARSE = {
    "record_id": "g",
    "period": _code("2025-", 2, f"1 + {_noise(1, 12)}"),
    **{
        f"{name}_{n}": _sometimes(value, 100 + 10 * kind + n, n) + f"::{type_name}"
        for kind, (name, value, type_name) in enumerate(
            (
                ("count", _count(2, 900), "integer"),
                ("rate", f"{_noise(3, 90_000)} / 100.0", "numeric(10,2)"),
                ("note", _words(4, 3), "text"),
                ("date", _day(5), "date"),
            )
        )
        for n in range(1, 11)
    },
}

_SORTED = {
    "week_ending": "date '2020-01-05' + 7 * (g / 20000)",
    "provider_code": _code("PRV", 3, "g / 100 % 200"),
    "age_group": "lpad((g / 10 % 10)::text, 2, '0') || ' decade'",
    "line": "g % 10",
    "referrals": f"{_count(1, 2000)}::integer",
    "mean_wait_weeks": f"({_noise(2, 9000)} / 100.0)::numeric(12,2)",
    "rate": f"({_noise(3, 100_000)} / 1000.0)::float8",
    "is_estimate": f"{_noise(4, 10)} = 0",
    "record_id": "g",
    **_LOADED,
}

_CODES = {
    "icb_code": _code("QZ", 2, _noise(1, 42)) + "::char(5)",
    "practice_code": _code("Y", 5, _noise(2, 6500)) + "::char(6)",
    "age_group": f"{_one_of(AGES, _noise(3, 8))}::{{schema}}.age_group",
    "sex": f"{_one_of(SEXES, _noise(4, 4))}::{{schema}}.sex",
    "wait_band": f"{_one_of(BANDS, _noise(5, 5))}::{{schema}}.wait_band",
    "state": _sometimes(f"{_one_of(STATES, _noise(6, 6))}::{{schema}}.state", 7, 95),
    "snomed_code": _code("", 9, _noise(8, 40_000)) + "::varchar(18)",
    "icd10_code": _code("F", 3, _noise(9, 900)) + "::char(4)",
    "priority": f"{_one_of(PRIORITIES, _noise(10, 4))}::varchar(20)",
    "country": _one_of(("ENG", "NIR", "SCT", "WLS"), _noise(11, 4)) + "::char(3)",
    "flag": _one_of(("Y", "N"), _noise(12, 2)) + "::char(1)",
    "record_id": "g",
}

SHAPES = {
    "integers": Shape(title="integers", rows=6_000_000, columns=_INTEGERS),
    "names": Shape(title="unique text first", rows=2_500_000, columns=_NAMES),
    "prefixes": Shape(title="long common prefixes", rows=1_500_000, columns=_PREFIXES),
    "mixed": Shape(title="mixed columns", rows=250_000, columns=_MIXED),
    "numerics": Shape(title="numerics, declared and not", rows=2_000_000, columns=_NUMERICS),
    "nested": Shape(title="JSON and arrays", rows=800_000, columns=_NESTED),
    "moments": Shape(title="moments, UUIDs, bytea", rows=2_000_000, columns=_MOMENTS),
    "sparse": Shape(title="mostly NULL", rows=2_000_000, columns=_SPARSE),
    "sorted": Shape(title="already sorted", rows=4_000_000, columns=_SORTED),
    "codes": Shape(
        title="codes, enums, char(n)",
        rows=4_000_000,
        columns=_CODES,
        enums={"age_group": AGES, "sex": SEXES, "wait_band": BANDS, "state": STATES},
    ),
}
