"""From a model's samples to the bytes of a format: resampling, level, and the streaming encoders."""
