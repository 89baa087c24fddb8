// Lists show ended tasks after a restart, too: each row keeps how its task was shown last.

export const views = "ALTER TABLE tasks ADD COLUMN view TEXT;";
