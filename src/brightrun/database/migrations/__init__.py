"""Steps between versions of the tables; run by Alembic."""
