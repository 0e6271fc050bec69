"""Networks from files of other tools: a module per format, `load_NAME(path, ...) -> Network`."""
