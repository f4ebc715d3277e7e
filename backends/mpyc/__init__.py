"""The MPyC backend: one operating-system process a party, Shamir shares between them."""
