"""What a run will take before it starts: settings, steps, time, memory. Arithmetic; no torch, no dataset."""
