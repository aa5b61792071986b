mod encoding;
mod flush;
mod ledger;
mod straight;
mod waiting;
