"""The words both machines speak: job specs, states, reasons, journal events, bundles. Knows only errors."""
