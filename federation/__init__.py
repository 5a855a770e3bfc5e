"""How servers speak: bytes, signatures, one HTTP client; no database."""
