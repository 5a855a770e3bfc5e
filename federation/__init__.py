"""How servers speak: bytes, signatures, proofs and one HTTP client. No database, no clock, no settings."""
