"""The proofs behind docs/reliability-report.md: in a short form that CI runs, and a long one."""
