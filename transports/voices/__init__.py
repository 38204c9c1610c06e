"""The voice library: recordings that models learn voices from."""
