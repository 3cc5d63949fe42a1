"""One adapter a data source; `failover` asks them in priority order."""
