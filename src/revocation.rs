//! Refusing credentials that leaked: the deny-list and how it decides ([`list`], core), and the task that reads its file again
//! when it changes ([`watcher`], an edge: nothing in the core knows it).

pub mod list;
pub mod watcher;
