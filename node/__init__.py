"""What an organisation's server decides and remembers: no HTTP server, no pages."""

__version__ = "0.1.0"
