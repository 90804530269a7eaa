-- A warehouse with an invented ADHD publication. Every value is computed from the row's number or
-- from a hash of its keys: the same data on every machine. It describes no person, no provider and
-- no real place.

CREATE SCHEMA datawarp;
CREATE SCHEMA staging;

-- The registry, as a full installation has it.

CREATE TABLE datawarp.tbl_data_sources (
    code varchar(100) PRIMARY KEY,
    name varchar(255),
    table_name varchar(100) NOT NULL,
    schema_name varchar(100),
    description text,
    domain varchar(100),
    tags text[],
    metadata jsonb,
    created_at timestamptz NOT NULL,
    last_load_at timestamptz
);

CREATE TABLE datawarp.tbl_column_metadata (
    canonical_source_code varchar(100) NOT NULL,
    column_name varchar(255) NOT NULL,
    original_name text,
    description text,
    data_type varchar(50),
    is_dimension boolean,
    is_measure boolean,
    query_keywords text[],
    min_value text,
    max_value text,
    null_rate numeric(5, 4),
    distinct_count bigint,
    metadata_source varchar(20),
    confidence numeric(3, 2),
    PRIMARY KEY (canonical_source_code, column_name)
);

-- A number from 0 to `below` - 1 that depends on `seed` alone.
CREATE FUNCTION pg_temp.noise(seed text, below integer) RETURNS integer LANGUAGE sql IMMUTABLE
    AS $$ SELECT (('x' || left(md5(seed), 7))::bit(28)::integer % below) $$;

-- NHS publications leave out counts below five.
CREATE FUNCTION pg_temp.suppressed(count integer) RETURNS integer LANGUAGE sql IMMUTABLE
    AS $$ SELECT CASE WHEN count >= 5 THEN count END $$;

CREATE TABLE pg_temp.age_groups (age_order, age_group) AS
SELECT age_order, age_group
FROM unnest(ARRAY['0 to 4', '5 to 10', '11 to 17', '18 to 24', '25 to 34', '35 to 49', '50 to 64',
                  '65 and over']) WITH ORDINALITY AS u (age_group, age_order);

CREATE TABLE pg_temp.locations (location_number, location_code, location_name, icb_code, icb_name) AS
SELECT n,
       'SYN' || lpad(n::text, 3, '0'),
       'NHS Sampleshire ICB - SYN' || lpad(n::text, 3, '0'),
       'ICB' || lpad((n % 42 + 1)::text, 2, '0'),
       'NHS Sampleshire ' || (n % 42 + 1)::text || ' Integrated Care Board'
FROM generate_series(1, 163) AS n;

-- The tables. Rows go in shuffled, so that their order in a file is the exporter's work.

CREATE TABLE staging.adhd_summary_open_referrals_age (
    sub_icb_location_code varchar(255) NOT NULL,
    sub_icb_location_name text NOT NULL,
    icb_code varchar(255) NOT NULL,
    icb_name text NOT NULL,
    reporting_date date NOT NULL,
    age_group varchar(20) NOT NULL,
    open_referrals integer,
    waiting_over_52_weeks integer,
    mean_wait_weeks numeric(12, 2),
    rate_per_100k numeric,
    is_suppressed boolean NOT NULL,
    _load_id bigint NOT NULL,
    _loaded_at timestamptz NOT NULL,
    _period varchar(20) NOT NULL,
    _manifest_file_id integer
);

INSERT INTO staging.adhd_summary_open_referrals_age
SELECT location_code, location_name, icb_code, icb_name, DATE '2025-12-31', age_group,
       pg_temp.suppressed(open), pg_temp.suppressed(open * pg_temp.noise(key || 'long', 60) / 100),
       CASE WHEN open >= 5 THEN (400 + pg_temp.noise(key || 'wait', 9000)) / 100.0 END,
       CASE WHEN open >= 5 THEN open * 100000.0 / (20000 + pg_temp.noise(key || 'people', 30000)) END,
       open < 5,
       4711, TIMESTAMPTZ '2026-01-15 09:30:00+00', '2025-12', 308
FROM pg_temp.locations
CROSS JOIN pg_temp.age_groups
CROSS JOIN LATERAL (SELECT location_code || age_group) AS k (key)
CROSS JOIN LATERAL (SELECT pg_temp.noise(key || 'open', 40 * age_order::integer)) AS o (open)
ORDER BY md5(key);

CREATE TABLE staging.adhd_waiting_times_provider_weekly (
    provider_code varchar(255) NOT NULL,
    week_ending date NOT NULL,
    age_group varchar(20) NOT NULL,
    wait_band varchar(30) NOT NULL,
    referrals_open integer,
    referrals_new smallint,
    referrals_closed smallint,
    mean_wait_weeks numeric(12, 2),
    first_contacts_per_day double precision,
    is_estimate boolean NOT NULL,
    _load_id bigint NOT NULL,
    _loaded_at timestamptz NOT NULL,
    _period varchar(20) NOT NULL,
    _manifest_file_id integer
);

-- 125 providers x 100 weeks x 8 age groups x 5 bands. 7919 is prime to 500,000: n takes each value
-- once, in a shuffled order. Arithmetic instead of hashes keeps this within seconds.
INSERT INTO staging.adhd_waiting_times_provider_weekly
SELECT 'PRV' || lpad((n / 4000 + 1)::text, 3, '0'),
       DATE '2024-01-07' + 7 * (n / 40 % 100),
       (ARRAY['0 to 4', '5 to 10', '11 to 17', '18 to 24', '25 to 34', '35 to 49', '50 to 64',
              '65 and over'])[n / 5 % 8 + 1],
       (ARRAY['Up to 13 weeks', '13 to 26 weeks', '26 to 52 weeks', '52 to 104 weeks',
              'Over 104 weeks'])[n % 5 + 1],
       CASE WHEN noise % 23 > 1 THEN noise % 23 * (8 - n % 5) END,
       CASE WHEN noise % 17 > 2 THEN noise % 17 END,
       CASE WHEN noise % 13 > 2 THEN noise % 13 END,
       CASE WHEN noise % 23 > 1 THEN (n % 5 * 26 * 100 + noise % 1300) / 100.0 END,
       noise % 1009 / 7.0,
       n / 40 % 100 >= 96,
       4712, TIMESTAMPTZ '2026-01-15 09:31:00+00',
       to_char(DATE '2024-01-07' + 7 * (n / 40 % 100), 'YYYY-MM'), 309
FROM generate_series(0, 499999) AS i
CROSS JOIN LATERAL (SELECT (i * 7919::bigint % 500000)::integer) AS shuffled (n)
CROSS JOIN LATERAL (SELECT (n * 48271::bigint % 2147483647 / 11)::integer) AS hashed (noise);

CREATE TABLE staging.tbl_adhd_prescribing (
    icb_code varchar(255) NOT NULL,
    prescribing_month date NOT NULL,
    bnf_chemical_substance text NOT NULL,
    items integer,
    net_ingredient_cost numeric(14, 4),
    cost_per_item numeric,
    received_at timestamp,
    _load_id bigint NOT NULL,
    _loaded_at timestamptz NOT NULL,
    _period varchar(20) NOT NULL,
    _manifest_file_id integer
);

INSERT INTO staging.tbl_adhd_prescribing
SELECT icb_code, month::date, substance, pg_temp.suppressed(items),
       CASE WHEN items >= 5 THEN cost END, CASE WHEN items >= 5 THEN cost / items END,
       month::timestamp + INTERVAL '1 month 9 hours' + items * INTERVAL '1.5 seconds',
       4713, TIMESTAMPTZ '2026-01-15 09:32:00+00', to_char(month, 'YYYY-MM'), 310
FROM (SELECT DISTINCT icb_code FROM pg_temp.locations) AS icb
CROSS JOIN generate_series(TIMESTAMP '2023-01-01', TIMESTAMP '2025-12-01', INTERVAL '1 month') AS month
CROSS JOIN unnest(ARRAY['Atomoxetine hydrochloride', 'Dexamfetamine sulfate', 'Guanfacine',
                        'Lisdexamfetamine dimesylate', 'Methylphenidate hydrochloride']) AS substance
CROSS JOIN LATERAL (SELECT icb_code || month::date || substance) AS k (key)
CROSS JOIN LATERAL (SELECT pg_temp.noise(key, 900), pg_temp.noise(key || 'cost', 50000000) / 10000.0)
    AS v (items, cost)
ORDER BY md5(key);

CREATE TABLE staging.adhd_assessments_outcome (
    sub_icb_location_code varchar(255) NOT NULL,
    assessment_outcome text NOT NULL,
    assessments integer,
    share numeric(5, 4),
    first_assessment_at timestamptz,
    comment text,
    _load_id bigint NOT NULL,
    _loaded_at timestamptz NOT NULL,
    _period varchar(20) NOT NULL,
    _manifest_file_id integer
);

INSERT INTO staging.adhd_assessments_outcome
SELECT location_code, outcome, pg_temp.suppressed(assessments),
       CASE WHEN assessments >= 5
            THEN assessments::numeric / sum(assessments) OVER (PARTITION BY location_code) END,
       TIMESTAMPTZ '2025-10-01 08:00:00+00' + pg_temp.noise(key || 'first', 90000) * INTERVAL '1 minute',
       CASE pg_temp.noise(key || 'comment', 12)
           WHEN 0 THEN 'Provisional' WHEN 1 THEN 'Revised – see note "2" | table 4' WHEN 2 THEN '' END,
       4714, TIMESTAMPTZ '2026-01-15 09:33:00+00', '2025-12', NULL
FROM pg_temp.locations
CROSS JOIN unnest(ARRAY['ADHD confirmed', 'ADHD not confirmed', 'Did not attend', 'Referred on'])
    AS outcome
CROSS JOIN LATERAL (SELECT location_code || outcome) AS k (key)
CROSS JOIN LATERAL (SELECT pg_temp.noise(key, 250)) AS a (assessments)
ORDER BY md5(key);

CREATE TABLE staging.adhd_prevalence_estimates_icb AS
SELECT icb_code, icb_name, age_group,
       (150000 + pg_temp.noise(icb_code || age_group, 400000))::integer AS population,
       (pg_temp.noise(icb_code || age_group || 'rate', 700) / 10000.0)::numeric(6, 4) AS prevalence,
       4715::bigint AS _load_id, TIMESTAMPTZ '2026-01-15 09:34:00+00' AS _loaded_at,
       '2025'::varchar(20) AS _period, 311 AS _manifest_file_id
FROM (SELECT DISTINCT icb_code, icb_name FROM pg_temp.locations) AS icb
CROSS JOIN pg_temp.age_groups
ORDER BY md5(icb_code || age_group);

CREATE TABLE staging.adhd_medication_supply_alerts (
    alert_reference varchar(50) NOT NULL,
    medicine text NOT NULL,
    issued_on date,
    is_resolved boolean,
    _load_id bigint NOT NULL,
    _loaded_at timestamptz NOT NULL,
    _period varchar(20) NOT NULL,
    _manifest_file_id integer
);

CREATE MATERIALIZED VIEW staging.adhd_national_open_referrals_weekly AS
SELECT week_ending, wait_band, sum(referrals_open) AS referrals_open,
       count(*) FILTER (WHERE referrals_open IS NULL) AS suppressed_cells
FROM staging.adhd_waiting_times_provider_weekly
GROUP BY week_ending, wait_band;

-- Another publication, and one that a careless pattern would take for it.

CREATE TABLE staging.gp_appt_national_daily AS
SELECT DATE '2025-12-01' + n AS appointment_date,
       800000 + pg_temp.noise('gp' || n, 400000) AS appointments,
       4716::bigint AS _load_id, TIMESTAMPTZ '2026-01-15 09:35:00+00' AS _loaded_at,
       '2025-12'::varchar(20) AS _period, 312 AS _manifest_file_id
FROM generate_series(0, 30) AS n;

CREATE TABLE staging.gpxappt_pilot_daily AS
SELECT appointment_date, appointments / 1000 AS appointments,
       _load_id, _loaded_at, _period, _manifest_file_id
FROM staging.gp_appt_national_daily WHERE appointment_date < DATE '2025-12-06';

-- For those who export without the registry.

COMMENT ON TABLE staging.adhd_summary_open_referrals_age IS
    'Synthetic data: open ADHD referrals by age group and sub ICB location.';
COMMENT ON COLUMN staging.adhd_summary_open_referrals_age.sub_icb_location_code IS
    'Code of the sub ICB location.';

-- What the registry says of them. The table of adhd_summary_closed_referrals_reason was never
-- loaded, and nobody has described the columns of adhd_prevalence_estimates_icb.

INSERT INTO datawarp.tbl_data_sources
SELECT code, name, coalesce(table_name, code), schema_name,
       'Synthetic data for demonstration. ' || description, domain, tags,
       '{"synthetic": true}', TIMESTAMPTZ '2025-06-01 08:00:00+00', last_load_at::timestamptz
FROM (VALUES
    ('adhd_summary_open_referrals_age', 'ADHD Summary - Open Referrals by Age', NULL, 'staging',
     'Open referrals for an ADHD assessment at the end of the month, by sub ICB location and age '
     'group. Counts below five are suppressed.',
     'mental_health', ARRAY['adhd', 'referrals', 'age'], '2026-01-15 09:30:00+00'),
    ('adhd_waiting_times_provider_weekly', 'ADHD Waiting Times - Provider, Weekly', NULL, 'staging',
     'Referrals waiting for an ADHD assessment, by provider, week, age group and length of wait.',
     'mental_health', ARRAY['adhd', 'waiting times', 'provider'], '2026-01-15 09:31:00+00'),
    ('adhd_prescribing_items_icb_month', 'ADHD Prescribing - Items by ICB and Month',
     'tbl_adhd_prescribing', 'staging',
     'Items and net ingredient cost of medicines for ADHD, by integrated care board and month.',
     'prescribing', ARRAY['adhd', 'prescribing'], '2026-01-15 09:32:00+00'),
    ('adhd_assessments_outcome', NULL, NULL, NULL,
     'Completed ADHD assessments by outcome.',
     'mental_health', ARRAY['adhd', 'assessments'], '2026-01-15 09:33:00+00'),
    ('adhd_prevalence_estimates_icb', 'ADHD Prevalence - Estimates by ICB', NULL, 'staging',
     'Modelled prevalence of ADHD by integrated care board and age group.',
     'mental_health', ARRAY['adhd', 'prevalence'], '2026-01-15 09:34:00+00'),
    ('adhd_medication_supply_alerts', 'ADHD Medication - Supply Alerts', NULL, 'staging',
     'Supply alerts for medicines for ADHD. None so far.',
     'prescribing', NULL, '2026-01-15 09:36:00+00'),
    ('adhd_national_open_referrals_weekly', 'ADHD National - Open Referrals, Weekly', NULL, NULL,
     'Open referrals of all providers by week and length of wait.',
     'mental_health', ARRAY['adhd', 'referrals', 'national'], '2026-01-15 09:37:00+00'),
    ('adhd_summary_closed_referrals_reason', 'ADHD Summary - Closed Referrals by Reason', NULL,
     'staging', 'Closed referrals by reason, announced for the next release.',
     'mental_health', ARRAY['adhd', 'referrals'], NULL),
    ('gp_appt_national_daily', 'GP Appointments - National, Daily', NULL, 'staging',
     'Appointments in general practice by day.',
     'primary_care', ARRAY['gp', 'appointments'], '2026-01-15 09:35:00+00'),
    ('gpxappt_pilot_daily', 'GPX Appointments - Pilot, Daily', NULL, 'staging',
     'Appointments of a pilot by day.',
     'primary_care', NULL, '2026-01-15 09:35:00+00')
) AS v (code, name, table_name, schema_name, description, domain, tags, last_load_at);

-- Each name of a column is described once, and used by each source that has such a column.
-- Role: D a dimension, M a measure, - neither.

CREATE TABLE pg_temp.descriptions (column_name, original_name, role, keywords, description) AS
VALUES
    ('sub_icb_location_code', 'SUB ICB LOCATION CODE', 'D', ARRAY['location', 'sub ICB', 'area'],
     'Code of the sub ICB location, the smallest area of this publication.'),
    ('sub_icb_location_name', 'SUB ICB LOCATION NAME', 'D', ARRAY['location', 'sub ICB'],
     'Name of the sub ICB location.'),
    ('icb_code', 'ICB CODE', 'D', ARRAY['ICB', 'integrated care board'],
     'Code of the integrated care board.'),
    ('icb_name', 'ICB NAME', 'D', ARRAY['ICB', 'integrated care board'],
     'Name of the integrated care board.'),
    ('reporting_date', 'REPORTING_PERIOD_END', 'D', ARRAY['month', 'date'],
     'Last day of the reporting period.'),
    ('age_group', 'AGE GROUP', 'D', ARRAY['age', 'age band'],
     'Age at the end of the reporting period, in years.'),
    ('open_referrals', 'OPEN REFERRALS', 'M', ARRAY['referrals', 'waiting list'],
     'Referrals that are open at the end of the period. Empty where the count is below five.'),
    ('waiting_over_52_weeks', 'WAITING >52 WEEKS', 'M', ARRAY['long waits'],
     'Open referrals that have waited more than 52 weeks (`> 364 days`). Empty where below five.'),
    ('mean_wait_weeks', 'MEAN WAIT (WEEKS)', 'M', ARRAY['waiting time', 'average'],
     'Mean time since referral, in weeks.'),
    ('rate_per_100k', 'RATE PER 100,000', 'M', ARRAY['rate'],
     'Open referrals per 100,000 registered patients, unrounded.'),
    ('is_suppressed', 'SUPPRESSED', '-', NULL,
     'Whether the count was below five and is left out.'),
    ('provider_code', 'PROVIDER CODE', 'D', ARRAY['provider', 'trust'],
     'Code of the provider.'),
    ('week_ending', 'WEEK ENDING', 'D', ARRAY['week', 'date'],
     'The Sunday on which the week ends.'),
    ('wait_band', 'WAIT BAND', 'D', ARRAY['waiting time', 'band'],
     E'Length of the wait since referral:\nup to 13 weeks | 13 to 26 | 26 to 52 | 52 to 104 | over 104.'),
    ('referrals_open', 'REFERRALS OPEN', 'M', ARRAY['referrals', 'waiting list'],
     'Referrals that are open at the end of the week.'),
    ('referrals_new', 'REFERRALS NEW', 'M', ARRAY['referrals'],
     'Referrals received during the week.'),
    ('referrals_closed', 'REFERRALS CLOSED', 'M', ARRAY['referrals', 'discharges'],
     'Referrals closed during the week.'),
    ('first_contacts_per_day', 'FIRST CONTACTS/DAY', 'M', ARRAY['contacts'],
     'Mean number of first contacts per working day.'),
    ('prescribing_month', 'YEAR_MONTH', 'D', ARRAY['month', 'date'],
     'First day of the month in which the items were dispensed.'),
    ('bnf_chemical_substance', 'BNF CHEMICAL SUBSTANCE', 'D', ARRAY['medicine', 'drug', 'BNF'],
     'The chemical substance as the British National Formulary names it.'),
    ('items', 'ITEMS', 'M', ARRAY['items', 'prescriptions'],
     'Items dispensed. Empty where the count is below five.'),
    ('net_ingredient_cost', 'NIC', 'M', ARRAY['cost', 'NIC'],
     'Net ingredient cost in pounds.'),
    ('cost_per_item', NULL, 'M', ARRAY['cost'],
     'Net ingredient cost divided by items, unrounded.'),
    ('assessment_outcome', 'OUTCOME', 'D', ARRAY['outcome', 'diagnosis'],
     'How the assessment ended.'),
    ('assessments', 'ASSESSMENTS', 'M', ARRAY['assessments'],
     'Assessments with this outcome. Empty where the count is below five.'),
    ('share', '% OF ALL', 'M', NULL,
     'Share of all assessments of the location, from 0 to 1. Empty where the count is.'),
    ('alert_reference', 'ALERT REF', 'D', NULL, 'Reference of the alert.'),
    ('medicine', 'MEDICINE', 'D', ARRAY['medicine'], 'The medicine in short supply.'),
    ('suppressed_cells', NULL, 'M', NULL,
     'How many counts of providers were suppressed and are missing from the sum.'),
    ('appointment_date', 'APPOINTMENT DATE', 'D', ARRAY['date'], 'Day of the appointments.'),
    ('appointments', 'APPOINTMENTS', 'M', ARRAY['appointments'], 'Appointments on that day.');

INSERT INTO datawarp.tbl_column_metadata
SELECT code, column_name, original_name, d.description, format_type(atttypid, atttypmod),
       role = 'D', role = 'M', keywords, NULL, NULL, NULL, NULL, 'llm', 0.95
FROM datawarp.tbl_data_sources
JOIN pg_attribute ON attrelid = to_regclass('staging.' || quote_ident(table_name)) AND attnum > 0
JOIN pg_temp.descriptions AS d ON column_name = attname
WHERE code <> 'adhd_prevalence_estimates_icb';

-- The loader counts what is in the columns; here for one source, which shows the form.

UPDATE datawarp.tbl_column_metadata AS m
SET min_value = coalesce(least_number::text, least_text),
    max_value = coalesce(greatest_number::text, greatest_text),
    null_rate = nulls / 1304.0,
    distinct_count = distinct_values
FROM (
    SELECT key,
           min(value::numeric) FILTER (WHERE value ~ '^[0-9.]+$') AS least_number,
           max(value::numeric) FILTER (WHERE value ~ '^[0-9.]+$') AS greatest_number,
           min(value COLLATE "C") AS least_text,
           max(value COLLATE "C") AS greatest_text,
           count(*) FILTER (WHERE value IS NULL) AS nulls,
           count(DISTINCT value) AS distinct_values
    FROM staging.adhd_summary_open_referrals_age AS t, jsonb_each_text(to_jsonb(t))
    GROUP BY key
) AS counted
WHERE canonical_source_code = 'adhd_summary_open_referrals_age' AND column_name = key;

-- With statistics the estimated numbers of rows are known at once.

ANALYZE staging.adhd_summary_open_referrals_age, staging.adhd_waiting_times_provider_weekly,
    staging.tbl_adhd_prescribing, staging.adhd_assessments_outcome,
    staging.adhd_prevalence_estimates_icb, staging.adhd_national_open_referrals_weekly,
    staging.gp_appt_national_daily, staging.gpxappt_pilot_daily;
