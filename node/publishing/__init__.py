"""From a checked case to a signed object that others follow: publish, correct, withdraw. Nothing sealed is within reach here."""
