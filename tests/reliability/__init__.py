"""The proofs behind docs/reliability-report.md, in a short form for CI and in a long one."""
