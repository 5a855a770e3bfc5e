"""Cases of the organisations we follow: proven, kept with where they came from, and announced."""
