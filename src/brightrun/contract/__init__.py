"""The words both machines speak: job specs, states, reasons, event log events, bundles."""
