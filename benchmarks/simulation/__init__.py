"""The engine under load in virtual time: its real scheduler, simulated callers, steps of given costs."""
