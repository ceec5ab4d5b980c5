"""The parts of a command line that are the machine itself rather than a device."""
