"""The database's numbered migrations, applied by ``storage.database.schema``."""
