"""The program and the plan: frozen models, canonical JSON, hashes."""
