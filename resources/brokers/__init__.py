"""Adapters of `quant.execution.broker.Broker`: real SDKs with their dangerous habits off."""
