"""Dubbing over the wires: subtitle files, and the live socket."""
