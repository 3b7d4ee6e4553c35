"""What people do to refunds, letters and stores; the write that does it also records it."""
