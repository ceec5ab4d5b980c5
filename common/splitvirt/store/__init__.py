"""What a driver keeps: an index of its objects, and files that survive a crash."""
