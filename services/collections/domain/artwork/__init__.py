"""The artwork aggregate, one per generation; and `traits` and `tokens`, from which metadata is made."""
