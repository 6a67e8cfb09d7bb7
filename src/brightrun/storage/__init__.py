"""Where files rest. The jobs room sees only `base`; which store is used is settled at assembly."""
