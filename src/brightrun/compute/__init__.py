"""Where GPUs come from. The jobs room sees only `base`; which provider is used is settled at assembly."""
