"""The console: a web application for support and operations, over the same functions as the CLI."""
