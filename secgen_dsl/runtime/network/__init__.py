"""What travels between parties: frames, hellos, TLS, the mesh of connections."""
