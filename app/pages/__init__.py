"""The pages: layout first, then wiring. Handlers call ``app.services`` and draw with ``app.rendering``."""
