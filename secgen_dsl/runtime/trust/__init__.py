"""Who is who in a consortium, and who has signed what."""
