"""PostgreSQL's text of the values in a file, made by DuckDB: expressions over `{d}` and macros.

Independent of what the export asks DuckDB and PostgreSQL for: what the file has is brought to the
text that PostgreSQL's output functions give under a run's settings.
"""

from __future__ import annotations

from duckwarp.model.parquet_type import Kind, ParquetType

# Values are written out by DuckDB as PostgreSQL does, but for: years before 1 ("(BC)" in the
# middle), floats (".0" at the end, and digits where PostgreSQL has an exponent already), decimals
# below 1 without a leading zero, and whatever is not text at all.
MACROS = (
    # The words of a date or moment, with `zone` after the time.
    """CREATE OR REPLACE TEMP MACRO moment_text(t, zone) AS
        CASE WHEN contains(t, ' (BC)') THEN replace(t, ' (BC)', '') || zone || ' BC'
             ELSE t || zone END""",
    # Digits of a number that is written without an exponent, as 1.2345e+15.
    """CREATE OR REPLACE TEMP MACRO with_exponent(t, digits) AS
        left(digits, 1) || CASE WHEN strlen(digits) > 1 THEN '.' || substr(digits, 2) ELSE '' END
        || 'e+' || lpad((strpos(t, '.') - 2)::VARCHAR, 2, '0')""",
    """CREATE OR REPLACE TEMP MACRO positive_float_text(t, most_digits) AS
        CASE WHEN contains(t, 'e') THEN t
             WHEN strpos(t, '.') > most_digits + 1
             THEN with_exponent(t, rtrim(replace(t, '.', ''), '0'))
             ELSE CASE WHEN suffix(t, '.0') THEN left(t, strlen(t) - 2) ELSE t END END""",
    """CREATE OR REPLACE TEMP MACRO float_text(d, most_digits) AS
        CASE WHEN isnan(d) THEN 'NaN'
             WHEN isinf(d) THEN CASE WHEN d > 0 THEN 'Infinity' ELSE '-Infinity' END
             ELSE CASE WHEN signbit(d) THEN '-' ELSE '' END
                  || positive_float_text(abs(d)::VARCHAR, most_digits) END""",
    # A decimal without zeros that it does not need.
    """CREATE OR REPLACE TEMP MACRO trimmed(t) AS
        CASE WHEN contains(t, '.') THEN rtrim(rtrim(t, '0'), '.') ELSE t END""",
    """CREATE OR REPLACE TEMP MACRO with_zero(t) AS
        CASE WHEN prefix(t, '.') THEN '0' || t
             WHEN prefix(t, '-.') THEN '-0' || substr(t, 2) ELSE t END""",
    """CREATE OR REPLACE TEMP MACRO uuid_text(h) AS
        h[1:8] || '-' || h[9:12] || '-' || h[13:16] || '-' || h[17:20] || '-' || h[21:32]""",
    # An element as array_out writes it: quoted where it would read otherwise.
    r"""CREATE OR REPLACE TEMP MACRO element_text(t) AS
        CASE WHEN t IS NULL THEN 'NULL'
             WHEN t = '' OR upper(t) = 'NULL' OR regexp_matches(t, '[{}",\\ \t\n\r\x0b\x0c]')
             THEN '"' || replace(replace(t, '\', '\\'), '"', '\"') || '"'
             ELSE t END""",
    """CREATE OR REPLACE TEMP MACRO array_text(l) AS
        CASE WHEN l IS NULL THEN NULL WHEN len(l) = 0 THEN '{}'
             ELSE '{' || array_to_string(list_transform(l, lambda t: element_text(t)), ',') || '}'
             END""",
)

_TEXTS = {
    Kind.VARCHAR: "{d}",
    Kind.JSON: "{d}",
    # PostgreSQL has an exponent from 1e+15 on, and from 1e+06 on where there are 4 bytes.
    Kind.FLOAT: "float_text({d}, 6)",
    Kind.DOUBLE: "float_text({d}, 15)",
    Kind.BLOB: r"'\x' || lower(hex({d}))",
    Kind.UUID: "uuid_text(lower(hex({d})))",
    Kind.DATE: "moment_text({d}::VARCHAR, '')",
    Kind.TIMESTAMP: "moment_text({d}::VARCHAR, '')",
    # As a TIMESTAMP, so that the time zone of the process has no part in it.
    Kind.TIMESTAMPTZ: "moment_text(make_timestamp(epoch_us({d}))::VARCHAR, '+00')",
}


def text_in_duckdb(parquet_type: ParquetType, *, all_digits: bool = False) -> str:
    """DuckDB's expression over `{d}` for PostgreSQL's text of a value of this type.

    A DECIMAL loses the zeros that it does not need, unless `all_digits` are wanted.
    """
    if parquet_type.is_list:
        # Within an array, PostgreSQL writes booleans as their output function does.
        is_boolean = parquet_type.kind is Kind.BOOLEAN
        text = "left({d}::VARCHAR, 1)" if is_boolean else text_in_duckdb(parquet_type.element)
        each = text.replace("{d}", "x")
        return f"array_text(list_transform({{d}}, lambda x: {each}))"
    if parquet_type.kind is Kind.DECIMAL:
        return "with_zero({d}::VARCHAR)" if all_digits else "trimmed(with_zero({d}::VARCHAR))"
    return _TEXTS.get(parquet_type.kind, "{d}::VARCHAR")
