#!/bin/sh
# The application whose first byte bench/compare waits for: an interpreter that
# starts a database, both with shared libraries.
exec sqlite3 :memory: "select '<app>'"
