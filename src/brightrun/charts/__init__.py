"""Draws charts as SVG that fits into any page: scales, lines, bars, gauges. Knows numbers and words, no room above."""
