"""The APIs that clients speak, each in a folder or a file. Nothing here knows an account or a host."""
