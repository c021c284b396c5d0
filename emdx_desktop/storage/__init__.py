"""SQLite through apsw and peewee: writer thread, configuration, history chunks, recovery."""
