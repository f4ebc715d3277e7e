"""Plan (and run) to a document that an ethics board can audit."""
