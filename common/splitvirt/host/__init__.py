"""What touches the host: processes, paths, cgroups, network."""
