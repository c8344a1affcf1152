"""What a person or a script types: `pierhead VERB`. Start reading at `main.py`."""
