mod crashes;
mod files;
mod records;
