"""Public cases as they are read: our own and those of the organisations we follow, with where each came from, in one place."""
