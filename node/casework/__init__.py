"""The desk's work: a case from the first question to what two people stand behind, with every step on record."""
