"""The models that speak, one file or folder for each family, behind one small protocol."""
