"""What runs at a site: table reader, exact noise, durable store, transport."""
