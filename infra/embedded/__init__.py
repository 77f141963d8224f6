"""PostgreSQL, NATS and an S3 store from wheels, and the supervisor that runs the whole set on one machine."""
