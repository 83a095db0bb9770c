"""A stand-in for Amazon Redshift in tests: its wire protocol, its catalog, its rules, on loopback.

PostgreSQL from a package runs behind a proxy that rewrites what Redshift says otherwise and
refuses what Redshift refuses. The real driver and the real dbt adapter connect to it unchanged.
docs/redshift.md tells what a green run means and what it can't.

For tests (fixtures of `tests.redshift.fixtures`, known everywhere below tests/):

- `redshift`: a `connection.Redshift` (host, port, user, password, database, role, emulated) of a
  fresh database; `.connect(autocommit=)` is a connection of redshift_connector, `.ask(sql)` the
  rows of one statement, `.fresh(isolation)` another database.
- `redshift_module`, `redshift_server`: shared by a module, by the session.
- `bucket`: where COPY may read; `.put(name, body)` returns the URL, `.endpoint` is S3's.
- `stand_in`: as `redshift`, and skipped where a real workgroup is tested; so are the next two.
- `faults`: a `faults.Faults`: `.cut_after("commit")`, `.cut_before("merge")`, `.conflict("copy")`.
- `aws`: the environment (set here, and for sub-processes) in which IAM signs in: the driver with
  iam=True, cluster_identifier=redshift.cluster, db_user=redshift.user and TLS, and dbt alike.

With SMUG_TEST_REDSHIFT_DSN (redshift://user:password@host:port/database?role=arn), and
SMUG_TEST_REDSHIFT_BUCKET, the same tests run on a real workgroup, in databases of their own.
"""
