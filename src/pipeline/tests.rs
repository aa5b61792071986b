mod encoding;
mod flush;
mod ledger;
mod waiting;
