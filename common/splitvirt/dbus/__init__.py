"""D-Bus: the only package that imports the D-Bus library."""
