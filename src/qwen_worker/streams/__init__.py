"""Bytes to the client: native relaying, translation, keep-alive, the idle watchdog."""
