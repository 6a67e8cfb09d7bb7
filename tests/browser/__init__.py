"""Tests of the pages as people meet them: a real Chromium, a real studio behind it."""
