mod encoding;
mod flush;
mod intake;
mod ledger;
mod straight;
mod waiting;
