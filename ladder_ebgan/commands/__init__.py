"""The commands, one module each: options in, calls out. Importing one is cheap; run, it imports what it needs."""
