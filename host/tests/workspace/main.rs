//! Repositories on disk, from the outside: mirrors, work trees, collection, delivery.

mod crash;
mod flow;
mod hostile;
mod overlay;
mod pins;
mod room;
mod scale;
mod source;
mod spawn;
mod spelling;
