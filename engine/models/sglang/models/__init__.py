"""What SGLang is told to look for models in: ``SGLANG_EXTERNAL_MODEL_PACKAGE``."""
