"""A step of a source as an event of OpenLineage: the job, its run, the two datasets and facets.

Names follow OpenLineage's naming of datasets: a relation is `database.schema.table` at
`postgres://host:port`, a file its absolute path at `file`.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from typing import Any

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    JobFacet,
    RunFacet,
    column_lineage_dataset,
    datasource_dataset,
    documentation_dataset,
    documentation_job,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
    set_producer,
    storage_dataset,
    tags_run,
)

from duckwarp.model.column import Column
from duckwarp.model.filenames import name_from_disk
from duckwarp.model.version import __version__
from duckwarp.record.steps import State, Step

# A package URL, which is a URI.
PRODUCER = f"pkg:pypi/duckwarp@{__version__}"
JOB_PREFIX = "duckwarp."


def run_event(step: Step) -> RunEvent:
    """The event that tells the step."""
    set_producer(PRODUCER)
    return RunEvent(
        eventType=RunState[step.state.value],
        eventTime=step.moment.isoformat(timespec="microseconds"),
        producer=PRODUCER,
        run=Run(runId=step.lineage_id, facets=_run_facets(step)),
        job=Job(
            namespace=os.environ.get("OPENLINEAGE_NAMESPACE") or "default",
            name=f"{JOB_PREFIX}{step.started.described.code}",
            facets=_job_facets(step),
        ),
        inputs=[_relation(step)],
        outputs=[_file(step)],
    )


def _run_facets(step: Step) -> dict[str, RunFacet]:
    facets: dict[str, RunFacet] = {
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            name="duckwarp", version=__version__, openlineageAdapterVersion=__version__
        ),
        "tags": tags_run.TagsRunFacet(
            tags=[
                tags_run.TagsRunFacetFields(
                    key="duckwarp_run_id", value=step.run_id, source="DUCKWARP"
                )
            ]
        ),
    }
    parent = _parent(os.environ.get("OPENLINEAGE_PARENT_ID", ""))
    if parent is not None:
        facets["parent"] = parent
    if step.error is not None:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=step.error, programmingLanguage="python"
        )
    return facets


def _parent(given: str) -> parent_run.ParentRunFacet | None:
    """The run that has started this one, from `namespace/job/run`; None where it names none."""
    namespace, _, rest = given.partition("/")
    name, _, run_id = rest.rpartition("/")
    try:
        uuid.UUID(run_id)
    except ValueError:
        return None
    return parent_run.ParentRunFacet(
        run=parent_run.Run(runId=run_id), job=parent_run.Job(namespace=namespace, name=name)
    )


def _job_facets(step: Step) -> dict[str, JobFacet]:
    source = step.started.described
    return {
        "jobType": job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration="DUCKWARP", jobType="EXPORT"
        ),
        "documentation": documentation_job.DocumentationJobFacet(
            description=f"Export of {source.qualified_name} to a Parquet file"
        ),
    }


def _relation(step: Step) -> InputDataset:
    namespace, name = _relation_name(step)
    facets = _common_facets(step, [column.data_type for column in step.started.columns])
    facets["dataSource"] = datasource_dataset.DatasourceDatasetFacet(
        name=namespace, uri=f"{namespace}/{step.server.database}"
    )
    return InputDataset(namespace=namespace, name=name, facets=facets)


def _relation_name(step: Step) -> tuple[str, str]:
    server, source = step.server, step.started.described
    # A socket's folder is a place on this machine.
    host = server.server_host or ""
    host = "localhost" if host.startswith(("/", "@")) or not host else host
    host = f"[{host}]" if ":" in host else host
    name = f"{server.database}.{source.schema}.{source.table}"
    return f"postgres://{host}:{server.server_port}", name


def _file(step: Step) -> OutputDataset:
    path = step.parquet_path
    facets = _common_facets(step, step.written_as)
    facets["dataSource"] = datasource_dataset.DatasourceDatasetFacet(
        name="file", uri=path.parent.as_uri()
    )
    facets["storage"] = storage_dataset.StorageDatasetFacet(
        storageLayer="file", fileFormat="parquet"
    )
    facets["columnLineage"] = _column_lineage(step)
    output_facets: dict[str, Any] = {}
    if step.state is State.COMPLETE and step.outcome is not None and step.outcome.result:
        output_facets["outputStatistics"] = (
            output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=step.outcome.result.row_count, size=step.outcome.size_bytes, fileCount=1
            )
        )
    return OutputDataset(
        namespace="file", name=name_from_disk(str(path)), facets=facets, outputFacets=output_facets
    )


def _common_facets(step: Step, types: Sequence[str]) -> dict[str, Any]:
    """The schema, as the dataset of these types has it, and the description."""
    columns = step.started.columns
    named: Sequence[str | None] = types or [None] * len(columns)
    facets: dict[str, Any] = {
        "schema": schema_dataset.SchemaDatasetFacet(
            fields=[
                _field(column, type_name) for column, type_name in zip(columns, named, strict=True)
            ]
        )
    }
    if step.started.described.description:
        facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(
            description=step.started.described.description
        )
    return facets


def _field(column: Column, type_name: str | None) -> schema_dataset.SchemaDatasetFacetFields:
    return schema_dataset.SchemaDatasetFacetFields(
        name=column.name,
        type=type_name,
        description=column.description,
        ordinal_position=column.position,
    )


def _column_lineage(step: Step) -> column_lineage_dataset.ColumnLineageDatasetFacet:
    """Each column of the file is that column of the relation, as it is."""
    namespace, name = _relation_name(step)
    identity = column_lineage_dataset.Transformation(type="DIRECT", subtype="IDENTITY")
    return column_lineage_dataset.ColumnLineageDatasetFacet(
        fields={
            column.name: column_lineage_dataset.Fields(
                inputFields=[
                    column_lineage_dataset.InputField(
                        namespace=namespace,
                        name=name,
                        field=column.name,
                        transformations=[identity],
                    )
                ]
            )
            for column in step.started.columns
        }
    )
