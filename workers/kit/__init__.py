"""What any worker is made of: pulls work, keeps leases, moves files, reports progress and results."""
