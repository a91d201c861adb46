-- What this changes on SQLite, PostgreSQL has already: both count their schemas alike.
SELECT 1;
