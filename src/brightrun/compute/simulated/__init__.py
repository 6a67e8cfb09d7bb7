"""A provider of made-up machines, for tests and simulations. No setting reaches it."""
