"""Fish Audio S2-Pro and its kin: a slow transformer that hears the text, a fast one that fills in each frame."""
