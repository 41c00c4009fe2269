"""What a Hand links: its base class, its handle on the kernel, settings, logging and progress."""
