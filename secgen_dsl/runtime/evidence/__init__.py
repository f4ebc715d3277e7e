"""What a run leaves behind for an auditor: transcripts and receipts."""
