"""Where the Redshift warehouse is: a part of `settings`, which reads the environment.

Those of the place and the user are read by `dbt_project/profiles.yml` as well. Nobody has a
password: who may sign in is a matter of IAM.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from smug_platform.errors import SettingsError
from smug_platform.settings_capture import number

_AT_ONCE = 4


@dataclass(frozen=True)
class RedshiftSettings:
    """A provisioned cluster or a serverless workgroup.

    cluster: the identifier of a cluster, workgroup: the name of a workgroup; one of them is set.
    role: the IAM role that COPY reads the lake with, `default` for the warehouse's own. scratch:
    URI of the folder for COPY's manifests. at_once: tables that are loaded at the same time.
    """

    host: str
    port: int
    database: str
    user: str
    cluster: str
    workgroup: str
    region: str
    role: str
    scratch: str
    at_once: int = _AT_ONCE

    def require_host(self) -> None:
        """Raise SettingsError where it is not said which warehouse it is."""
        if not self.host or not (self.cluster or self.workgroup):
            raise SettingsError(
                "it is not said which Redshift the warehouse is",
                remedy="set SMUG_REDSHIFT_HOST, and SMUG_REDSHIFT_CLUSTER or"
                " SMUG_REDSHIFT_WORKGROUP",
            )


def redshift_settings(environ: Mapping[str, str], *, region: str, scratch: str) -> RedshiftSettings:
    """SMUG_REDSHIFT_HOST, _PORT, _DATABASE, _USER, _CLUSTER, _WORKGROUP, _ROLE, and
    SMUG_LOADS_AT_ONCE.
    """
    return RedshiftSettings(
        host=environ.get("SMUG_REDSHIFT_HOST", ""),
        port=number(environ, "SMUG_REDSHIFT_PORT", 5439, 1, 65_535),
        database=environ.get("SMUG_REDSHIFT_DATABASE", "smug"),
        user=environ.get("SMUG_REDSHIFT_USER", "smug_dbt"),
        cluster=environ.get("SMUG_REDSHIFT_CLUSTER", ""),
        workgroup=environ.get("SMUG_REDSHIFT_WORKGROUP", ""),
        region=region,
        role=environ.get("SMUG_REDSHIFT_ROLE", "default"),
        scratch=scratch,
        at_once=number(environ, "SMUG_LOADS_AT_ONCE", _AT_ONCE, 1, 32),
    )
