"""Hard limits and risk figures."""
