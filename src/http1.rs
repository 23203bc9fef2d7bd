//! HTTP/1 as it stands on the wire, judged before anybody interprets it: bytes in, one reading or a refusal out. What two
//! parties could read differently is refused, never repaired. It reads no socket and keeps no bytes.

pub mod chunks;
pub mod fields;
pub mod head;
pub mod target;
