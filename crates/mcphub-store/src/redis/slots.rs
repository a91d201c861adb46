//! Which server of a cluster has which keys: the Redis Cluster Specification, "Key distribution model"
//! and "MOVED Redirection".

use std::fmt;

use crc::{CRC_16_XMODEM, Crc};
use redis::{RedisError, ServerErrorKind, Value};

/// How many slots a cluster has.
pub(super) const SLOTS: u16 = 16_384;

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// The slot of a key. Our keys have no `{`, which would make a part of one count alone.
pub(super) fn slot_of(key: &str) -> u16 {
    CRC.checksum(key.as_bytes()) % SLOTS
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    pub(super) fn new(host: &str, port: u16) -> Self {
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Self { host, port }
    }

    /// Reads `HOST:PORT`. A host that is empty is that of the server which said it, one that is `?`
    /// is not known to that.
    pub(super) fn read(text: &str, said_by: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Self::of(host, port.parse().ok()?, said_by)
    }

    fn of(host: &str, port: u16, said_by: &Self) -> Option<Self> {
        match host {
            "?" => None,
            "" => Some(Self::new(&said_by.host, port)),
            host => Some(Self::new(host, port)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Slots of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) master: Address,
}

/// Reads what `CLUSTER SLOTS` gave, in the order of slots. `None` for what is no such answer.
pub(super) fn read_slots(answer: &Value, said_by: &Address) -> Option<Vec<Range>> {
    let Value::Array(ranges) = answer else {
        return None;
    };
    let mut ranges: Vec<Range> = ranges
        .iter()
        .filter_map(|range| read_range(range, said_by))
        .collect();
    ranges.sort_by_key(|range| range.first);
    Some(ranges)
}

/// `[FIRST, LAST, [HOST, PORT, ...] of the master, ...]`. The host of a server that knows no name of
/// its own is nil.
fn read_range(range: &Value, said_by: &Address) -> Option<Range> {
    let Value::Array(range) = range else {
        return None;
    };
    let [
        Value::Int(first),
        Value::Int(last),
        Value::Array(master),
        ..,
    ] = range.as_slice()
    else {
        return None;
    };
    let [host, Value::Int(port), ..] = master.as_slice() else {
        return None;
    };
    let host = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        Value::SimpleString(host) => host,
        Value::Nil => "",
        _ => return None,
    };
    let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
    (first <= last && last < SLOTS).then_some(Range {
        first,
        last,
        master: Address::of(host, u16::try_from(*port).ok()?, said_by)?,
    })
}

/// Who has the key instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// From now on.
    Moved(u16, Address),
    /// This once: the slot is on its way.
    Ask(Address),
}

/// Reads `MOVED SLOT HOST:PORT` and `ASK SLOT HOST:PORT`.
pub(super) fn redirect(error: &RedisError, said_by: &Address) -> Option<Redirect> {
    let (address, slot) = error.redirect_node()?;
    let address = Address::read(address, said_by)?;
    match error.kind() {
        redis::ErrorKind::Server(ServerErrorKind::Ask) => Some(Redirect::Ask(address)),
        _ if slot < SLOTS => Some(Redirect::Moved(slot, address)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Address {
        Address::new("10.0.0.9", 6379)
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let master = Value::Array(vec![host, Value::Int(port)]);
        let replica = Value::Array(vec![text("replica"), Value::Int(1)]);
        Value::Array(vec![Value::Int(first), Value::Int(last), master, replica])
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn keys_have_the_slots_of_the_specification() {
        assert_eq!(CRC.checksum(b"123456789"), 0x31C3);
        assert_eq!((slot_of("foo"), slot_of("bar")), (12182, 5061));
    }

    #[test]
    fn slots_are_those_of_masters() {
        let answer = Value::Array(vec![
            range(100, 16383, text("node.example"), 7001),
            range(0, 99, text(""), 7000),
        ]);
        let found = read_slots(&answer, &here()).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|range| (range.first, range.last, range.master.to_string()))
            .collect();
        assert_eq!(
            told,
            [
                (0, 99, "10.0.0.9:7000".to_owned()),
                (100, 16383, "node.example:7001".to_owned()),
            ]
        );
    }

    #[test]
    fn what_makes_no_sense_in_an_answer_is_left_out() {
        let wrong = [
            range(-1, 5, text("a"), 1),
            range(6, 5, text("a"), 1),
            range(0, 16384, text("a"), 1),
            range(0, 5, text("a"), 70000),
            range(0, 5, text("?"), 1),
            range(0, 5, Value::Int(1), 1),
            Value::Array(vec![Value::Int(1)]),
            Value::Nil,
        ];
        let mut all = wrong.to_vec();
        all.push(range(6, 7, Value::Nil, 1));
        let found = read_slots(&Value::Array(all), &here()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].master, Address::new("10.0.0.9", 1));
        assert_eq!(read_slots(&Value::Nil, &here()), None);
    }

    #[test]
    fn an_address_may_be_of_ipv6_or_lack_its_host() {
        let read = |text| Address::read(text, &here());
        assert_eq!(read("::1:7000"), Some(Address::new("::1", 7000)));
        assert_eq!(read("[::1]:7000"), Some(Address::new("::1", 7000)));
        assert_eq!(read(":7000"), Some(Address::new("10.0.0.9", 7000)));
        for wrong in ["", "host", "host:", "host:70000", "?:1"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
