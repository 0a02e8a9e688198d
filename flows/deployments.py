"""What Prefect's UI offers: each form as a deployment of one work pool."""

import inspect

from flows.app import DEPLOYMENTS
from flows.forms import FORMS, schema
from flows.prefect_api import Api, Refused
from irg_core.files import write_json

POOL = "irg"


def register(api: Api) -> dict[str, str]:
    """Make the deployments what `flows.forms` says, and keep their ids; returns id to name."""
    try:
        api.post("/work_pools/", name=POOL, type="process", description="One DVC process at a time, in this checkout.")
    except Refused as error:
        if not str(error).startswith("409"):  # it is there
            raise
    found = {}
    for title, form in FORMS.items():
        flow = api.post("/flows/", name=form.flow)["id"]
        made = api.post(
            "/deployments/",
            name=title,
            flow_id=flow,
            work_pool_name=POOL,
            description=inspect.cleandoc(form.__doc__ or ""),
            parameter_openapi_schema=schema(form),
            enforce_parameter_schema=True,
            entrypoint=f"flows/rebuild.py:{form.flow}",
        )
        found[made["id"]] = title
    write_json(DEPLOYMENTS, found)
    return found
