"""The recipes that come with Ladder-EBGAN, one TOML file an experiment."""
