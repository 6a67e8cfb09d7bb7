"""The studio's memory: tables, migrations and query functions, alike on SQLite and PostgreSQL. Decides nothing."""
