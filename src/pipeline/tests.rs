mod encoding;
mod ledger;
