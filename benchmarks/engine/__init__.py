"""The Dual-AR engine measured from inside: a frame against its floor, its parts, first audio, live streams."""
