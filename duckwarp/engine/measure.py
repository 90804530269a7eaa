"""What has to be counted on the server before a column's form is known, as SQL.

One query for a whole relation, in the run's snapshot: exact aggregates, never statistics, so that
the same data always give the same schema. Most relations need none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from duckwarp.engine import geo, numbers
from duckwarp.engine.types import Facts, Special, rule_for
from duckwarp.files.quoting import identifier
from duckwarp.model.column import Column
from duckwarp.model.pg_type import PgType, ServerTraits
from duckwarp.model.source import Source

RELATION_ALIAS = "r"
ELEMENT_ALIAS = "e"
SEVERAL_DIMENSIONS = "several dimensions"
LOWER_BOUNDS = "lower bounds"
LOWER_BOUNDS_LOST = "lower bounds other than 1"  # as a loss is called

HAS_SEVERAL_DIMENSIONS = "pg_catalog.array_ndims({c}) > 1"
# A bound other than 1 in any dimension, as in [0:2] or [1:2][5:6]. The text of the bounds has the
# collation of the array, under which there may be no regular expressions.
HAS_LOWER_BOUNDS = r"""pg_catalog.array_dims({c}) COLLATE "C" ~ '\[(?!1:)'"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One aggregate over one column; `name` is its key in `Facts`.

    `counts` says that it counts values of a kind that no type of the file holds as they are.
    """

    name: str
    expression: str
    counts: bool = False


def reference(column: Column, resolved: PgType) -> str:
    """The column in PostgreSQL, freed of domains where its type is a built-in one."""
    plain = f"{RELATION_ALIAS}.{identifier(column.name)}"
    if column.pg_type.kind != "domain" and not _array_of_domain(resolved):
        return plain
    return f"{plain}{_cast(resolved)}"


def _array_of_domain(pg_type: PgType) -> bool:
    return pg_type.element is not None and pg_type.element.kind == "domain"


def _cast(pg_type: PgType) -> str:
    element, _ = pg_type.element.resolved(-1) if pg_type.element is not None else (pg_type, -1)
    if pg_type.kind == "array" and element.kind != "array":
        return f"::{identifier(element.schema)}.{identifier(element.name)}[]"
    return f"::{identifier(pg_type.schema)}.{identifier(pg_type.name)}"


def specials_of(pg_type: PgType, typmod: int, traits: ServerTraits) -> tuple[Special, ...]:
    """The kinds of value of a plain type that its Parquet type cannot hold."""
    if is_numeric(pg_type):
        return numbers.specials(pg_type, typmod, traits.version)
    return rule_for(pg_type).specials


def is_numeric(pg_type: PgType) -> bool:
    """Whether `numbers` decides about the type."""
    return pg_type.builtin and pg_type.name in ("numeric", "money")


def measures_of(column: Column, traits: ServerTraits, *, everything: bool) -> list[Measure]:
    """What to count for one column.

    With `everything`, special values are counted also where a guard would notice them during the
    copy: for the second attempt at a relation in which a guard did.
    """
    resolved, typmod = column.pg_type.resolved(column.typmod)
    source = reference(column, resolved)
    if resolved.kind == "array":
        return _array_measures(resolved, typmod, source, traits)
    specials = specials_of(resolved, typmod, traits)
    measures = []
    if is_numeric(resolved) and numbers.declared(resolved, typmod, traits.money_scale) is None:
        measures += _digits(source, specials, traits)
        everything = True
    if everything:
        measures += [_count(special, source) for special in specials]
    return measures + _named(geo.srid_measures(resolved, typmod, source))


def _named(expressions: Mapping[str, str]) -> list[Measure]:
    return [Measure(name=name, expression=text) for name, text in expressions.items()]


def _count(special: Special, source: str) -> Measure:
    return _where(special.kind, special.predicate, source)


def _where(name: str, predicate: str, source: str) -> Measure:
    """How many values a predicate over `{c}` holds for."""
    found = predicate.replace("{c}", source)
    expression = f"pg_catalog.count(*) FILTER (WHERE {found})"
    return Measure(name=name, expression=expression, counts=True)


def _digits(source: str, specials: Sequence[Special], traits: ServerTraits) -> list[Measure]:
    finite = " OR ".join(special.predicate.replace("{c}", source) for special in specials)
    scale = numbers.scale_measure(traits.version).replace("{c}", source)
    expressions = {"min_scale": f"pg_catalog.max({scale})", "minimum": f"pg_catalog.min({source})"}
    expressions |= {"maximum": f"pg_catalog.max({source})"}
    return [
        Measure(name=name, expression=f"{aggregate} FILTER (WHERE NOT ({finite}))")
        for name, aggregate in expressions.items()
    ]


def _array_measures(array: PgType, typmod: int, source: str, traits: ServerTraits) -> list[Measure]:
    """Dimensions, lower bounds, and the elements' own measures, through unnest."""
    assert array.element is not None
    element, element_typmod = array.element.resolved(typmod)
    measures = [
        _where(SEVERAL_DIMENSIONS, HAS_SEVERAL_DIMENSIONS, source),
        _where(LOWER_BOUNDS, HAS_LOWER_BOUNDS, source),
    ]
    specials = specials_of(element, element_typmod, traits)
    inner = [_count(special, ELEMENT_ALIAS) for special in specials]
    if is_numeric(element) and (
        numbers.declared(element, element_typmod, traits.money_scale) is None
    ):
        inner += _digits(ELEMENT_ALIAS, specials, traits)
    inner += _named(geo.srid_measures(element, element_typmod, ELEMENT_ALIAS))
    return measures + [_over_elements(each, source) for each in inner]


# How the measures of single arrays are put together; counts are summed.
_OUTER = {
    "min_scale": "max",
    "minimum": "min",
    "maximum": "max",
    geo.FIRST_SRID: "min",
    geo.LAST_SRID: "max",
}


def _over_elements(measure: Measure, source: str) -> Measure:
    return Measure(
        name=measure.name,
        expression=f"pg_catalog.{_OUTER.get(measure.name, 'sum')}((SELECT {measure.expression} "
        f"FROM pg_catalog.unnest({source}) AS u({ELEMENT_ALIAS})))",
        counts=measure.counts,
    )


def closer_measures(column: Column, facts: Facts) -> list[Measure]:
    """What to ask in a second query because of what the first one gave: mostly nothing."""
    resolved, typmod = column.pg_type.resolved(column.typmod)
    source = reference(column, resolved)
    if resolved.element is None:
        others = geo.other_srids_measure(resolved, source, facts)
        return _named({geo.OTHER_SRIDS: others} if others else {})
    element, _ = resolved.element.resolved(typmod)
    others = geo.other_srids_measure(element, ELEMENT_ALIAS, facts)
    inner = _named({geo.OTHER_SRIDS: others} if others else {})
    return [_over_elements(each, source) for each in inner]


def measuring_query(measures: Sequence[Measure], rows: str) -> str:
    """The query that gives all measures of `rows` as one text[], in order.

    `rows` stands behind FROM. An array, since a select list ends at 1,664 entries.
    """
    values = ", ".join(f"({measure.expression})::pg_catalog.text" for measure in measures)
    return f"SELECT ARRAY[{values}]::pg_catalog.text[] FROM {rows}"


def all_rows(source: Source) -> str:
    """What stands behind FROM for every row of a source."""
    return f"{identifier(source.schema)}.{identifier(source.table)} AS {RELATION_ALIAS}"


def facts_from(measures: Sequence[Measure], values: Sequence[str | None]) -> Facts:
    """The values of `measuring_query` under the names of their measures."""
    return {measure.name: value for measure, value in zip(measures, values, strict=True)}
