mod encoding;
mod flush;
mod ledger;
