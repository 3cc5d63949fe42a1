"""From a forecast to an action or a refusal, with the whole arithmetic kept."""
